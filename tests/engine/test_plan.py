"""What a plan says of membership, ledger and destinations."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_destination import FakeLists, FakeTags
from plan_rig import NOW, PlanRig, Wish

from connector.base import Shop
from connector.errors import AuthError, Unavailable
from sync.errors import SegmentError, UsageError
from sync.push.audiences import retire
from sync.push.plan import Plan
from sync.push.plan_value import AudiencePlan, dump, load
from sync.store import sight
from sync.store.sight import Sight

VIP = Wish("vip", "VIPs")


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[PlanRig]:
    rig = PlanRig(tmp_path / "shop.db")
    yield rig
    rig.store.close()


def audience(plan: Plan, destination: str = "tags", segment: str = "vip") -> AudiencePlan:
    return next(its for its in plan.audiences if (its.destination, its.segment) == (destination, segment))


def held(plan: Plan) -> list[tuple[str, str, str]]:
    return [(guard.guard, guard.destination, guard.segment) for guard in plan.guards]


def test_a_first_plan_adds_everybody_and_sends_nothing(rig: PlanRig) -> None:
    """Planning counts the first fill and leaves the destination alone."""
    tags = FakeTags()
    rig.destinations = [tags]
    rig.people(range(1, 21))
    rig.segment(VIP, range(1, 21))
    plan = rig.plan()
    its = audience(plan)
    assert (its.name, its.matched, its.size, its.before, its.add, its.remove) == ("seg-vip", 20, 20, 0, 20, 0)
    assert plan.guards == ()
    assert plan.calls_estimated == 7
    assert tags.pushed == []


def test_json_has_the_contracts_shape(rig: PlanRig) -> None:
    """`plan --json` keeps its names."""
    rig.destinations = [FakeTags()]
    rig.people([1])
    rig.segment(VIP, [1])
    shown = rig.plan().to_json()
    assert list(shown)[:5] == ["id", "now", "guards", "audiences", "calls_estimated"]
    assert list(shown["audiences"][0])[:8] == [
        "destination",
        "segment",
        "name",
        "matched",
        "size",
        "add",
        "remove",
        "skipped",
    ]
    assert shown["now"] == "2026-09-21T14:13:20Z"


def test_a_plan_survives_being_stored(rig: PlanRig) -> None:
    """What is loaded equals what was made."""
    rig.destinations = [FakeTags(), FakeLists()]
    rig.people(range(1, 30))
    rig.segment(VIP, range(1, 30))
    plan = rig.plan()
    assert load(dump(plan)) == plan


def test_the_same_state_gives_the_same_plan(rig: PlanRig) -> None:
    """The id stands for the content: a later moment without news gives it again, news give another."""
    rig.destinations = [FakeTags()]
    rig.people([1, 2])
    rig.segment(VIP, [1])
    first = rig.plan()
    rig.now += 60
    assert rig.plan().id == first.id
    rig.segment(VIP, [2])
    assert rig.plan().id != first.id


def test_push_names_the_destinations(rig: PlanRig) -> None:
    """A segment goes only where it is pushed to."""
    rig.destinations = [FakeTags(), FakeLists()]
    rig.people([1])
    rig.segment(Wish("vip", "VIPs", push=("mail",)), [1])
    assert [(its.destination, its.segment) for its in rig.plan().audiences] == [("mail", "vip")]


def test_an_unavailable_segment_is_named_and_not_compared(rig: PlanRig) -> None:
    """Its audience stays as it is, whatever membership says."""
    tags = FakeTags()
    rig.destinations = [tags]
    rig.people(range(1, 5))
    rig.segment(VIP, range(1, 5))
    rig.sync()
    rig.segment(VIP, [], missing="e-mail events never read")
    plan = rig.plan()
    assert plan.unavailable == (("vip", "e-mail events never read"),)
    assert plan.audiences == ()
    assert plan.retired == ()
    rig.apply(plan)
    assert tags.state() == {"seg-vip": [1, 2, 3, 4]}


def test_names_that_clash_or_are_too_long_stop_the_plan(rig: PlanRig) -> None:
    """Two segments never share a list, and no name is cut."""
    rig.destinations = [FakeLists()]
    rig.segment(VIP, [])
    rig.segment(Wish("best", "vips"), [])
    with pytest.raises(SegmentError, match="'vip' and 'best' would both be"):
        rig.plan()
    rig.wishes = [Wish("vip", "x" * 260)]
    with pytest.raises(SegmentError, match="270 characters, 255 are allowed"):
        rig.plan()


def test_a_force_for_a_segment_that_does_not_exist_is_a_usage_error(rig: PlanRig) -> None:
    """A typing mistake never passes for consent."""
    rig.segment(VIP, [])
    with pytest.raises(UsageError, match="did you mean 'vip'"):
        rig.plan("mass-remove:vpi")
    with pytest.raises(UsageError, match="did you mean 'mass-remove'"):
        rig.plan("mass-removal")


def test_many_leaving_hold_the_audience_until_forced(rig: PlanRig) -> None:
    """Over 30 % of 10 or more; the other audiences go on."""
    tags = FakeTags()
    rig.destinations = [tags]
    rig.people(range(1, 41))
    rig.segment(VIP, range(1, 21))
    rig.segment(Wish("new", "New"), range(21, 41))
    rig.sync()
    rig.segment(VIP, range(1, 14))
    rig.segment(Wish("new", "New"), range(21, 40))
    plan = rig.plan()
    assert held(plan) == [("mass-remove", "tags", "vip")]
    assert plan.guards[0].text == (
        "tags: vip: 7 of 20 members (35%, over 30%) would leave; pass with --force mass-remove:vip"
    )
    rig.apply(plan)
    assert len(tags.state()["seg-vip"]) == 20
    assert len(tags.state()["seg-new"]) == 19
    forced = rig.plan("mass-remove:vip")
    assert forced.guards == ()
    assert [guard.guard for guard in forced.passed] == ["mass-remove"]
    rig.apply(forced)
    assert tags.state()["seg-vip"] == list(range(1, 14))


def test_losses_of_consent_deletions_and_merges_hold_nothing(rig: PlanRig) -> None:
    """They always go out, however many."""
    lists = FakeLists()
    rig.destinations = [lists]
    rig.people(range(1, 21))
    rig.segment(VIP, range(1, 21))
    rig.sync()
    for number in range(1, 9):
        rig.change(number, email_status="UNSUBSCRIBED")
    for number in range(9, 15):
        rig.change(number, gone_at=NOW)
    rig.change(15, gone_at=NOW, merged_into=16)
    rig.segment(VIP, [*range(1, 9), *range(16, 21)])
    plan = rig.plan()
    its = audience(plan, "mail")
    assert (its.before, its.remove, its.lost, its.size) == (20, 15, 15, 5)
    assert plan.guards == ()
    rig.apply(plan)
    assert lists.state() == {"Regulars: VIPs": sorted(f"P-p{number}@example.com" for number in range(16, 21))}


def test_a_changed_condition_holds_until_forced_once(rig: PlanRig) -> None:
    """The new condition counts as accepted from the forced run on."""
    rig.destinations = [FakeTags()]
    rig.people(range(1, 4))
    rig.segment(VIP, [1, 2])
    rig.sync()
    rig.segment(Wish("vip", "VIPs", rule_hash="r2"), [1, 3])
    assert held(rig.plan()) == [("definition-changed", "tags", "vip")]
    rig.sync("definition-changed")
    rig.segment(Wish("vip", "VIPs", rule_hash="r2"), [1])
    assert held(rig.plan()) == []


def test_a_changed_condition_holds_the_first_people_whom_it_moves(rig: PlanRig) -> None:
    """Also when that is days later, and though other audiences were written in between."""
    rig.destinations = [FakeTags()]
    rig.people([1, 2])
    rig.segment(VIP, [1])
    rig.segment(Wish("new", "New"), [1])
    rig.sync()
    rig.segment(Wish("vip", "VIPs", rule_hash="r2"), [1])
    rig.sync()
    rig.segment(Wish("new", "New"), [2])
    assert rig.sync().exit_code == 0
    rig.segment(Wish("vip", "VIPs", rule_hash="r2"), [1, 2])
    assert held(rig.plan()) == [("definition-changed", "tags", "vip")]
    rig.sync("definition-changed")
    rig.segment(Wish("vip", "VIPs", rule_hash="r2"), [1])
    assert held(rig.plan()) == []


def test_stale_streams_hold_what_reads_them(rig: PlanRig) -> None:
    """A segment over orders waits for a completed read of orders."""
    rig.destinations = [FakeTags()]
    rig.people([1])
    rig.segment(VIP, [1])
    rig.segment(Wish("new", "New", sources=frozenset({"customers"})), [1])
    rig.read(NOW - 25 * 3600, "orders")
    plan = rig.plan()
    assert held(plan) == [("stale-source", "tags", "vip")]
    assert "orders last read 25 h ago, more than 24 h" in plan.guards[0].text


def test_refused_consent_holds_e_mail_after_a_day(rig: PlanRig) -> None:
    """What was agreed to a day ago may have been taken back; tags carry no consent and go on."""
    rig.destinations = [FakeTags(), FakeLists()]
    rig.people([1])
    rig.segment(VIP, [1])
    for hours, expected in ((23, []), (25, [("stale-source", "mail", "vip")])):
        with rig.store.begin() as conn:
            sight.save(conn, "customers", Sight(columns=("email_status",), since=NOW - hours * 3600))
        assert held(rig.plan()) == expected


def test_a_truncated_history_holds_what_reads_orders_until_accepted(rig: PlanRig) -> None:
    """The standing acceptance of the config passes it on every run."""
    rig.destinations = [FakeTags()]
    rig.people([1])
    rig.segment(VIP, [1])
    shop = Shop("1", "Shop", "EUR", "UTC", oldest_order=NOW - 60 * 86_400)
    assert held(rig.plan(shop=shop)) == [("truncated-history", "tags", "vip")]
    assert held(rig.plan(shop=shop, accept=["truncated-history"])) == []


def test_tags_of_our_name_without_a_ledger_are_held_or_taken_over(rig: PlanRig) -> None:
    """`--adopt` counts the carriers as ours, so that those who do not belong lose the tag."""
    tags = FakeTags()
    tags.tags.update({1: {"seg-vip"}, 2: {"Seg-VIP".lower(), "blue"}, 3: set()})
    rig.destinations = [tags]
    rig.people(range(1, 4))
    rig.sql("INSERT INTO customer_tags VALUES (?, ?, ?)", [(1, "seg-vip", 1), (2, "Seg-VIP", 1), (2, "blue", 0)])
    rig.segment(VIP, [1, 3])
    plan = rig.plan()
    assert held(plan) == [("unknown-ledger", "tags", "vip")]
    assert 'the tag "seg-vip" is on 2 people and not in our ledger' in plan.guards[0].text
    adopting = rig.plan(adopt=True)
    its = audience(adopting)
    assert (its.before, its.add, its.remove, its.size) == (2, 1, 1, 2)
    rig.apply(adopting)
    assert tags.state() == {"seg-vip": [1, 3], "blue": [2]}
    assert rig.ledger("tags") == {"vip": [1, 3]}


def test_adopting_tags_that_are_right_already_is_remembered(rig: PlanRig) -> None:
    """Nothing is sent, and the next plan knows them."""
    rig.destinations = [FakeTags()]
    rig.people([1])
    rig.sql("INSERT INTO customer_tags VALUES (1, 'seg-vip', 1)")
    rig.segment(VIP, [1])
    rig.sync(adopt=True)
    plan = rig.plan()
    assert (plan.pending, held(plan), rig.ledger("tags")) == (False, [], {"vip": [1]})


def test_forcing_an_unknown_ledger_leaves_strangers_alone(rig: PlanRig) -> None:
    """Without --adopt only those whom we added are ever removed."""
    tags = FakeTags()
    tags.tags[2].add("seg-vip")
    rig.destinations = [tags]
    rig.people([1, 2])
    rig.sql("INSERT INTO customer_tags VALUES (2, 'seg-vip', 1)")
    rig.segment(VIP, [1])
    rig.sync("unknown-ledger")
    rig.segment(VIP, [])
    rig.sync("emptied")
    assert tags.state() == {"seg-vip": [2]}


def test_a_list_of_our_name_is_adopted_only_when_asked_and_unique(rig: PlanRig) -> None:
    """Its strangers count nowhere and stay."""
    lists = FakeLists()
    lists.lists = {"L9": ("Regulars: VIPs", {"stranger"})}
    rig.destinations = [lists]
    rig.people([1])
    rig.segment(VIP, [1])
    assert held(rig.plan()) == [("unknown-ledger", "mail", "vip")]
    plan = rig.plan(adopt=True)
    assert (audience(plan, "mail").before, audience(plan, "mail").size) == (0, 1)
    rig.apply(plan)
    assert lists.state() == {"Regulars: VIPs": ["P-p1@example.com", "stranger"]}


def test_two_lists_of_our_name_are_never_adopted(rig: PlanRig) -> None:
    """The owner has to say which one."""
    lists = FakeLists()
    lists.lists = {"L8": ("Regulars: VIPs", set()), "L9": ("Regulars: VIPs", set())}
    rig.destinations = [lists]
    rig.people([1])
    rig.segment(VIP, [1])
    assert held(rig.plan(adopt=True)) == [("unknown-ledger", "mail", "vip")]


def test_a_live_flow_on_an_adopted_list_holds_the_first_push(rig: PlanRig) -> None:
    """After the first fill it is only named."""
    lists = FakeLists()
    lists.lists = {"L9": ("Regulars: VIPs", set())}
    lists.flows = {"L9": ["Welcome"]}
    rig.destinations = [lists]
    rig.people([1, 2])
    rig.segment(VIP, [1])
    plan = rig.plan(adopt=True)
    assert held(plan) == [("live-flow", "mail", "vip")]
    assert '1 person would start the live flow "Welcome"' in plan.guards[0].text
    rig.sync("live-flow", adopt=True)
    rig.segment(VIP, [1, 2])
    later = rig.plan()
    assert (held(later), audience(later, "mail").flows) == ([], ("Welcome",))


def test_a_retired_segment_stays_until_it_is_retired_by_name(rig: PlanRig) -> None:
    """Leaving the configuration alone removes nobody."""
    tags = FakeTags()
    rig.destinations = [tags]
    rig.people(range(1, 21))
    rig.segment(VIP, range(1, 21))
    rig.sync()
    rig.wishes = []
    plan = rig.plan()
    assert [(its.segment, its.size) for its in plan.retired] == [("vip", 20)]
    assert not plan.pending
    retire(rig.store, "vip")
    plan = rig.plan()
    assert (audience(plan).remove, plan.guards) == (20, ())
    rig.apply(plan)
    assert tags.state() == {}
    assert not rig.plan().pending


def test_a_segment_still_configured_cannot_be_retired(rig: PlanRig) -> None:
    """The configuration would fill it again."""
    rig.destinations = [FakeTags()]
    rig.people([1])
    rig.segment(VIP, [1])
    rig.sync()
    with pytest.raises(UsageError, match="still configured"):
        retire(rig.store, "vip", pushed=["tags"])
    with pytest.raises(UsageError, match="no audience of a segment 'vpi'; there are vip"):
        retire(rig.store, "vpi")


def test_a_changed_name_renames_the_list(rig: PlanRig) -> None:
    """The list keeps its id, its members and the flows that hang on it."""
    lists = FakeLists()
    rig.destinations = [lists]
    rig.people([1])
    rig.segment(VIP, [1])
    rig.sync()
    rig.segment(Wish("vip", "Best"), [1])
    plan = rig.plan()
    assert (audience(plan, "mail").renamed_from, plan.calls_estimated) == ("Regulars: VIPs", 1)
    rig.apply(plan)
    assert lists.lists == {"L1": ("Regulars: Best", {"P-p1@example.com"})}
    assert not rig.plan().pending


def test_a_silent_destination_is_left_out_and_a_refused_key_stops(rig: PlanRig) -> None:
    """The other destinations are planned all the same."""
    lists = FakeLists()
    rig.destinations = [FakeTags(), lists]
    rig.people([1])
    rig.segment(VIP, [1])
    lists.failing = Unavailable("mail", "lookup", "no answer after 5 tries")
    plan = rig.plan()
    assert [its.destination for its in plan.audiences] == ["tags"]
    assert plan.unreachable == (("mail", "mail: lookup: no answer after 5 tries"),)
    lists.failing = AuthError("mail", "lookup", "key refused")
    with pytest.raises(AuthError):
        rig.plan()
