"""The project folder is read strictly, and every mistake names its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from sync.config import load_project, read_secrets, require_secrets
from sync.errors import ConfigError

GOOD = """
[store]
platform = "shopify"
shop = "my-shop.myshopify.com"
timezone = "Europe/Berlin"
[segments]
packs = ["rfm"]
[tags]
enabled = true
prefix = "seg-"
[klaviyo]
enabled = true
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "regulars.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_good_folder_gives_its_destinations_and_paths(tmp_path: Path) -> None:
    """Enabled sections become destinations, paths are relative to the file."""
    project = load_project(write(tmp_path, GOOD), env={})
    assert [d.name for d in project.destinations] == ["tags", "klaviyo"]
    assert project.database == tmp_path / "regulars.db"
    assert project.packs == ("rfm",)
    assert str(project.timezone) == "Europe/Berlin"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[store\n", "not valid TOML"),
        ("[tags]\n", "no [store] section"),
        ('[store]\nplatform = "magento"\nshop = "x.myshopify.com"\n', "regulars.toml:2: [store] platform"),
        (GOOD.replace("packs", "pakcs"), "regulars.toml:7: [segments] pakcs: unknown key; did you mean 'packs'?"),
        (GOOD.replace("[klaviyo]", "[klavyio]"), "[klavyio]: unknown section; did you mean 'klaviyo'?"),
        (GOOD.replace("Europe/Berlin", "Europe/Berlim"), "regulars.toml:5: [store] timezone: no time zone"),
        (GOOD + '[guards]\naccept = ["mass-remve"]\n', "did you mean 'mass-remove'?"),
        (GOOD + '[database]\nurl = "postgresql://x"\n', "only sqlite:///"),
        (GOOD.replace('shop = "my-shop.myshopify.com"\n', ""), "[store]: shop is missing"),
        (GOOD.replace('["rfm"]', '["rfm"]\nfiles = ["mine.toml"]'), "no such file mine.toml"),
    ],
)
def test_a_mistake_names_file_line_and_key(tmp_path: Path, text: str, said: str) -> None:
    """Every mistake is one line that begins with its place."""
    with pytest.raises(ConfigError) as caught:
        load_project(write(tmp_path, text), env={})
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_config_says_how_to_get_one(tmp_path: Path) -> None:
    """A missing file names `regulars init`."""
    with pytest.raises(ConfigError, match="regulars init"):
        load_project(tmp_path / "nothing.toml", env={})


def test_secrets_prefer_the_environment_and_read_files(tmp_path: Path) -> None:
    """Environment beats .env; NAME_FILE is read; other variables are not taken."""
    (tmp_path / ".env").write_text("REGULARS_A=from-file\nREGULARS_B=b\nOTHER=x\n")
    (tmp_path / "secret").write_text("from-secret\n")
    env = {"REGULARS_A": "from-env", "REGULARS_C_FILE": str(tmp_path / "secret"), "HOME": "/"}
    assert read_secrets(tmp_path, env) == {"REGULARS_A": "from-env", "REGULARS_B": "b", "REGULARS_C": "from-secret"}


def test_a_missing_key_names_every_alternative(tmp_path: Path) -> None:
    """Whoever has no key is told which variables would do."""
    project = load_project(write(tmp_path, GOOD), env={"REGULARS_SHOPIFY_CLIENT_ID": "only-half"})
    with pytest.raises(ConfigError, match=r"REGULARS_SHOPIFY_TOKEN.*CLIENT_ID \+ .*CLIENT_SECRET"):
        require_secrets(project.store, project.secrets)


def test_secrets_are_not_in_the_repr(tmp_path: Path) -> None:
    """A project printed by accident shows no key."""
    project = load_project(write(tmp_path, GOOD), env={"REGULARS_SHOPIFY_TOKEN": "hush-hush"})
    assert "hush-hush" not in repr(project)
