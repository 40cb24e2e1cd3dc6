"""The generic mapping: five verbs, exact money, errors that name the place."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings.keys import LARGEST, key
from mappings.load import MappingError, SpecError, load, parse
from mappings.money import exponent, to_minor, to_text

EXAMPLE = """
[limits]
page = 250

[stream.things]
record = "id"
currency = "currency"

[stream.things.table.things.columns]
id = { path = "id", type = "gid" }
at = { path = "when.at", type = "instant?" }
amount = { path = "amount", type = "money", default = 0 }
count = { path = "count", type = "int?" }
name = { path = "name", type = "text?" }
key = { path = "name", type = "key?" }
flag = { path = "flag", type = "bool", default = false }
kind = { const = "thing" }
state = { path = "state", type = "text?", map = { OPEN = "open", "*" = "other" } }

[stream.things.table.parts]
each = "parts.nodes"

[stream.things.table.parts.columns]
thing_id = { path = "^id", type = "gid" }
price = { path = "price", type = "money" }

[stream.things.table.tags]
each = "tags"

[stream.things.table.tags.columns]
thing_id = { path = "^id", type = "gid" }
tag = { path = ".", type = "text" }
"""

THING: dict[str, Any] = {
    "id": "gid://shopify/Thing/7",
    "currency": "EUR",
    "when": {"at": "2026-11-20T13:00:00+01:00"},
    "amount": "12.5",
    "count": "9007199254740993",
    "name": " Ann ",
    "flag": True,
    "state": "OPEN",
    "parts": {"nodes": [{"price": "1.00"}, {"price": "-2.30"}]},
    "tags": ["a", "b"],
    "stranger": {"deep": [1]},
}


def rows(**changes: Any) -> dict[str, list[tuple[Any, ...]]]:
    return parse("example", EXAMPLE).stream("things")({**THING, **changes})


def test_record_becomes_rows_in_column_order() -> None:
    """One row for the record, one for each item of a list; fields that no column names are ignored."""
    mapping = parse("example", EXAMPLE)
    assert rows() == {
        "things": [(7, 1795176000, 1250, 9007199254740993, " Ann ", "ann", True, "thing", "open")],
        "parts": [(7, 100), (7, -230)],
        "tags": [(7, "a"), (7, "b")],
    }
    assert mapping.columns("things")["parts"] == ("thing_id", "price")
    assert mapping.data == {"limits": {"page": 250}}


def test_missing_values_are_null_or_the_default() -> None:
    """Absent, null and empty text are the same: missing."""
    bare = {"id": THING["id"], "currency": "EUR", "name": "", "when": None}
    assert parse("example", EXAMPLE).stream("things")(bare) == {
        "things": [(7, None, 0, None, None, None, False, "thing", None)],
        "parts": [],
        "tags": [],
    }


@pytest.mark.parametrize(
    ("change", "path", "reason"),
    [
        ({"id": "gid://shopify/Thing/x"}, "id", "numbered id"),
        ({"id": None}, "id", "is missing"),
        ({"id": f"gid://shopify/Thing/{2**63}"}, "id", "64 bits"),
        ({"when": {"at": "2026-11-20T13:00:00"}}, "when.at", "no offset"),
        ({"when": {"at": "yesterday"}}, "when.at", "yesterday"),
        ({"when": "now"}, "when.at", "no object"),
        ({"amount": 12.5}, "amount", "no decimal text"),
        ({"amount": "12.505"}, "amount", "more than 2 decimals"),
        ({"amount": "1e3"}, "amount", "not an amount"),
        ({"amount": "NaN"}, "amount", "not an amount"),
        ({"count": "1.5"}, "count", "no whole number"),
        ({"count": True}, "count", "no whole number"),
        ({"flag": "true"}, "flag", "neither true nor false"),
        ({"name": 5}, "name", "no text"),
        ({"currency": "XX1"}, "currency", "ISO 4217"),
        ({"currency": None}, "currency", "is missing"),
        ({"parts": {"nodes": [{"price": "1"}, {}]}}, "parts.nodes[1].price", "is missing"),
        ({"parts": {"nodes": {}}}, "parts.nodes", "no list"),
        ({"tags": ["a", None]}, "tags[1]", "is missing"),
    ],
)
def test_misfit_names_record_and_place(change: dict[str, Any], path: str, reason: str) -> None:
    """A record that does not fit raises with its id, the path and why."""
    with pytest.raises(MappingError) as caught:
        rows(**change)
    assert (caught.value.path, caught.value.record_id) == (path, str(change.get("id", THING["id"]) or "?"))
    assert reason in caught.value.reason


IDS = """
[stream.things]
record = "id"
[stream.things.table.things.columns]
id = { path = "id", type = "id" }
owner = { path = "owner", type = "id?" }
"""
GUID = "6fc64e2f-9d5c-4b51-8f3c-6f1e2d3c4b5a"


def test_an_id_is_its_number_or_the_key_of_its_text() -> None:
    """Numbers stand for themselves, as text or not; a GUID has one key however it is spelled; no text is no id."""
    mapping = parse("example", IDS).stream("things")
    assert mapping({"id": "7", "owner": 8}) == {"things": [(7, 8)]}
    assert mapping({"id": GUID, "owner": GUID.upper()}) == {"things": [(key(GUID), key(GUID))]}
    assert mapping({"id": "7", "owner": ""}) == {"things": [(7, None)]}


@pytest.mark.parametrize(
    ("found", "reason"), [("", "is missing"), (None, "is missing"), (True, "is no id"), (-1, "no id")]
)
def test_what_is_no_id_is_refused(found: Any, reason: str) -> None:
    """Nothing that could name no record gets a key."""
    with pytest.raises(MappingError, match=reason):
        parse("example", IDS).stream("things")({"id": found})


@given(st.integers(0, LARGEST))
def test_a_number_is_its_own_key(number: int) -> None:
    """Numeric ids need no table to find the way back."""
    assert key(str(number)) == number


@given(st.text(min_size=1))
def test_a_key_fits_and_does_not_depend_on_letter_case(text: str) -> None:
    """Every text has a key of 63 bits, which stays the same; a text that its key would not give back has a hash."""
    assert 0 <= key(text) <= LARGEST
    assert key(text.lower()) == key(text)
    assert key("0" + str(key(text))) != key(str(key(text)))


def test_the_key_of_a_text_is_what_it_always_was() -> None:
    """Stored rows are found again by later versions."""
    assert key(GUID) == 5016323105424909054


def test_unlisted_value_is_refused_unless_a_star_takes_it() -> None:
    """`map` never lets a value through by accident."""
    assert rows(state="STRANGE")["things"][0][-1] == "other"
    strict = EXAMPLE.replace(', "*" = "other"', "")
    with pytest.raises(MappingError, match="unknown value 'STRANGE'"):
        parse("example", strict).stream("things")({**THING, "state": "STRANGE"})


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ('type = "int?"', 'type = "number"', "no type 'number'"),
        ('{ const = "thing" }', '{ const = "thing", type = "text" }', "stands alone"),
        ('{ const = "thing" }', '{ type = "text" }', "either a path or a const"),
        ('currency = "currency"\n', "", "names no currency"),
        ('path = "when.at"', 'path = "when..at"', "not a path"),
        ('path = "when.at"', 'pfad = "when.at"', "at.pfad"),
        ("[limits]", "[limits", "not valid TOML"),
    ],
)
def test_bad_mapping_file_names_file_and_key(old: str, new: str, text: str) -> None:
    """A mistake in a mapping file is told when it is loaded."""
    assert old in EXAMPLE
    with pytest.raises(SpecError, match=r"^example\.toml: ") as caught:
        parse("example", EXAMPLE.replace(old, new))
    assert text in str(caught.value)


CURRENCIES = ["JPY", "EUR", "KWD", "CLF"]


@given(st.integers(-(10**15), 10**15), st.sampled_from(CURRENCIES))
def test_money_survives_the_way_there_and_back(minor: int, currency: str) -> None:
    """Minor units to text and back are the same, and equal the decimal number exactly."""
    decimals = exponent(currency)
    text = to_text(minor, decimals)
    assert to_minor(text, decimals) == minor
    assert Decimal(text) * 10**decimals == minor
    assert to_minor(text + ("0" if "." in text else ".00"), decimals) == minor


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**9), max_value=10**9))
def test_money_is_exact_or_refused(amount: Decimal) -> None:
    """No amount is ever rounded."""
    text = format(amount, "f")
    cents = amount * 100
    if cents == int(cents):
        assert to_minor(text, 2) == int(cents)
    else:
        with pytest.raises(ValueError, match="more than 2 decimals"):
            to_minor(text, 2)


@given(st.text(max_size=8))
def test_only_plain_decimals_are_money(text: str) -> None:
    """What is accepted, Python's Decimal reads as the same number."""
    try:
        minor = to_minor(text, 2)
    except ValueError:
        return
    assert Decimal(text) * 100 == minor


@given(st.dictionaries(st.text(), st.none() | st.integers() | st.text() | st.lists(st.text())))
def test_unknown_fields_change_nothing(strangers: dict[str, Any]) -> None:
    """A platform may add fields whenever it likes."""
    mapping = parse("example", EXAMPLE).stream("things")
    assert mapping({**strangers, **THING}) == mapping(THING)


MESSY = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(max_size=3) | st.sampled_from(["1.00", "7"])
NESTED = MESSY | st.dictionaries(st.sampled_from(["at", "of", "x y"]), MESSY) | st.lists(MESSY, max_size=2)
SHARED = [
    '{ path = "when.at", type = "text?" }',
    '{ path = "when.at", type = "int?", default = 5 }',
    '{ path = "when.at", type = "int" }',
    '{ path = "when.of", type = "key?" }',
    '{ path = "when.x y", type = "bool?" }',
    '{ path = "when.of", map = { "7" = 1, "*" = 2 }, type = "text?" }',
    '{ path = "when.of", map = { "7" = 1 }, default = 3 }',
]


@given(st.fixed_dictionaries({"id": st.just(THING["id"])}, optional={"when": NESTED}))
def test_a_column_is_what_it_is_without_the_others(record: dict[str, Any]) -> None:
    """Columns share the steps of their paths, and nothing else: neither values, defaults nor refusals."""
    alone = [_read([column], record) for column in SHARED]
    refused = [found for found in alone if isinstance(found, str)]
    assert _read(SHARED, record) == (refused[0] if refused else [value for found in alone for value in found])


def _read(columns: list[str], record: dict[str, Any]) -> list[Any] | str:
    text = "\n".join(f"c{at} = {column}" for at, column in enumerate(columns))
    mapping = parse("shared", f'[stream.s]\nrecord = "id"\n[stream.s.table.t.columns]\n{text}').stream("s")
    try:
        return list(mapping(record)["t"][0])
    except MappingError as error:
        return str(error)


def test_a_misfit_in_a_later_list_is_found_there() -> None:
    """The place is told by list and item, also for what the record itself brings to the rows of a list."""
    with pytest.raises(MappingError) as caught:
        rows(parts={"nodes": [{"price": "1"}, {"price": "2"}, 3]})
    assert (caught.value.path, caught.value.reason) == ("parts.nodes[2].price", "stands in something that is no object")
    rooted = EXAMPLE.replace('tag = { path = ".", type = "text" }', 'tag = { path = "^when.tag", type = "text" }')
    with pytest.raises(MappingError) as caught:
        parse("example", rooted).stream("things")(THING)
    assert (caught.value.path, caught.value.reason) == ("when.tag", "is missing")


def test_decimals_by_currency() -> None:
    """ISO 4217: yen none, euro two, dinar three."""
    assert [exponent(code) for code in ("JPY", "EUR", "KWD", "CLF")] == [0, 2, 3, 4]
    with pytest.raises(ValueError, match="no currency 'ABC'"):
        exponent("ABC")


def test_mapping_of_a_platform_is_read_once() -> None:
    """The file of a platform is parsed on first use only."""
    assert load("shopify") is load("shopify")
