"""People without a profile: bulk imports into the simulated Klaviyo account."""

from __future__ import annotations

import orjson
import pytest
from klaviyo_rig import Rig, adds, error, removes, strangers
from scripted import times

from connector.base import Reply
from connector.klaviyo.wire_imports import create_job, groups
from connector.sandbox.wire import Request

IMPORT = "POST /api/profile-bulk-import-jobs"
JOB = "GET /api/profile-bulk-import-jobs/{job_id}"
ERRORS = "GET /api/profile-bulk-import-jobs/{id}/import-errors"
LANDED = "GET /api/profile-bulk-import-jobs/{id}/profiles"
JOIN = "POST /api/lists/{id}/relationships/profiles"


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_unknown_people_are_imported_into_the_list(rig: Rig) -> None:
    """Their profiles are created, the receipts carry the ids, and nothing but the address is imported."""
    audience = rig.audience()

    receipts = rig.push(strangers(audience, ["New+1@Example.org", "b@example.org"]))

    person = rig.account.find_person("new+1@example.org")
    assert person is not None
    assert receipts[1].remote_id == person.id
    assert set(rig.roll(audience).members) == {receipts[1].remote_id, receipts[2].remote_id}
    (body,) = [orjson.loads(request.body) for name, request, _ in rig.seen if name == IMPORT]
    assert [row["attributes"] for row in body["data"]["attributes"]["profiles"]["data"]] == [
        {"email": "new+1@example.org"},
        {"email": "b@example.org"},
    ]
    assert "relationships" not in body["data"]
    assert person.consent == "NEVER_SUBSCRIBED"


def test_somebody_who_joins_several_lists_is_imported_once(rig: Rig) -> None:
    """One job for all, then one call per list, which known people fill up."""
    lists = [rig.audience(name) for name in ("A", "B", "C")]
    known = [rig.account.add_person(f"p{number}@example.org") for number in range(1200)]
    new = [f"s{number}@example.org" for number in range(120)]
    ops = [
        *adds(lists[0], known[:880]),
        *strangers(lists[0], new, first=2000),
        *adds(lists[1], known, first=3000),
        *strangers(lists[1], new[:100], first=5000),
        *strangers(lists[2], new[50:], first=6000),
    ]

    receipts = rig.push(ops)

    assert rig.names() == [IMPORT, JOB, JOB, ERRORS, LANDED, LANDED, *[JOIN] * 4]
    assert {receipt.outcome for receipt in receipts.values()} == {"done"}
    assert [len(rig.roll(its).members) for its in lists] == [1000, 1300, 70]
    assert (rig.account.writes["profiles_created"], rig.account.writes["profiles_updated"]) == (120, 0)
    assert receipts[2099].remote_id == receipts[5099].remote_id == receipts[6049].remote_id


def test_members_are_sent_only_once_their_profiles_are_there(rig: Rig) -> None:
    """Removals come first of all; the additions that need no import follow it."""
    audience, other = rig.audience("A"), rig.audience("B")
    ann = rig.account.add_person("ann@example.org")
    rig.account.join(rig.roll(audience), ann)

    rig.push([*adds(other, [ann]), *strangers(audience, ["new@example.org"], first=5), *removes(audience, [ann], 9)])

    assert [name for name in rig.names() if not name.startswith("GET")] == [
        JOIN.replace("POST", "DELETE"),
        IMPORT,
        JOIN,
        JOIN,
    ]


def test_who_cannot_be_imported_joins_no_list(rig: Rig) -> None:
    """Refused in all of them, by one job that named the person once; the others join."""
    first, second = rig.audience("A"), rig.audience("B")
    rig.account.unimportable["bad@example.org"] = "Email is role-based"
    people = ["good@example.org", "bad@example.org", "two..dots@example.org"]

    receipts = rig.push([*strangers(first, people), *strangers(second, people, first=11)])

    outcomes = [receipts[number].outcome for number in (1, 2, 3, 11, 12, 13)]
    assert outcomes == ["done", "refused", "refused"] * 2
    assert [len(rig.roll(its).members) for its in (first, second)] == [1, 1]


def test_an_imported_former_address_leads_to_the_merged_profile(rig: Rig) -> None:
    """The job shows its present address only; the lookup by the former one finds it."""
    audience = rig.audience()
    merged = rig.account.add_person("new@example.org", aliases=["old@example.org"])

    receipts = rig.push(strangers(audience, ["old@example.org", "x@example.org"]))

    assert receipts[1].remote_id == merged.id
    assert merged.id in rig.roll(audience).members


def test_who_was_suppressed_meanwhile_does_not_join(rig: Rig) -> None:
    """The profiles that landed are read with their standing."""
    audience = rig.audience()
    rig.account.unsubscribe(rig.account.add_person("out@example.org", consent="SUBSCRIBED"))
    rig.account.add_person("new@example.org", aliases=["gone@example.org"], suppressed="HARD_BOUNCE")

    receipts = rig.push(strangers(audience, ["out@example.org", "in@example.org", "gone@example.org"]))

    assert [(receipts[number].outcome, receipts[number].reason) for number in (1, 2, 3)] == [
        ("refused", "UNSUBSCRIBED"),
        ("done", None),
        ("refused", "HARD_BOUNCE"),
    ]
    assert [*rig.roll(audience).members] == [receipts[2].remote_id]


def test_a_profile_that_does_not_show_yet_is_left_for_a_later_run(rig: Rig) -> None:
    """Nobody is called done whose membership was not accepted."""
    audience = rig.audience()
    empty = orjson.dumps({"data": [], "links": {"self": "https://a.klaviyo.com/x", "next": None}})
    rig.instead = times(1, Reply(200, {}, empty), "GET", "/profiles")

    receipts = rig.push(strangers(audience, ["a@example.org"]))

    assert (receipts[1].outcome, rig.roll(audience).members) == ("retry", {})
    assert "does not show yet" in (receipts[1].reason or "")
    rig.clock.advance(60)
    assert rig.push(strangers(audience, ["a@example.org"]))[1].outcome == "done"
    assert rig.account.writes["profiles_created"] == 1


def test_a_list_deleted_by_hand_does_not_keep_people_out_of_others(rig: Rig) -> None:
    """Its ops alone say so."""
    there, gone = rig.audience("A"), rig.audience("B")
    rig.account.delete_list(gone.remote_id or "")

    receipts = rig.push([*strangers(gone, ["a@example.org"]), *strangers(there, ["a@example.org"], first=5)])

    assert (receipts[1].outcome, receipts[1].gone, receipts[5].outcome) == ("retry", True, "done")


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


def test_rows_refused_behind_the_first_time_are_isolated(rig: Rig) -> None:
    """A server that names one row at a time: the others are imported, within a bounded number of requests."""
    audience = rig.audience()
    addresses = [f"p{number}@example.org" for number in range(300)]
    bad = {addresses[number] for number in (0, 7, 150, 151, 299)}

    def one_by_one(request: Request) -> Reply | None:
        if request.method != "POST" or "import" not in request.path:
            return None
        rows = orjson.loads(request.body)["data"]["attributes"]["profiles"]["data"]
        for index, row in enumerate(rows):
            if row["attributes"]["email"] in bad:
                return error(400, ("invalid", "No.", f"/data/attributes/profiles/data/{index}/attributes/email"))
        return None

    rig.instead = one_by_one
    receipts = rig.push(strangers(audience, addresses))

    refused = [number for number, receipt in receipts.items() if receipt.outcome == "refused"]
    assert {addresses[number - 1] for number in refused} == bad
    assert len(rig.roll(audience).members) == 295
    assert rig.names().count(IMPORT) <= 64


def test_a_refusal_that_names_whoever_comes_first_blames_only_the_first(rig: Rig) -> None:
    """Where no request at all is accepted, a pointer proves nothing any more: the others wait."""
    audience = rig.audience()
    pointer = "/data/attributes/profiles/data/0/attributes/email"
    rig.instead = times(99, error(400, ("invalid", "No.", pointer)), "POST", "import")

    receipts = rig.push(strangers(audience, [f"p{number}@example.org" for number in range(4)]))

    assert [receipts[number].outcome for number in range(1, 5)] == ["refused", "retry", "retry", "retry"]


def test_a_stuck_import_is_left_for_a_later_run(rig: Rig) -> None:
    """After five minutes the people wait; importing them later is harmless."""
    audience = rig.audience()
    rig.account.imports_stick = True
    receipts = rig.push(strangers(audience, ["a@example.org"]))

    assert receipts[1].outcome == "retry"
    assert "not finished after 300 s" in (receipts[1].reason or "")
    assert rig.roll(audience).members == {}
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


def test_large_imports_are_cut_by_number_and_all_begun_at_once(rig: Rig) -> None:
    """10,000 profiles a job; the first is asked after when the last was sent, and a stuck one holds its people only."""
    audience = rig.audience()

    def stick(request: Request) -> None:
        rig.account.imports_stick = bool(rig.account.imports)

    rig.instead = stick
    receipts = rig.push(strangers(audience, [f"p{number}@example.org" for number in range(10_001)]))

    assert rig.names()[:6] == [IMPORT, IMPORT, JOB, JOB, JOB, JOB]
    assert [number for number, receipt in receipts.items() if receipt.outcome != "done"] == [10_001]
    assert len(rig.roll(audience).members) == 10_000


def test_long_addresses_are_cut_by_bytes() -> None:
    """5 MB a job."""
    jobs = list(groups(f"{'x' * 600}{number}@x.org" for number in range(10_000)))

    assert len(jobs) == 2
    assert sum(map(len, jobs)) == 10_000
    assert all(len(orjson.dumps(create_job(job).json)) < 5_000_000 for job in jobs)
