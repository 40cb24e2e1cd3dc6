"""Tag writing at the simulated Admin API, by the rules recorded from the real one."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from shopify_sandbox_rig import CUSTOMERS, Rig, gid

TAGS = st.lists(st.text(alphabet="aAbBcC, -", min_size=1, max_size=6), max_size=5)


def change(rig: Rig, action: str, of: int, tags: list[str]) -> Any:
    query = (
        f"mutation($id: ID!, $tags: [String!]!) {{ {action}(id: $id, tags: $tags) "
        "{ node { ... on Customer { tags } } userErrors { field message } } }"
    )
    return rig.ask(query, id=gid("Customer", of), tags=tags)["data"][action]


def test_commas_split_spaces_go_and_the_first_spelling_stays() -> None:
    """`a, b` is two tags; `RED` where `Red` exists changes nothing; removal ignores case; the list is sorted."""
    rig = Rig()
    ana = rig.world.add_customer(tags=["Red"])
    rig.open()
    assert change(rig, "tagsAdd", ana.number, [" b, a ", "RED"])["node"]["tags"] == ["Red", "a", "b"]
    assert change(rig, "tagsRemove", ana.number, ["rEd", "absent"])["node"]["tags"] == ["a", "b"]


@given(TAGS, TAGS)
def test_both_calls_are_idempotent_and_set_like(before: list[str], change_by: list[str]) -> None:
    """Doing a call twice leaves what doing it once leaves, and touches the customer only once."""
    rig = Rig()
    ana = rig.world.add_customer()
    rig.open()
    for action in ("tagsAdd", "tagsRemove"):
        change(rig, "tagsAdd", ana.number, before)
        rig.clock.advance(60)
        once = change(rig, action, ana.number, change_by)
        moment = ana.updated_at
        rig.clock.advance(60)
        assert change(rig, action, ana.number, change_by) == once
        assert ana.updated_at == moment
        wanted = {part.strip().casefold() for tag in change_by for part in tag.split(",")} - {""}
        have = {tag.casefold() for tag in ana.tag_list}
        assert wanted <= have if action == "tagsAdd" else not wanted & have


def test_a_tag_write_dates_the_customer_so_that_the_next_pull_sees_it() -> None:
    """Our own write comes back in the incremental list."""
    rig = Rig()
    ana = rig.world.add_customer(at=int(rig.clock.now()) - 90 * 86_400)
    rig.open()
    change(rig, "tagsAdd", ana.number, ["seg-vip"])
    rig.clock.advance(10)
    assert rig.ids(CUSTOMERS, "customers", first=5, query="updated_at:>='2026-11-18'") == [ana.number]


def test_somebody_who_is_gone_is_a_user_error_and_no_other_alias_suffers() -> None:
    """Aliases run in order; a missing customer fails alone."""
    rig = Rig()
    ana, gone = rig.world.add_customer(), rig.world.add_customer()
    rig.open()
    rig.world.delete_customer(gone)
    answer = rig.ask(
        """mutation($gone: ID!, $ana: ID!) {
          r0: tagsRemove(id: $ana, tags: ["a"]) { userErrors { field message } }
          a1: tagsAdd(id: $gone, tags: ["a"]) { node { id } userErrors { field message } }
          a0: tagsAdd(id: $ana, tags: ["a"]) { userErrors { field message } }
        }""",
        ana=gid("Customer", ana.number),
        gone=gid("Customer", gone.number),
    )
    assert answer["data"]["a1"] == {
        "node": None, "userErrors": [{"field": ["id"], "message": "Customer does not exist"}],
    }  # fmt: skip
    assert ana.tag_list == ["a"]
    assert answer["extensions"]["cost"]["actualQueryCost"] == 30
    assert (rig.api.writes, rig.api.site.touched) == (3, [("tagsAdd", ana.number, ("a",))])


def test_limits_of_number_and_length() -> None:
    """At most 250 tags of at most 255 characters; a refused call changes nothing."""
    rig = Rig()
    ana = rig.world.add_customer(tags=[f"t{n}" for n in range(249)])
    rig.open()
    assert change(rig, "tagsAdd", ana.number, ["x", "y"])["userErrors"][0]["message"] == "Tags cannot be more than 250"
    too_long = change(rig, "tagsAdd", ana.number, ["x" * 256])["userErrors"][0]["message"]
    assert too_long == "Tags is too long (maximum is 255 characters)"
    assert len(ana.tags) == 249
    assert change(rig, "tagsAdd", ana.number, ["x", "T1"])["userErrors"] == []


def test_writing_needs_its_scope() -> None:
    """Without write_customers the mutation is denied and nothing is written."""
    rig = Rig()
    ana = rig.world.add_customer()
    rig.world.denied.add("write_customers")
    rig.open()
    answer = rig.ask(
        'mutation($id: ID!) { tagsAdd(id: $id, tags: ["a"]) { userErrors { message } } }',
        id=gid("Customer", ana.number),
    )
    assert answer["data"] == {"tagsAdd": None}
    assert answer["errors"][0]["extensions"]["code"] == "ACCESS_DENIED"
    assert (ana.tags, rig.api.writes) == ({}, 0)
