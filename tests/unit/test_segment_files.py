"""Segment files: positions, keys, thresholds, packs, dependencies, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from sync.errors import SegmentError
from sync.segments.catalogue import Segment, load
from sync.segments.places import Place, places


def _load(tmp_path: Path, text: str, packs: tuple[str, ...] = ()) -> dict[str, Segment]:
    path = tmp_path / "segments.toml"
    path.write_text(text, "utf-8")
    return {segment.key: segment for segment in load(packs, [path])}


def _fault(tmp_path: Path, text: str, packs: tuple[str, ...] = ()) -> str:
    with pytest.raises(SegmentError) as caught:
        _load(tmp_path, text, packs)
    return str(caught.value)


def test_places_finds_every_kind_of_string() -> None:
    """Basic, literal and multi-line strings, dotted and quoted keys, arrays and remarks in between."""
    text = (
        "# where = \"no\"\n[a.b]\nwhere = \"x\"\n  other = [1, # ]\n 2]\n[\"a\".'c:d']\nwhere   =   '''\n y\n'''\n"
        'p.q = """z"""\nlast = "with \\" escape"\n'
    )
    found = places(text)
    assert found["a", "b"] == Place(2, 1)
    assert found["a", "b", "where"] == Place(3, 10)
    assert found["a", "c:d", "where"] == Place(8, 1)
    assert found["a", "c:d", "p", "q"] == Place(10, 10)
    assert found["a", "c:d", "last"] == Place(11, 9, exact=False)


def test_a_fault_in_a_multi_line_condition_names_its_own_line(tmp_path: Path) -> None:
    """The line of the file, not that of the table or of the key."""
    text = '\n[segment.vip]\nname = "VIP"\nwhere = """\n  number_of_orders > 1\n  AND amount > 3\n"""\n'
    assert _fault(tmp_path, text).startswith("segments.toml:6 segment \"vip\": unknown attribute 'amount'")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[segment.a]\nname = "A"\n', 'segments.toml:1 segment "a": has no condition'),
        ('[segment.a]\nwere = "x"\n', "segments.toml:2 segment \"a\": unknown setting 'were'; did you mean 'where'?"),
        ('[segment."A b"]\nwhere = "open_carts > 1"\n', 'segments.toml:1 segment "A b": a key is made of'),
        ('[segment.a]\nwhere = "open_carts > {n}"\n', "segments.toml:2 segment \"a\": unknown threshold 'n'"),
        ('[segment.a]\nwhere = "open_carts > 1"\npush = "tags"\n', 'segments.toml:3 segment "a": push is a list'),
        ('[segment.a]\nwhere = "number_of_orders > 1"\nturnover = "x"\n', 'segments.toml:3 segment "a": turnover is'),
        ("[segment.a]\nwhere = 3\n", 'segments.toml:1 segment "a": has no condition'),
        ('[segments.a]\nwhere = "x"\n', "segments.toml:1: unknown table [segments]"),
        ("[segment.a\n", "segments.toml: not a TOML file"),
    ],
)
def test_faults_of_a_file_name_their_line(tmp_path: Path, text: str, said: str) -> None:
    """Each fault with file, line and key, and the nearest name where there is one."""
    assert said in _fault(tmp_path, text)


def test_a_segment_that_leads_back_to_itself_shows_the_way(tmp_path: Path) -> None:
    """The whole circle is named."""
    text = "".join(
        f"[segment.{key}]\nwhere = \"number_of_orders > 1 AND IN SEGMENT '{other}'\"\n"
        for key, other in (("a", "b"), ("b", "c"), ("c", "a"))
    )
    assert "the segment refers to itself: a -> b -> c -> a" in _fault(tmp_path, text)
    assert "itself: s -> s" in _fault(tmp_path, "[segment.s]\nwhere = \"IN SEGMENT 's'\"\n")


def test_an_unknown_segment_is_pointed_at(tmp_path: Path) -> None:
    """With the nearest key and a caret under the reference."""
    text = "[segment.a]\nwhere = \"number_of_orders > 1 AND IN SEGMENT 'bb'\"\n"
    text += '[segment.bbb]\nwhere = "number_of_orders > 2"\n'
    head, _, caret = _fault(tmp_path, text).split("\n")
    assert head == "segments.toml:2 segment \"a\": unknown segment 'bb'; did you mean 'bbb'?"
    assert caret == "  " + " " * 25 + "^"


def test_order_hash_and_sources_follow_dependencies(tmp_path: Path) -> None:
    """What is named comes first; its meaning is part of the hash, its sources of the sources; spelling is not."""
    text = '[segment.z]\nwhere = "IN SEGMENT \'a\'"\n[segment.a]\nwhere = "open_carts > {n}"\n[thresholds]\nn = 1\n'
    first = _load(tmp_path, text)
    assert list(first) == ["a", "z"]
    assert first["z"].sources == {"carts"}
    respelled = _load(tmp_path, text.replace("open_carts > {n}", "open_carts>1 -- more than one"))
    assert {key: one.rule_hash for key, one in respelled.items()} == {key: one.rule_hash for key, one in first.items()}
    changed = _load(tmp_path, text.replace("n = 1", "n = 2"))
    assert changed["a"].rule_hash != first["a"].rule_hash
    assert changed["z"].rule_hash != first["z"].rule_hash


def test_an_owners_segment_replaces_the_catalogues_and_goes_everywhere(tmp_path: Path) -> None:
    """Same key: the owner's condition and push hold; others of the pack stay as they are."""
    found = _load(tmp_path, '[segment.repeat]\nwhere = "number_of_orders >= 9"\n', packs=("lifecycle",))
    assert found["repeat"].where == "number_of_orders >= 9"
    assert (found["repeat"].push, found["repeat"].pack) == (None, None)
    assert (found["prospect"].push, found["new"].push) == ((), None)


def test_an_entry_that_is_only_named_comes_along_and_is_pushed_nowhere(tmp_path: Path) -> None:
    """IN SEGMENT 'vip' works without the pack of vip."""
    found = _load(tmp_path, "[segment.mine]\nwhere = \"IN SEGMENT 'at-risk-vip'\"\n")
    assert list(found) == ["vip", "at-risk-vip", "mine"]
    assert found["vip"].push == found["at-risk-vip"].push == ()


def test_two_segments_of_one_name_or_key_are_refused(tmp_path: Path) -> None:
    """Lists go by name, so one name is one list."""
    text = '[segment.a]\nname = "One"\nwhere = "open_carts = 1"\n[segment.b]\nname = "one"\nwhere = "open_carts = 2"\n'
    assert 'its name "one" is also that of "a"' in _fault(tmp_path, text)
    other = tmp_path / "other.toml"
    other.write_text('[segment.a]\nwhere = "number_of_orders > 3"\n', "utf-8")
    mine = tmp_path / "mine.toml"
    mine.write_text('[segment.a]\nwhere = "number_of_orders > 3"\n', "utf-8")
    with pytest.raises(SegmentError, match="the key is also in other"):
        load([], [other, mine])


def test_an_unknown_pack_is_told_with_the_nearest() -> None:
    """And the packs there are."""
    with pytest.raises(SegmentError, match="unknown pack 'cart'; did you mean 'carts'"):
        load(["cart"])
