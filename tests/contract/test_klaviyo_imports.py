"""People without a profile: bulk imports into the simulated Klaviyo account."""

from __future__ import annotations

import orjson
import pytest
from klaviyo_rig import Rig, error, strangers, times

from connector.base import Reply


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_unknown_people_are_imported_into_the_list(rig: Rig) -> None:
    """Their profiles are created, the receipts carry the ids, and nothing but the address is sent."""
    audience = rig.audience()

    receipts = rig.push(strangers(audience, ["New+1@Example.org", "b@example.org"]))

    person = rig.account.find_person("new+1@example.org")
    assert person is not None
    assert receipts[1].remote_id == person.id
    assert set(rig.roll(audience).members) == {receipts[1].remote_id, receipts[2].remote_id}
    (body,) = [orjson.loads(request.body) for name, request, _ in rig.seen if name.startswith("POST")]
    assert [row["attributes"] for row in body["data"]["attributes"]["profiles"]["data"]] == [
        {"email": "new+1@example.org"},
        {"email": "b@example.org"},
    ]
    assert person.consent == "NEVER_SUBSCRIBED"


def test_addresses_written_in_two_ways_are_one_profile(rig: Rig) -> None:
    """Both ops are done with the same id."""
    audience = rig.audience()

    receipts = rig.push(strangers(audience, ["Ann@example.org", "ann@example.org "]))

    assert receipts[1].remote_id == receipts[2].remote_id
    assert rig.account.writes["profiles_created"] == 1


def test_a_person_that_an_import_could_not_take_is_refused_alone(rig: Rig) -> None:
    """The job is complete and hides a failure; its error page tells who it was."""
    audience = rig.audience()
    rig.account.unimportable["bad@example.org"] = "Email is role-based"

    receipts = rig.push(strangers(audience, ["good@example.org", "Bad@example.org"]))

    assert [receipts[number].outcome for number in (1, 2)] == ["done", "refused"]
    assert receipts[2].reason == "Email is role-based (<address>)"


def test_malformed_addresses_do_not_stop_an_import(rig: Rig) -> None:
    """The whole job is refused with pointers: those rows are refused, the rest goes out once more."""
    audience = rig.audience()
    addresses = ["a@example.org", "two..dots@example.org", "b@example.org", ".lead@example.org", "not an address", None]

    receipts = rig.push(strangers(audience, addresses))

    assert [receipts[number].outcome for number in range(1, 7)] == ["done", "refused", "done"] + ["refused"] * 3
    assert rig.sandbox.requests["CreateImportJob"] == 2
    assert rig.account.writes["imports"] == 1
    assert "@" not in (receipts[2].reason or "")


def test_rows_refused_a_second_time_leave_the_rest_waiting(rig: Rig) -> None:
    """There is one resend, not a loop."""
    audience = rig.audience()
    pointer = "/data/attributes/profiles/data/0/attributes/email"
    rig.instead = times(9, error(400, ("invalid", "No.", pointer)), "POST", "import")

    receipts = rig.push(strangers(audience, [f"p{number}@example.org" for number in range(4)]))

    assert [receipts[number].outcome for number in range(1, 5)] == ["refused", "refused", "retry", "retry"]
    assert len(rig.seen) == 2


def test_a_stuck_import_is_left_for_a_later_run(rig: Rig) -> None:
    """After five minutes the people wait; importing them later is harmless."""
    audience = rig.audience()
    rig.account.imports_stick = True
    receipts = rig.push(strangers(audience, ["a@example.org"]))

    assert receipts[1].outcome == "retry"
    assert "not finished after 300 s" in (receipts[1].reason or "")
    assert 300 <= rig.clock.slept < 340

    rig.account.imports_stick = False
    assert rig.push(strangers(audience, ["a@example.org"]))[1].outcome == "done"


def test_a_cancelled_import_is_left_for_a_later_run(rig: Rig) -> None:
    """Cancelling in Klaviyo's screens refuses nobody."""
    audience = rig.audience()

    def cancel(request: object) -> None:
        for job in rig.account.imports.values():
            job.cancelled = True

    rig.instead = cancel
    receipts = rig.push(strangers(audience, ["a@example.org"]))

    assert (receipts[1].outcome, "cancelled" in (receipts[1].reason or "")) == ("retry", True)


def test_a_failure_that_names_nobody_makes_the_missing_wait(rig: Rig) -> None:
    """Who landed is done; who did not, and is not named, is imported again later."""
    audience = rig.audience()
    rig.account.unimportable["b@example.org"] = "Oops"
    document = {
        "data": [
            {
                "type": "import-error",
                "id": "1",
                "attributes": {"code": "x", "title": "t", "detail": "Oops", "source": {"pointer": "/data"}},
            }
        ],
        "links": {"self": "https://a.klaviyo.com/x", "next": None},
    }
    rig.instead = times(1, Reply(200, {}, orjson.dumps(document)), "GET", "import-errors")

    receipts = rig.push(strangers(audience, ["a@example.org", "b@example.org"]))

    assert [(receipts[number].outcome, receipts[number].reason) for number in (1, 2)] == [
        ("done", None),
        ("retry", "Oops"),
    ]


def test_a_counted_failure_that_is_not_listed_makes_the_missing_wait(rig: Rig) -> None:
    """The job counts one failure, its error page is empty: who did not land is not called done."""
    audience = rig.audience()
    rig.account.unimportable["b@example.org"] = "Oops"
    empty = orjson.dumps({"data": [], "links": {"self": "https://a.klaviyo.com/x", "next": None}})
    rig.instead = times(1, Reply(200, {}, empty), "GET", "import-errors")

    receipts = rig.push(strangers(audience, ["a@example.org", "b@example.org"]))

    assert [receipts[number].outcome for number in (1, 2)] == ["done", "retry"]
    assert "counts 1 failures and names 0" in (receipts[2].reason or "")


def test_an_import_that_is_too_large_is_halved(rig: Rig) -> None:
    """Should Klaviyo count bytes otherwise than we do."""
    audience = rig.audience()
    rig.instead = times(1, error(413, ("too_large", "Payload too large.", None)), "POST", "import")

    receipts = rig.push(strangers(audience, [f"p{number}@example.org" for number in range(5)]))

    assert {receipt.outcome for receipt in receipts.values()} == {"done"}
    assert rig.account.writes["imports"] == 2


def test_large_imports_are_cut_by_number_and_bytes(rig: Rig) -> None:
    """10,000 profiles and 5 MB a job, whichever comes first; every op is in one batch."""
    audience = rig.audience()
    short = list(rig.destination.batches(strangers(audience, [f"p{n}@x.org" for n in range(10_001)])))
    long = list(rig.destination.batches(strangers(audience, [f"{'x' * 600}{n}@x.org" for n in range(10_000)])))

    assert [len(batch.ops) for batch in short] == [10_000, 1]
    assert len(long) == 2
    assert sum(len(batch.ops) for batch in long) == 10_000
