"""Profile fields: written on people a destination knows and may mail, only where they differ."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_destination import FakeScanned, Killed
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plan_rig import PlanRig, Wish

from connector.base import Limits
from connector.errors import AuthError, Stopped, Unavailable
from sync.errors import ConfigError
from sync.push import fields
from sync.push.plan_value import dump, load
from sync.push.present import plan_text
from sync.store.plans import load as load_plan
from sync.store.reports import refusals

VIP = Wish("vip", "VIPs")
NAMES = ("customer_language", "last_order_date")
DAY = 86_400


@pytest.fixture
def mail() -> FakeScanned:
    mail = FakeScanned(fields=NAMES)
    mail.profiles = {f"p{number}@example.com": f"X{number}" for number in range(1, 6)}
    return mail


@pytest.fixture
def rig(tmp_path: Path, mail: FakeScanned, monkeypatch: pytest.MonkeyPatch) -> Iterator[PlanRig]:
    monkeypatch.setattr(fields, "CHUNK", 2)
    rig = PlanRig(tmp_path / "shop.db")
    rig.destinations = [mail]
    rig.people(range(1, 7), language="de")
    yield rig
    rig.store.close()


def ordered(rig: PlanRig, number: int, at: int) -> None:
    rig.sql("INSERT OR REPLACE INTO customer_metrics (customer_id, last_order_date) VALUES (?, ?)", (number, at))


def test_fields_are_written_once_and_again_where_they_differ(rig: PlanRig, mail: FakeScanned) -> None:
    """In chunks, counted in plan and report; a value that is missing is an empty text."""
    ordered(rig, 2, 10 * DAY)
    plan = rig.plan()
    assert plan.to_json()["fields"] == [{"destination": "mail", "people": 5}]
    assert plan.changes
    assert plan.calls_estimated == 5
    lines = plan_text(plan)
    assert "  mail profile fields: 5 people" in lines
    assert f"Next: regulars apply {plan.id}" in lines
    assert not any("Nothing to write" in line for line in lines)
    report = rig.apply(plan)
    assert (report.exit_code, report.to_json()[0]["fields"]) == (0, 5)
    assert mail.field_calls == [[1, 2], [3, 4], [5]]
    assert mail.written[1] == {"customer_language": "de", "last_order_date": ""}
    assert mail.written[2] == {"customer_language": "de", "last_order_date": "1970-01-11"}
    assert not rig.plan().pending
    ordered(rig, 2, 11 * DAY)
    rig.change(5, language=None)
    mail.field_calls.clear()
    assert rig.sync().destinations[0].fields == 2
    assert mail.field_calls == [[2, 5]]
    assert mail.written[5] == {"customer_language": "", "last_order_date": ""}
    assert not rig.plan().pending


def test_only_people_who_are_known_and_may_be_mailed_are_written(rig: PlanRig, mail: FakeScanned) -> None:
    """Strangers, the unsubscribed, the suppressed, the gone; of a shared address the customer created first."""
    mail.barred = {"p2@example.com": "cleaned"}
    rig.change(1, email_status="UNSUBSCRIBED")
    rig.change(3, gone_at=5)
    rig.people([7], email_key="p4@example.com", language="fr")
    rig.sync()
    assert mail.written == {number: {"customer_language": "de", "last_order_date": ""} for number in (4, 5)}


def test_days_are_those_of_the_shops_zone(rig: PlanRig, mail: FakeScanned) -> None:
    """Late in the evening in UTC is the next day in Tokyo."""
    rig.sql("INSERT INTO meta (key, value) VALUES ('zone', '\"Asia/Tokyo\"')")
    ordered(rig, 1, 10 * DAY - 3600)
    rig.sync()
    assert mail.written[1]["last_order_date"] == "1970-01-11"
    ordered(rig, 1, 10 * DAY - 7200)
    assert not rig.plan().fields, "the same day is the same value"


def test_who_has_nothing_to_say_is_left_alone(rig: PlanRig, mail: FakeScanned) -> None:
    """Until there is a value; another profile is written anew, and so is another choice of fields."""
    mail.fields = ("last_order_date",)
    assert not rig.plan().pending
    ordered(rig, 1, DAY)
    rig.sync()
    assert mail.field_calls == [[1]]
    mail.profiles["p1@example.com"] = "Y1"
    mail.news = [mail.profile("p1@example.com")]
    rig.sync()
    assert mail.field_calls == [[1], [1]]
    mail.fields = ("last_order_date", "first_order_date")
    rig.sync()
    assert mail.field_calls == [[1], [1], [1]]


def test_fields_come_before_members(rig: PlanRig, mail: FakeScanned) -> None:
    """What joining starts may read them."""
    rig.segment(VIP, [1, 2])
    seen: list[set[int]] = []
    push = mail.push

    def watched(batch: object) -> object:
        seen.append(set(mail.written))
        return push(batch)  # type: ignore[arg-type]

    mail.push = watched  # type: ignore[method-assign, assignment]
    rig.sync()
    assert seen == [{1, 2, 3, 4, 5}]


def test_people_made_by_joining_get_theirs_in_the_same_run(rig: PlanRig, mail: FakeScanned) -> None:
    """Where the destination takes new people, so that the next run has nothing to do."""
    mail.limits = Limits(consent=True, by_email=True, name_length=100)
    rig.segment(VIP, [6])
    report = rig.sync()
    assert report.destinations[0].fields == 6 - 5
    assert not rig.plan().pending


def test_refusals_wait_for_another_value_and_retries_for_the_next_run(rig: PlanRig, mail: FakeScanned) -> None:
    """One person hinders nobody else."""
    mail.refuse = {2: "compliance state"}
    mail.field_later = {3}
    report = rig.sync()
    its = report.destinations[0]
    assert (its.fields, its.refused, its.unfinished, report.exit_code) == (3, 1, 1, 4)
    assert dict(its.reasons) == {"compliance state": 1, "not now": 1}
    with rig.store.read() as conn:
        assert refusals(conn) == [("mail", "compliance state", 1)]
    mail.field_later, mail.refuse = set(), {}
    mail.field_calls.clear()
    assert rig.sync().exit_code == 0
    assert mail.field_calls == [[3]]
    rig.change(2, language="en")
    rig.sync()
    assert mail.field_calls == [[3], [2]]
    assert rig.rows("SELECT count(*) FROM field_ledger WHERE refused IS NOT NULL") == [(0,)]


def test_a_destination_that_refuses_fields_still_gets_its_members(rig: PlanRig, mail: FakeScanned) -> None:
    """The error is told, what is left is counted, the next run writes it."""
    rig.segment(VIP, [1, 2])
    mail.field_failing = Stopped("mail", "write fields", "no such field")
    report = rig.sync()
    its = report.destinations[0]
    assert (its.added, its.fields, its.unfinished, report.exit_code) == (2, 0, 5, 1)
    mail.field_failing = None
    assert rig.sync().exit_code == 0
    mail.field_failing = AuthError("mail", "write fields", "the key is refused")
    rig.change(1, language="en")
    with pytest.raises(AuthError):
        rig.sync()


@pytest.mark.parametrize("call", range(3))
def test_a_death_repeats_only_what_was_not_acknowledged(rig: PlanRig, mail: FakeScanned, call: int) -> None:
    """The same values again for one chunk at most."""
    write = mail.write_fields

    def dying(people: object) -> object:
        if len(mail.field_calls) == call:
            mail.field_failing = Killed()
        return write(people)  # type: ignore[arg-type]

    mail.write_fields = dying  # type: ignore[method-assign, assignment]
    with pytest.raises(Killed):
        rig.sync()
    mail.write_fields, mail.field_failing = write, None  # type: ignore[method-assign]
    rig.reopen()
    mail.field_calls.clear()
    assert rig.sync().exit_code == 0
    assert mail.field_calls == [[1, 2], [3, 4], [5]][call:]
    assert not rig.plan().pending


@pytest.mark.parametrize("after", [False, True])
def test_dying_around_any_transaction_ends_the_same(rig: PlanRig, mail: FakeScanned, after: bool) -> None:
    """Before it commits, or right after."""
    rig.segment(VIP, [1, 2])
    rig.plan()
    rig.store.commits, rig.store.after = 0, after
    for number in range(1, 40):
        rig.store.dies_at, rig.store.commits = number, 0
        try:
            rig.sync()
        except Killed:
            rig.reopen()
            rig.store.after = after
            continue
        break
    rig.store.dies_at = None
    assert {number: its["customer_language"] for number, its in mail.written.items()} == dict.fromkeys(
        range(1, 6), "de"
    )
    assert mail.state() == {"Regulars: VIPs": ["X1", "X2"]}
    assert not rig.plan().pending


def test_a_plan_shown_is_applied_with_its_fields(rig: PlanRig, mail: FakeScanned) -> None:
    """It survives being stored; another value is another plan."""
    plan = rig.plan()
    assert load(dump(plan)) == plan == load_plan(rig.store, plan.id)
    rig.change(1, language="en")
    other = rig.plan()
    assert other.id != plan.id
    _, report = rig.apply_shown(other)
    assert report.destinations[0].fields == 5
    again = rig.apply(other)
    assert (again.exit_code, again.destinations[0].fields) == (0, 0)


def test_a_silent_destination_is_left_for_the_next_run(rig: PlanRig, mail: FakeScanned) -> None:
    """Nothing of it is planned."""
    mail.failing = Unavailable("mail", "changed", "no answer")
    rig.plan()
    rig.later(1)
    assert rig.plan().fields == ()
    mail.failing = None
    assert rig.sync().destinations[0].fields == 5


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("lifecycle_stag", r"mail: fields: no attribute 'lifecycle_stag'; did you mean 'lifecycle_stage'\?"),
        ("customer_tags", "mail: fields: 'customer_tags' is a list"),
        ("days_since_last_order", "changes?.* every day; take 'last_order_date'"),
        ("amount_spent_percentile", "every day"),
    ],
)
def test_what_cannot_be_a_field_is_said(rig: PlanRig, mail: FakeScanned, name: str, text: str) -> None:
    """Before anything is asked or written."""
    mail.fields = (name,)
    with pytest.raises(ConfigError, match=text):
        rig.plan()
    assert mail.calls == 0


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.integers(1, 5), st.sampled_from(["de", "en", None])), max_size=8))
def test_what_is_written_is_what_is_stored(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, str | None]]
) -> None:
    """After any changes, one run later every profile says what the shop says; a further run writes nobody."""
    mail = FakeScanned(fields=("customer_language",))
    mail.profiles = {f"p{number}@example.com": f"X{number}" for number in range(1, 6)}
    rig = PlanRig(tmp_path_factory.mktemp("fields") / "shop.db")
    rig.destinations = [mail]
    rig.people(range(1, 6))
    wanted: dict[int, str] = {}
    for number, language in changes:
        rig.change(number, language=language)
        wanted[number] = language or ""
        rig.sync()
    shown = {number: its["customer_language"] for number, its in mail.written.items()}
    assert {number: shown.get(number, "") for number in wanted} == wanted
    assert not rig.plan().pending
    rig.store.close()
