"""The README is tried, not trusted."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from typer.main import get_command

from sync.cli.main import app
from sync.config import load_project
from sync.push.guards import GUARDS
from sync.segments.catalogue import load, pack_names

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
TABLE = README.split("## Commands")[1].split("## How it keeps")[0]


def blocks(language: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def commands() -> dict[str, set[str]]:
    """Every command with its visible options."""
    found = {}

    def walk(command: object, words: tuple[str, ...]) -> None:
        children = getattr(command, "commands", None)
        if children:
            for name, child in children.items():
                walk(child, (*words, name))
        else:
            options = {opt for p in command.params for opt in p.opts if opt.startswith("--")}  # type: ignore[attr-defined]
            found[" ".join(words)] = options

    walk(get_command(app), ())
    return found


def test_every_command_is_in_the_table_and_none_that_is_not() -> None:
    """The table of commands is the command line's."""
    for name in commands():
        group, _, verb = name.rpartition(" ")
        assert f"regulars {name}" in TABLE or (group and f"regulars {group} " in TABLE and f"`{verb}`" in TABLE), name
    for named in re.findall(r"`regulars ([a-z]+)", TABLE):
        assert any(known.split()[0] == named for known in commands()), named


def test_every_option_named_exists() -> None:
    """No flag in the README that a command would refuse."""
    known = set().union(*commands().values()) | {"--as-of"}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", README)) <= known


def test_help_is_short() -> None:
    """Every help text is one line of less than 60 characters, and every option and argument has one."""

    def walk(command: object) -> None:
        said = [("", command.help)]  # type: ignore[attr-defined]
        said += [(p.name, p.help) for p in command.params if not getattr(p, "hidden", False)]  # type: ignore[attr-defined]
        for name, text in said:
            assert text, name
            assert len(text.strip()) < 60, text
            assert "\n" not in text.strip(), text
        for child in getattr(command, "commands", {}).values():
            walk(child)

    walk(get_command(app))


def test_every_guard_and_pack_is_named() -> None:
    """Guards and packs in the README are those of the code."""
    for guard in GUARDS:
        assert f"`{guard}`" in README
    for pack in pack_names():
        assert pack in README


def test_the_example_project_loads_and_its_segments_compile(tmp_path: Path) -> None:
    """Both TOML examples are good as they stand."""
    config, segments = blocks("toml")
    (tmp_path / "regulars.toml").write_text(config, encoding="utf-8")
    (tmp_path / "segments.toml").write_text(segments, encoding="utf-8")
    project = load_project(tmp_path / "regulars.toml", env={})
    keys = {its.key for its in load(project.packs, project.segment_files)}
    assert set(tomllib.loads(segments)["segment"]) <= keys


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the demo has run."""
    folder = tmp_path_factory.mktemp("tour")
    assert run("demo --customers 150", folder).startswith("A made-up shop: 15")
    return folder


def run(words: str, folder: Path, code: int = 0) -> str:
    """`regulars WORDS` there; what it said, on stderr where it failed."""
    command = [sys.executable, "-c", "from sync.cli.main import main; main()", *shlex.split(words)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == code, done.stderr
    return done.stderr if code else done.stdout


@pytest.mark.parametrize("words", ["sync", "pull", "plan", "apply", "doctor", "sync --dry-run"])
def test_the_demos_folder_goes_nowhere(words: str, demo: Path) -> None:
    """Its keys are made up: one line, at once, and no address of a real platform in its settings."""
    said = run(f"{words} --config regulars-demo", demo, code=1)
    assert said.startswith("this is the demo's folder: its shop lived inside the demo; run `regulars sandbox`")
    assert len(said.splitlines()) == 1
    settings = tomllib.loads((demo / "regulars-demo" / "regulars.toml").read_text("utf-8"))
    assert {settings[name]["api_url"].rpartition(":")[0] for name in ("store", "klaviyo")} == {"http://127.0.0.1"}


TOUR = [
    line.removeprefix("$ regulars ")
    for block in blocks("console")
    for line in block.splitlines()
    if "regulars " in line
]


@pytest.mark.parametrize("words", TOUR)
def test_the_tour_runs(words: str, demo: Path) -> None:
    """Every command of the five minutes works in the demo's folder."""
    assert len(TOUR) >= 5
    run(words, demo)
