"""Labels as the simulated Wix site has them: keys, quota, lag, jobs, and the traps of the real one."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from wix_labels_rig import Rig
from wix_rig import validator

from connector.sandbox.wire import Request
from connector.wix.sandbox import API_KEY, SITE_ID

BULK = "/contacts/v4/bulk/contacts/add-remove-labels"


def ask(
    rig: Rig, method: str, path: str, body: Any = None, query: tuple[tuple[str, str], ...] = ()
) -> tuple[int, dict[str, Any]]:
    """Status and document."""
    headers = {"authorization": API_KEY, "wix-site-id": SITE_ID}
    reply = rig.sandbox.handle(Request(method, path, query, headers, b"" if body is None else orjson.dumps(body)))
    found: dict[str, Any] = orjson.loads(reply.body)
    return reply.status, found


def make(rig: Rig, name: str) -> dict[str, Any]:
    """The answer of find-or-create."""
    status, body = ask(rig, "POST", "/contacts/v4/labels", {"displayName": name})
    assert status == 200
    validator("labels_find_or_create.response").validate(body)
    return body


def test_find_or_create_goes_by_the_exact_name() -> None:
    """The same name finds, another case makes another label, and a slug that is taken gets a number."""
    rig = Rig()
    first, again, other = make(rig, "Seg: VIP"), make(rig, "Seg: VIP"), make(rig, "Seg: vip")
    assert (first["newLabel"], again["newLabel"], other["newLabel"]) == (True, False, True)
    assert first["label"]["key"] == again["label"]["key"] == "custom.seg-vip"
    assert (other["label"]["key"], other["label"]["namespace"]) == ("custom.seg-vip-1", "custom")


@pytest.mark.parametrize("name", ["", " ", 7, None, "x" * 181])
def test_names_have_one_to_180_characters(name: Any) -> None:
    """Anything else is a validation error."""
    status, body = ask(Rig(), "POST", "/contacts/v4/labels", {"displayName": name})
    assert (status, body["details"]["validationError"]["fieldViolations"][0]["field"]) == (400, "displayName")


def test_the_quota_is_told_when_it_is_reached() -> None:
    """Both numbers are strings."""
    rig = Rig(label_quota=3)
    make(rig, "one")
    status, body = ask(rig, "POST", "/contacts/v4/labels", {"displayName": "two"})
    error = body["details"]["applicationError"]
    assert (status, error["code"]) == (400, "LABELS_QUOTA_REACHED")
    assert error["data"] == {"labelsQuota": "3", "labelsCurrentTotal": "3"}
    assert make(rig, "one")["newLabel"] is False


def test_lists_lag_and_page_and_differ_in_their_envelopes() -> None:
    """Query answers with pagingMetadata, List with metadata; what was made just now shows in neither."""
    rig = Rig()
    for name in ("a", "b", "c"):
        make(rig, name)
    query = {"query": {"filter": {"namespace": {"$eq": "custom"}}, "paging": {"limit": 2, "offset": 1}}}
    assert ask(rig, "POST", "/contacts/v4/labels/query", query)[1]["labels"] == []
    rig.clock.advance(60)
    _, found = ask(rig, "POST", "/contacts/v4/labels/query", query)
    _, listed = ask(rig, "GET", "/contacts/v4/labels", query=(("namespace", "custom"), ("startsWith", "b")))
    assert found["pagingMetadata"] == {"count": 2, "offset": 1, "total": 3, "tooManyToCount": False}
    assert [label["displayName"] for label in listed["labels"]] == ["b"]
    assert listed["metadata"]["total"] == 1
    bodies: list[Any] = [{"filter": {}}, {"query": {"filter": {"name": "a"}}}, {"query": {"paging": {"limit": 1001}}}]
    for bad in bodies:
        assert ask(rig, "POST", "/contacts/v4/labels/query", bad)[0] == 400


def test_deleting_a_label_takes_it_from_everybody() -> None:
    """Each contact's revision moves, and its key is free again."""
    rig = Rig(3)
    audience = rig.audience("vip")
    rig.wear(audience, rig.people)
    before = [rig.site.contact(customer.number).revision for customer in rig.people]
    path = f"/contacts/v4/labels/{audience.remote_id}"
    assert ask(rig, "GET", path)[0] == 200
    assert ask(rig, "DELETE", path) == (200, {})
    assert ask(rig, "GET", path)[0] == ask(rig, "DELETE", path)[0] == 404
    assert rig.wearers(audience) == set()
    assert [rig.site.contact(customer.number).revision for customer in rig.people] == [each + 1 for each in before]
    assert [change.action for change in rig.work.history] == ["remove"] * 3
    assert ask(rig, "DELETE", "/contacts/v4/labels/contacts.customers")[0] == 400


def test_one_contact_is_labelled_with_labels_that_exist() -> None:
    """One to a hundred keys; the updated contact comes back; only a difference moves its revision."""
    rig = Rig(1)
    audience = rig.audience("vip")
    path, key = f"/contacts/v4/contacts/{rig.people[0].guid}/labels", audience.remote_id or ""
    status, body = ask(rig, "POST", path, {"labelKeys": [key]})
    validator("contacts_label.response").validate(body)
    assert (status, body["contact"]["info"]["labelKeys"]["items"], body["contact"]["revision"]) == (200, [key], 2)
    assert ask(rig, "POST", path, {"labelKeys": [key]})[1]["contact"]["revision"] == 2
    for keys in ([], ["custom.none"], [key] * 101, "custom.vip"):
        assert ask(rig, "POST", path, {"labelKeys": keys})[0] == 400
    assert ask(rig, "DELETE", path, {"labelKeys": [key]})[0] == 400
    status, body = ask(rig, "DELETE", path, query=(("labelKeys", key),))
    validator("contacts_unlabel.response").validate(body)
    assert (status, "labelKeys" in body["contact"]["info"]) == (200, False)
    stranger = path.replace(rig.people[0].guid, SITE_ID)
    assert ask(rig, "POST", stranger, {"labelKeys": [key]})[1]["details"]["applicationError"]["code"] == (
        "CONTACT_NOT_FOUND"
    )


def test_a_bulk_call_without_a_proper_filter() -> None:
    """None is refused; an empty one labels everybody, as the real one would, and is held against the caller."""
    rig = Rig(7)
    audience = rig.audience("vip")
    change = {"labelKeysToAdd": [audience.remote_id]}
    status, body = ask(rig, "POST", BULK, change)
    assert (status, body["details"]["applicationError"]["code"]) == (400, "NEITHER_FILTER_NOR_SEARCH")
    filters: list[Any] = [{"ids": []}, {"id": {"$in": []}}, {"id": {"$nin": ["x"]}}, {"name": "x"}]
    for bad in filters:
        assert ask(rig, "POST", BULK, {"filter": bad, **change})[0] == 400
    assert rig.work.unfiltered == 0
    _, body = ask(rig, "POST", BULK, {"filter": {}, **change})
    rig.clock.advance(60)
    assert ask(rig, "GET", f"/contacts/v4/bulk/jobs/{body['jobId']}")[1]["job"]["totalItems"] == 7
    assert (len(rig.wearers(audience)), rig.work.unfiltered) == (7, 1)


def test_a_job_goes_through_its_states() -> None:
    """Totals are known once it has run; contacts that are gone are not found at all."""
    rig = Rig(5)
    rig.work.stage = 10.0
    audience = rig.audience("vip")
    rig.world.delete_customer(rig.people[4])
    rig.clock.advance(60)
    rig.work.failing = {rig.people[0].guid}
    ids = [customer.guid for customer in rig.people]
    _, begun = ask(rig, "POST", BULK, {"filter": {"id": {"$in": ids}}, "labelKeysToAdd": [audience.remote_id]})
    states = []
    for _ in range(5):
        _, body = ask(rig, "GET", f"/contacts/v4/bulk/jobs/{begun['jobId']}")
        validator("bulk_job_get.response").validate(body)
        states.append((body["job"]["status"], body["job"]["successTotal"]))
        rig.clock.advance(10)
    assert states == [("NEW", 0), ("LOADING", 0), ("RUNNING", 0), ("INDEXING", 3), ("COMPLETED", 3)]
    job = body["job"]
    assert (job["totalItems"], job["failedTotal"], len(job["errors"]), "finishedDate" in job) == (4, 1, 1, True)
    assert ask(rig, "GET", f"/contacts/v4/bulk/jobs/{SITE_ID}")[0] == 404


def test_labels_need_their_permissions() -> None:
    """Without them every call is a 403 that does not say which is missing."""
    rig = Rig(1)
    rig.world.denied |= {"SCOPE.DC-CONTACTS.MANAGE-LABELS", "SCOPE.DC-CONTACTS.MANAGE-CONTACTS"}
    contact = f"/contacts/v4/contacts/{rig.people[0].guid}/labels"
    for method, path in [("GET", "/contacts/v4/labels"), ("POST", BULK), ("POST", contact), ("DELETE", contact)]:
        assert ask(rig, method, path, {} if method == "POST" else None)[0] == 403
