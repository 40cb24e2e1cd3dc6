"""`regulars init` and the live checks of `doctor`: nothing is written down before it has been tried."""

from __future__ import annotations

import io
import socket
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from checks import check_one_line
from shop import Ran, TestShop


def words(shop: TestShop) -> list[str]:
    """The flags that name the two simulators."""
    urls = [line.split('"')[1] for line in shop.config.read_text().splitlines() if line.startswith("api_url")]
    return ["--set", f"store.api_url={urls[0]}", "--to", "klaviyo", "--set", f"klaviyo.api_url={urls[1]}"]


def secrets(shop: TestShop) -> dict[str, str]:
    """The keys of the shop's own folder."""
    return dict(line.split("=", 1) for line in (shop.folder / ".env").read_text().split())


def init(shop: TestShop, folder: Path, *more: str, name: str | None = None, env: dict[str, str] | None = None) -> Ran:
    """`regulars init` for that shop."""
    return shop.call("init", str(folder), "--shop", name or shop.world.domain, *words(shop), *more, env=env)


def test_it_writes_a_private_folder_after_trying_the_keys(shop: TestShop, tmp_path: Path) -> None:
    """From flags and environment alone; the findings, the files, then the next command."""
    folder = tmp_path / "mine"
    ran = init(shop, folder, env=secrets(shop))
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("ok    key: accepted by")
    assert ran.out.rstrip().endswith(f"next: regulars sync --dry-run --config {folder / 'regulars.toml'}")
    for name in ("regulars.toml", ".env"):
        assert (folder / name).stat().st_mode & 0o777 == 0o600
    assert not any(it in ran.out + (folder / "regulars.toml").read_text() for it in secrets(shop).values())
    pulled = replace(shop, folder=folder).call("pull", "--json")
    assert (pulled.code, pulled.err) == (0, "")


def test_keys_of_others_stay_in_the_folders_env(shop: TestShop, tmp_path: Path) -> None:
    """Only our keys are replaced, and from now on nobody else reads the file."""
    keys = tmp_path / ".env"
    keys.write_text("# mine\nOTHER=1\nREGULARS_SHOPIFY_TOKEN=old\n")
    assert init(shop, tmp_path, env=secrets(shop)).code == 0
    assert keys.read_text().startswith("# mine\nOTHER=1\nREGULARS_")
    assert "old" not in keys.read_text()
    assert keys.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", ["sandbox-shop", "https://sandbox-shop.myshopify.com/", "SANDBOX-SHOP"])
def test_the_shops_name_is_completed(name: str, shop: TestShop, tmp_path: Path) -> None:
    """What an owner types becomes the address in the file."""
    assert init(shop, tmp_path / "mine", name=name, env=secrets(shop)).code == 0
    assert 'shop = "sandbox-shop.myshopify.com"' in (tmp_path / "mine" / "regulars.toml").read_text()


def test_a_domain_of_ones_own_is_no_address(shop: TestShop, tmp_path: Path) -> None:
    """Exit 2 before anything is asked."""
    ran = init(shop, tmp_path / "mine", name="www.tea.example", env=secrets(shop))
    assert (ran.code, ran.out) == (2, "")
    check_one_line(ran.err, shop, "init: 'www.tea.example' is not the shop's own address")


def test_a_refused_key_is_not_written_down(shop: TestShop, tmp_path: Path) -> None:
    """Exit 1, what failed once on stdout, the way out on stderr; --no-check writes it as it is."""
    wrong = dict.fromkeys(("REGULARS_SHOPIFY_TOKEN", "REGULARS_KLAVIYO_API_KEY"), "wr0ng_and_secret")
    folder = tmp_path / "mine"
    ran = init(shop, folder, env=wrong)
    assert ran.code == 1
    assert ran.out.count("FAIL  shopify: ShopInfo: the key is refused") == 1
    assert ran.out.count("FAIL  ") == len(wrong)
    assert max(map(len, ran.out.splitlines())) <= 100
    check_one_line(ran.err, shop, "init: nothing was written; mend what failed, or write it as it is with --no-check")
    assert not folder.exists()
    assert init(shop, folder, "--no-check", env=wrong).code == 0
    assert "wr0ng_and_secret" in (folder / ".env").read_text()


class Typed(io.StringIO):
    """A terminal on which somebody types these lines and then ends the input."""

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__("".join(f"{line}\n" for line in lines))

    def isatty(self) -> bool:
        return True


def test_answers_that_end_early_write_nothing(shop: TestShop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-D at a question: exit 2 and one line."""
    monkeypatch.setattr(sys, "stdin", Typed(["shopify"]))
    ran = shop.call("init", str(tmp_path / "mine"))
    assert ran.code == 2
    check_one_line(ran.err, shop, "init: the answers ended before the last question; nothing was written")
    assert not (tmp_path / "mine").exists()


def test_a_slip_at_a_choice_is_asked_again(shop: TestShop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal a word that is no option costs one line, not the answers before it."""
    monkeypatch.setattr(sys, "stdin", Typed(["Shopfy", "shopify"]))
    ran = shop.call("init", str(tmp_path / "mine"))
    assert ran.err.splitlines()[0].startswith("'Shopfy' is none of shopify")
    assert "init: the answers ended before the last question" in ran.err.splitlines()[1]


def test_an_owner_may_insist(shop: TestShop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked on a terminal, after the findings."""
    wrong = dict.fromkeys(secrets(shop), "wr0ng_and_secret")
    for answer, code in (("n", 1), ("y", 0)):
        monkeypatch.setattr(sys, "stdin", Typed([answer]))
        ran = init(shop, tmp_path / "mine", "--platform", "shopify", "--tags", "--packs", "carts", env=wrong)
        assert ran.code == code, ran
        assert (tmp_path / "mine").exists() == (code == 0)


def test_without_a_network_the_wait_is_told_and_short(shop: TestShop) -> None:
    """From the second failure on a line for each further try; at the end what to check."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{taken.getsockname()[1]}"
        old = words(shop)[1].removeprefix("store.api_url=")
        shop.config.write_text(
            shop.config.read_text()
            .replace(old, closed)
            .replace("[klaviyo]\nenabled = true", "[klaviyo]\nenabled = false")
            .replace("[mailchimp]\nenabled = true", "[mailchimp]\nenabled = false")
        )
        ran = shop.call("doctor")
    assert ran.code == 1
    *waits, last = ran.err.splitlines()
    assert last == "doctor: 1 of 4 findings stops a run"
    assert waits[0].startswith("shopify: no connection to 127.0.0.1 (connection refused); trying again in ")
    assert waits[0].endswith(", try 3 of 8")
    assert ran.out.count("no connection to 127.0.0.1 (connection refused); gave up after ") == 1
    assert "; check api_url and your connection, then run again" in ran.out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--to", "pigeon"], "init: 'pigeon' is none of klaviyo"),
        (["--platform", "magento"], "init: 'magento' is none of shopify"),
        (["--set", "klaviyo"], "init: --set 'klaviyo' is not SECTION.KEY=VALUE, such as klaviyo.list_prefix=Shop"),
    ],
)
def test_a_wrong_flag_is_told_before_anything_is_written(
    words: list[str], told: str, shop: TestShop, tmp_path: Path
) -> None:
    """Exit 2, one line, no folder."""
    ran = shop.call("init", str(tmp_path / "mine"), "--shop", shop.world.domain, *words)
    assert ran.code == 2
    assert ran.err.startswith(told)
    assert not (tmp_path / "mine").exists()


def test_a_setting_that_no_section_has_is_told_with_its_key(shop: TestShop, tmp_path: Path) -> None:
    """What would not load is not written."""
    ran = init(shop, tmp_path / "mine", "--set", "klaviyo.prefix=x", env=secrets(shop))
    assert ran.code == 1
    assert "[klaviyo] prefix: unknown key" in ran.err
    assert not (tmp_path / "mine").exists()
