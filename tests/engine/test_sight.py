"""What a key could not see: it is not forgotten, not taken for gone, and read as soon as it can be."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from fake_source import NOW, FakeSource, Killed, customer, order
from rig import Rig, fresh

from sync.store import sight

DAY = 86_400
CUT = NOW - 60 * DAY


def long_history() -> FakeSource:
    """Five orders, three of them out of sight at first."""
    ages = (300, 200, 100, 30, 10)
    orders = [order(10 + n, NOW - age * DAY, 1, placed_at=NOW - age * DAY) for n, age in enumerate(ages)]
    source = FakeSource(1, customers=[customer(1, email="a@x.org")], orders=orders)
    source.oldest = CUT
    return source


def orders_held(rig: Rig) -> int:
    return int(rig.one("SELECT count(*) FROM orders"))


def test_history_is_read_in_the_run_that_first_sees_it(rig: Rig) -> None:
    """Marks lie past the old orders: they are read from the start, once, and only then is the history whole."""
    rig.source = long_history()
    assert rig.pull().shop.oldest_order == CUT
    assert orders_held(rig) == 2
    rig.source.oldest = None
    assert rig.pull(only=["customers"]).shop.oldest_order == CUT
    assert "have not been" in rig.pull(only=["customers"]).shop.truncated
    report = rig.pull()
    assert (orders_held(rig), report.shop.oldest_order, report.shop.truncated) == (5, None, "")
    rig.source.asked.clear()
    rig.pull()
    assert all(cursor.high_water is not None for name, cursor in rig.source.asked if name == "orders")


def test_history_that_only_moves_on_is_not_read_anew(rig: Rig) -> None:
    """The sixty days end later each day, and clocks may be put back a little; that is no more to see."""
    rig.source = long_history()
    rig.pull()
    rig.source.asked.clear()
    for later in (DAY, DAY - 5):
        rig.now = NOW + later
        rig.source.oldest = CUT + later
        assert rig.pull().shop.oldest_order == CUT + later
    assert all(cursor.high_water is not None for name, cursor in rig.source.asked if name == "orders")


def test_changes_out_of_sight_are_caught_up_with(rig: Rig) -> None:
    """A scope that was lost for a while hid what happened to old orders meanwhile."""
    rig.source = long_history()
    rig.source.oldest = None
    rig.pull()
    rig.source.oldest = CUT
    rig.source.change("orders", 10, refunded=500, updated_at=NOW)
    rig.now += 2 * DAY
    rig.source.records["orders"].append(order(20, rig.now - 100, 1, placed_at=rig.now - 100))
    rig.pull()
    rig.source.oldest = None
    rig.pull()
    assert rig.one("SELECT refunded FROM orders WHERE id = 10") == 500


@pytest.mark.parametrize("first", range(7))
@pytest.mark.parametrize("second", [0, 1, 2, 5, 99])
def test_killed_anywhere_no_history_is_missed(tmp_path: Path, first: int, second: int) -> None:
    """Killed in the cut read and in the whole one: the history counts as truncated until all of it is there."""
    with fresh(tmp_path, long_history()) as rig:
        for oldest, pages in ((CUT, first), (None, second), (CUT, 1), (None, second), (None, None)):
            rig.source.oldest, rig.source.served, rig.source.die_after = oldest, 0, pages
            with suppress(Killed):
                rig.pull()
            with rig.store.read() as connection:
                hidden = sight.hidden(connection, None)
                whole = connection.exec_driver_sql(
                    "SELECT 1 FROM stream_state WHERE stream = 'orders' AND completed_at IS NOT NULL"
                ).first()
            assert hidden is not None or not whole or orders_held(rig) == 5
        assert orders_held(rig) == 5
        assert hidden is None


def people() -> FakeSource:
    return FakeSource(
        3, customers=[customer(n, email=f"p{n}@x.org", at=NOW - 5000) for n in (1, 2, 3)], orders=[order(11, who=1)]
    )


def touch_all(rig: Rig) -> None:
    rig.now += 60
    for name in ("customers", "orders"):
        for each in rig.source.records[name]:
            each["updated_at"] = rig.now


def known(rig: Rig) -> list[tuple[Any, ...]]:
    return rig.store.query("SELECT id, email_key, email_status FROM customers ORDER BY id")


def test_refused_fields_do_not_empty_what_is_known(rig: Rig) -> None:
    """Addresses and consent stay, the run says so once as news, and who is new has none."""
    rig.source = people()
    rig.pull()
    before = known(rig)
    rig.clean()
    rig.source.refused["customers"] = ("email", "email_status")
    touch_all(rig)
    rig.source.records["customers"].append(customer(4, rig.now, "p4@x.org"))
    report = rig.pull()
    assert known(rig) == [*before, (4, None, None)]
    assert rig.dirty() == {4}
    assert report.partly
    assert "customers: access to email, email_status is refused" in report.notes[0]
    with rig.store.read() as connection:
        assert sight.consent_read(connection) == {"consent": NOW}
    again = rig.pull()
    assert again.notes == report.notes
    assert not again.partly


def test_what_was_refused_is_read_as_soon_as_it_is_shown(rig: Rig) -> None:
    """Also of people who changed meanwhile and not since, and nothing is read twice after that."""
    rig.source = people()
    rig.pull()
    rig.source.refused["customers"] = ("email", "email_status")
    touch_all(rig)
    rig.source.change("customers", 2, email="new@x.org")
    rig.source.change("customers", 3, email=None, email_status=None)
    rig.pull()
    rig.now += DAY
    rig.source.refused.clear()
    report = rig.pull()
    assert known(rig) == [(1, "p1@x.org", "SUBSCRIBED"), (2, "new@x.org", "SUBSCRIBED"), (3, None, None)]
    assert report.notes == ()
    with rig.store.read() as connection:
        assert sight.consent_read(connection) == {}
    rig.source.asked.clear()
    rig.pull()
    assert all(cursor.high_water is not None for name, cursor in rig.source.asked if name == "customers")


@pytest.mark.parametrize(
    ("before", "after", "stays"),
    [
        ("SUBSCRIBED", "UNSUBSCRIBED", "UNSUBSCRIBED"),
        ("UNSUBSCRIBED", "SUBSCRIBED", "UNSUBSCRIBED"),
        ("SUBSCRIBED", "SUBSCRIBED", "SUBSCRIBED"),
    ],
)
def test_consent_without_its_address_is_lost_but_not_won(rig: Rig, before: str, after: str, stays: str) -> None:
    """It may be of another address than the one we know."""
    rig.source = people()
    rig.source.change("customers", 1, email_status=before)
    rig.pull()
    rig.source.refused["customers"] = ("email",)
    touch_all(rig)
    rig.source.change("customers", 1, email_status=after)
    rig.pull()
    assert known(rig)[0] == (1, "p1@x.org", stays)


def test_kept_consent_does_not_pass_to_another_address(rig: Rig) -> None:
    """Consent that may not be read is that of the address it was given for."""
    rig.source = people()
    rig.pull()
    rig.source.refused["customers"] = ("email_status",)
    touch_all(rig)
    rig.source.change("customers", 1, email="other@x.org")
    rig.pull()
    assert known(rig)[:2] == [(1, "other@x.org", None), (2, "p2@x.org", "SUBSCRIBED")]


def test_orders_whose_customer_is_refused_keep_their_owner(rig: Rig) -> None:
    """And those that came meanwhile get theirs once it is shown."""
    rig.source = people()
    rig.pull()
    rig.source.refused["orders"] = ("customer",)
    touch_all(rig)
    rig.source.records["orders"].append(order(12, rig.now, 2))
    rig.pull()
    owners = "SELECT id, customer_id FROM orders ORDER BY id"
    assert rig.store.query(owners) == [(11, 1), (12, None)]
    rig.source.refused.clear()
    rig.now += DAY
    rig.pull()
    assert rig.store.query(owners) == [(11, 1), (12, 2)]


@pytest.mark.parametrize(
    ("record", "consent"),
    [
        ({"email_key": "p1@x.org", "email_status": "UNSUBSCRIBED"}, "UNSUBSCRIBED"),
        ({"email_key": "p1@x.org", "email_status": "SUBSCRIBED"}, "SUBSCRIBED"),
        ({"email_key": "q@x.org", "email_status": "SUBSCRIBED"}, "INVALID"),
        (True, "INVALID"),
    ],
)
def test_a_customer_in_quarantine_keeps_no_doubtful_consent(rig: Rig, record: Any, consent: str) -> None:
    """What the record takes back, or does not tell, is lost at once and comes back when the record maps."""
    rig.source = people()
    rig.pull()
    touch_all(rig)
    rig.source.change("customers", 1, bad=record)
    report = rig.pull()
    assert [row[2] for row in known(rig)] == [consent, "SUBSCRIBED", "SUBSCRIBED"]
    assert report.partly
    assert "1 record could not be read, for example 1 (bad: does not fit)" in report.notes[0]
    again = rig.pull()
    assert (again.notes, again.partly) == ((), False)
    del rig.source.records["customers"][0]["bad"]
    rig.pull()
    assert [row[2] for row in known(rig)] == ["SUBSCRIBED"] * 3


def test_consent_comes_back_with_the_record_as_it_was(rig: Rig) -> None:
    """A record that fits again without a change of its own is no old news, and its customer is looked at both times."""
    rig.source = people()
    rig.pull()
    for bad, consent in ((True, "INVALID"), (None, "SUBSCRIBED")):
        rig.clean()
        rig.source.change("customers", 1, bad=bad)
        if not bad:
            del rig.source.records["customers"][0]["bad"]
        rig.pull(full=True)
        assert known(rig)[0][2] == consent
        assert rig.dirty() == {1}
