"""Bad input of every kind: one line that says what and what to do, the right exit code, nothing written anywhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from checks import check_one_line, check_untouched
from local_shop import open_local
from shop import TestShop

TOKEN = "REGULARS_SHOPIFY_TOKEN=shpat_sandbox_only"


def edit(shop: TestShop, old: str, new: str, name: str = "regulars.toml") -> None:
    """Replace a text that stands once in a file of the folder."""
    text = (shop.folder / name).read_text()
    assert text.count(old) == 1, text
    (shop.folder / name).write_text(text.replace(old, new))


def segments(shop: TestShop, text: str) -> None:
    """The owner's own segments."""
    (shop.folder / "segments.toml").write_text(text)


def no_config(shop: TestShop) -> None:
    shop.config.unlink()


def bad_toml(shop: TestShop) -> None:
    edit(shop, "[klaviyo]", "[klaviyo")


def unknown_platform(shop: TestShop) -> None:
    edit(shop, '"shopify"', '"magento"')


def unknown_key(shop: TestShop) -> None:
    edit(shop, "prefix =", "prefx =")


def unknown_section(shop: TestShop) -> None:
    edit(shop, "[klaviyo]", "[klavyo]")


def no_key(shop: TestShop) -> None:
    edit(shop, TOKEN, "", ".env")


def no_klaviyo_key(shop: TestShop) -> None:
    edit(shop, "REGULARS_KLAVIYO_API_KEY=", "REGULARS_OTHER=", ".env")


def no_mailchimp_key(shop: TestShop) -> None:
    edit(shop, "REGULARS_MAILCHIMP_API_KEY=", "REGULARS_OTHER=", ".env")


def unknown_pack(shop: TestShop) -> None:
    edit(shop, '"carts"', '"cart"')


def no_segment_file(shop: TestShop) -> None:
    (shop.folder / "segments.toml").unlink()


def cyclic(shop: TestShop) -> None:
    segments(shop, "[segment.a]\nwhere = \"IN SEGMENT 'b'\"\n\n[segment.b]\nwhere = \"IN SEGMENT 'a'\"\n")


def unknown_guard(shop: TestShop) -> None:
    (shop.config).write_text(shop.config.read_text() + '\n[guards]\naccept = ["truncated-histroy"]\n')


BEFORE_ALL: list[tuple[Callable[[TestShop], None], tuple[str, ...]]] = [
    (no_config, ("regulars.toml: no such file", "regulars init", "--config")),
    (bad_toml, ("regulars.toml: not valid TOML", "line")),
    (unknown_platform, ("regulars.toml:2: [store] platform: no platform 'magento'; there are shopify, wix",)),
    (unknown_key, ("regulars.toml:", "[tags] prefx: unknown key; did you mean 'prefix'?")),
    (unknown_section, ("regulars.toml:", "[klavyo]: unknown section; did you mean 'klaviyo'?")),
    (unknown_guard, ("regulars.toml:", "[guards] accept", "did you mean 'truncated-history'?")),
    (no_key, ("shopify: no key: set REGULARS_SHOPIFY_TOKEN, or REGULARS_SHOPIFY_CLIENT_ID + ", ".env")),
    (no_klaviyo_key, ("klaviyo: no key: set REGULARS_KLAVIYO_API_KEY", ".env")),
    (no_mailchimp_key, ("mailchimp: no key: set REGULARS_MAILCHIMP_API_KEY", ".env")),
    (unknown_pack, ("unknown pack 'cart'; did you mean 'carts'?", "lifecycle")),
    (no_segment_file, ("regulars.toml:", "[segments] files: no such file segments.toml")),
    (cyclic, ("segments.toml:", "refers to itself: a -> b -> a")),
]


@pytest.mark.usefixtures("unwritten")
@pytest.mark.parametrize(("spoil", "parts"), BEFORE_ALL, ids=[case[0].__name__ for case in BEFORE_ALL])
def test_a_folder_that_is_wrong_stops_everything(
    spoil: Callable[[TestShop], None], parts: tuple[str, ...], shop: TestShop
) -> None:
    """Exit 1 before a call is made or a database exists."""
    spoil(shop)
    calls = shop.requests()
    check_untouched(shop, shop.call("sync"), 1, *parts, database=False)
    assert shop.requests() == calls


@pytest.mark.usefixtures("unwritten")
@pytest.mark.parametrize("words", [("sync",), ("segments", "check"), ("doctor",)])
def test_a_typo_in_a_segment_is_pointed_at(words: tuple[str, ...], shop: TestShop) -> None:
    """File, line, the nearest name, and a caret under the word."""
    segments(shop, '# mine\n[segment.loyals]\nname  = "Loyals"\nwhere = "number_of_ordrs >= 3"\n')
    ran = shop.call(*words)
    assert ran.code == 1
    head = 'segments.toml:4 segment "loyals": '
    if words == ("doctor",):
        assert f"FAIL segments: {head}" in " ".join(ran.out.split())
        assert "→ regulars segments check shows the place" in ran.out
        check_one_line(ran.err, shop, "doctor: 1 of", "stops a run")
    else:
        first, shown, caret = ran.err.splitlines()
        assert first.startswith(head)
        assert "did you mean 'number_of_orders'?" in first
        assert shown.index("number_of_ordrs") == caret.index("^")
    assert not (shop.folder / "regulars.db").exists()


WRONG_KEYS = [
    ("shpat_sandbox_only", ("shopify: ShopInfo: the key is refused (401", "check it", "(request ")),
    ("pk_sandbox_only", ("klaviyo: GetAccounts: the key is refused", "set REGULARS_KLAVIYO_API_KEY", "(request ")),
    ("KEY=sandbox_only", ("mailchimp: Ping: the key is refused", "set REGULARS_MAILCHIMP_API_KEY", "(request ")),
]


@pytest.mark.usefixtures("unwritten")
@pytest.mark.parametrize(("right", "parts"), WRONG_KEYS, ids=["shopify", "klaviyo", "mailchimp"])
def test_a_wrong_key_stops_before_anything_is_read(right: str, parts: tuple[str, ...], shop: TestShop) -> None:
    """Either platform's: exit 1, its own line, no page read; `doctor` says the same with its fix."""
    edit(shop, right, f"{right}_wr0ng_and_secret", ".env")
    pages = shop.shopify.operations["CustomersPage"]
    check_untouched(shop, shop.call("sync"), 1, *parts, database=True)
    assert shop.shopify.operations["CustomersPage"] == pages
    doctor = shop.call("doctor", "--json")
    assert doctor.code == 1
    found = [its for its in json.loads(doctor.out) if its["level"] == "error"]
    assert found
    assert all("refused" in its["text"] for its in found)
    check_one_line(doctor.err, shop, "doctor: ", "a run")


def test_a_wrong_shop_is_named(tmp_path: Path) -> None:
    """404: exit 1, and where to mend it."""
    with open_local(tmp_path / "project", customers=20) as shop:
        edit(shop, "sandbox-shop.my", "another-shop.my")
        check_untouched(shop, shop.go(), 1, "shopify: ShopInfo: no such shop", "check [store] shop", database=True)
        assert shop.writes == 0


SCOPES = [
    ("read_customers", ("shopify: CustomersPage: ", "read_customers")),
    ("read_orders", ("shopify: OrdersPage: ", "read_orders")),
    ("write_customers", ("shopify: check of the key: the key lacks write_customers", "Dev Dashboard")),
]


@pytest.mark.usefixtures("unwritten")
@pytest.mark.parametrize(("scope", "parts"), SCOPES, ids=[case[0] for case in SCOPES])
def test_a_missing_scope_stops_before_anything_is_written(scope: str, parts: tuple[str, ...], shop: TestShop) -> None:
    """Exit 1, and the scope by name; `doctor` finds it too."""
    shop.world.denied.add(scope)
    check_untouched(shop, shop.call("sync"), 1, *parts, database=True)
    doctor = shop.call("doctor")
    assert doctor.code == 1
    assert any(line.startswith("FAIL ") and scope in line for line in doctor.out.splitlines()), doctor.out


def test_a_truncated_history_holds_what_reads_orders(shop: TestShop) -> None:
    """Exit 5, once and in plain words; nobody is put where two months of orders would put them."""
    shop.world.denied.add("read_all_orders")
    ran = shop.call("sync", "--json")
    assert ran.code == 5
    line = (
        "shopify: token lacks scope read_all_orders, so only the last 60 days of orders are visible; "
        "add it in the Dev Dashboard (needs approval), or run with --force truncated-history"
    )
    check_one_line(ran.err, shop)
    assert ran.err.strip() == line
    assert json.loads(ran.out)["exit"] == 5
    plan = shop.call("plan", "--json")
    assert plan.code == 5
    assert plan.err.strip() == line
    text = shop.call("plan")
    assert (text.code, text.err.strip()) == (5, line)
    held = {guard["guard"] for guard in json.loads(plan.out)["guards"]}
    assert held == {"truncated-history"}
    doctor = shop.call("doctor")
    assert (doctor.code, doctor.err) == (0, "")
    assert line.partition(": ")[2].partition(";")[0] in doctor.out


def test_klaviyo_without_its_write_scope_stops_before_tags_are_written(shop: TestShop) -> None:
    """The scope shows only when a list is made, which comes before any tag."""
    shop.klaviyo.scopes.discard("lists:write")
    before = shop.shopify.writes
    try:
        ran = shop.call("sync")
    finally:
        shop.klaviyo.scopes.add("lists:write")
    check_untouched(shop, ran, 1, "klaviyo: CreateList: the key may not do this", "lists:write", database=True)
    assert shop.shopify.writes == before


@pytest.mark.usefixtures("unwritten")
@pytest.mark.parametrize("command", ["sync", "plan", "apply"])
def test_looking_back_never_writes(command: str, shop: TestShop) -> None:
    """`--as-of` is refused by what writes: exit 2."""
    ran = shop.call(command, "--as-of", "2026-01-01T00:00:00Z")
    check_untouched(shop, ran, 2, f"{command}: --as-of", "present only", database=False)


USAGE = [
    (("sync", "--bogus"), ("regulars sync: No such option: --bogus", "regulars sync --help")),
    (("synch",), ("No such command 'synch'", "regulars --help")),
    (("why",), ("regulars why: Missing argument 'who'", "regulars why --help")),
    (("customers", "export", "--format", "xml"), ("'xml' is not one of", "'csv'")),
    (("init", "new-folder"), ("init: --shop is needed where nobody can be asked",)),
    (("sync", "--force", "mass-ad"), ("--force mass-ad: no guard 'mass-ad'; did you mean 'mass-add'?",)),
    (("apply", "0123456789abcdef"), ("no plan '0123456789abcdef'", "regulars plan")),
    (
        ("apply", "0123456789abcdef", "--force", "mass-add", "--adopt"),
        ("apply 0123456789abcdef: a plan is applied as it was shown", "`regulars plan --force mass-add --adopt`"),
    ),
    (("sync", "--only-streams", "products"), ("no stream 'products' at shopify", "customers, orders, carts")),
    (("segments", "list", "--as-of", "yesterday"), ("--as-of 'yesterday' is no ISO 8601 instant",)),
]


@pytest.mark.usefixtures("unwritten")
@pytest.mark.parametrize(("words", "parts"), USAGE, ids=["-".join(case[0]) for case in USAGE])
def test_a_command_that_makes_no_sense(words: tuple[str, ...], parts: tuple[str, ...], shop: TestShop) -> None:
    """Exit 2 and one line, with where to look."""
    ran = shop.call(*words)
    assert (ran.code, ran.out) == (2, "")
    check_one_line(ran.err, shop, *parts)


@pytest.mark.parametrize(
    "words", [("status",), ("segments", "list"), ("customers", "export"), ("why", "1"), ("derive",), ("plan",)]
)
@pytest.mark.usefixtures("unwritten")
def test_nothing_pulled_yet(words: tuple[str, ...], shop: TestShop) -> None:
    """What needs data says how to get it."""
    ran = shop.call(*words)
    assert ran.code == 1, ran.out
    check_one_line(ran.err, shop, "nothing has been pulled yet", "regulars sync")


def test_init_leaves_an_existing_folder_alone(shop: TestShop) -> None:
    """Exit 1; the files stay as they are."""
    before = shop.config.read_bytes()
    ran = shop.call("init", str(shop.folder), "--shop", "my-shop")
    assert (ran.code, ran.out) == (1, "")
    check_one_line(ran.err, shop, "regulars.toml: already there", "choose another folder")
    assert shop.config.read_bytes() == before
