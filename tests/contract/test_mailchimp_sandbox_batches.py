"""The simulator's batches: late, out of order, and with results behind a signed link."""

from __future__ import annotations

import gzip
import io
import tarfile
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import orjson
import pytest
from mailchimp_rig import Rig, md5, problem

from connector.base import Reply
from connector.mailchimp.sandbox_batches import LINK_SECONDS
from connector.sandbox.faults import Faults
from connector.sandbox.serve import Server
from connector.sandbox.wire import Request


@pytest.fixture
def rig() -> Rig:
    made = Rig()
    for number in range(250):
        made.audience.add(f"p{number}@example.org")
    return made


def tagging(rig: Rig, *addresses: str, name: str = "VIP") -> list[dict[str, Any]]:
    body = orjson.dumps({"tags": [{"name": name, "status": "active"}], "is_syncing": True}).decode()
    return [
        {"method": "POST", "path": f"{rig.path}/members/{md5(address)}/tags", "operation_id": address, "body": body}
        for address in addresses
    ]


def begin(rig: Rig, operations: list[dict[str, Any]]) -> str:
    return str(rig.ask("POST", "/batches", body={"operations": operations})["id"])


def fetch(rig: Rig, url: str, **headers: str) -> Reply:
    parts = urlsplit(url)
    return rig.sandbox.handle(Request("GET", parts.path, tuple(parse_qsl(parts.query)), headers, b""))


def files(reply: Reply) -> list[tuple[str, Any]]:
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(reply.body))) as archive:
        return [(each.name, orjson.loads(archive.extractfile(each).read())) for each in archive if each.isfile()]  # type: ignore[union-attr]


def test_a_batch_takes_its_time_and_acts_at_the_end(rig: Rig) -> None:
    """Every status comes by; nobody is tagged before the last."""
    ident = begin(rig, tagging(rig, *(f"p{number}@example.org" for number in range(250))))
    statuses: list[str] = []
    while not statuses or statuses[-1] != "finished":
        document = rig.ask("GET", f"/batches/{ident}")
        statuses.append(document["status"])
        if statuses[-1] != "finished":
            assert rig.audience.tagged("VIP") == set()
            assert (document["completed_at"], document["response_body_url"]) == ("", "")
        rig.clock.advance(0.5)

    assert list(dict.fromkeys(statuses)) == ["pending", "preprocessing", "started", "finalizing", "finished"]
    assert len(rig.audience.tagged("VIP")) == 250
    assert (document["finished_operations"], document["errored_operations"]) == (250, 0)


def test_results_are_a_shuffled_archive_of_texts(rig: Rig) -> None:
    """Several files, not in order, whose answers are JSON within JSON; failures are counted and told."""
    names = [*(f"p{number}@example.org" for number in range(249)), "nobody@example.org"]
    ident = begin(rig, tagging(rig, *names))
    rig.clock.advance(60)
    document = rig.ask("GET", f"/batches/{ident}")
    found = files(fetch(rig, document["response_body_url"]))
    rows = [row for _, content in found for row in content]

    assert document["errored_operations"] == 1
    assert len(found) == 3
    assert [name for name, _ in found] != sorted(name for name, _ in found)
    assert [row["operation_id"] for row in rows] != names
    assert {row["operation_id"] for row in rows} == set(names)
    (failed,) = [row for row in rows if row["status_code"] != 204]
    assert orjson.loads(failed["response"])["title"] == "Resource Not Found"


def test_the_link_to_results_is_signed_and_short_lived(rig: Rig) -> None:
    """A key on top is refused, and so is a link that was changed or is too old; a new one comes with the status."""
    ident = begin(rig, tagging(rig, "p1@example.org"))
    rig.clock.advance(60)
    url = rig.ask("GET", f"/batches/{ident}")["response_body_url"]

    assert url.startswith("https://us19.api.mailchimp.com/")
    assert fetch(rig, url).status == 200
    assert fetch(rig, url, authorization=f"Bearer {rig.sandbox.api_key}").status == 400
    assert fetch(rig, url.replace("Signature=", "Signature=0")).status == 403
    assert fetch(rig, url.replace(ident, "0" * 10)).status == 403
    rig.clock.advance(LINK_SECONDS + 1)
    assert fetch(rig, url).status == 403
    assert fetch(rig, rig.ask("GET", f"/batches/{ident}")["response_body_url"]).status == 200


def test_one_batch_runs_at_a_time_and_time_may_run_faster() -> None:
    """The second begins when the first has ended."""
    rig = Rig(scale=10.0)
    idents = [begin(rig, tagging(rig, "p1@example.org")) for _ in range(2)]
    rig.clock.advance(0.65)
    assert [rig.ask("GET", f"/batches/{ident}")["status"] for ident in idents] == ["finished", "preprocessing"]
    rig.clock.advance(0.5)
    listed = rig.ask("GET", "/batches", ("fields", "batches.id,batches.status,total_items"))
    assert listed == {"batches": [{"id": ident, "status": "finished"} for ident in idents], "total_items": 2}


def test_no_more_than_five_hundred_may_wait(rig: Rig) -> None:
    """429 with a problem document; one that is cancelled makes room and does nothing."""
    first, *_ = [begin(rig, tagging(rig, "p1@example.org")) for _ in range(500)]

    assert rig.send("POST", "/batches", body={"operations": tagging(rig, "p1@example.org")}).status == 429
    assert rig.send("DELETE", f"/batches/{first}").status == 204
    assert rig.send("GET", f"/batches/{first}").status == 404
    begin(rig, tagging(rig, "p1@example.org"))


@pytest.mark.parametrize(
    "operation",
    [
        {"method": "POST"},
        {"method": "TRACE", "path": "/ping"},
        {"method": "POST", "path": "/lists/x/members", "body": {"tags": []}},
        {"method": "GET", "path": "/3.0/ping"},
        {"method": "GET", "path": "https://us19.api.mailchimp.com/3.0/ping"},
        {"method": "POST", "path": "/batches", "body": "{}"},
    ],
)
def test_operations_of_the_wrong_form_keep_the_batch_from_beginning(rig: Rig, operation: dict[str, Any]) -> None:
    """Bodies are texts; paths have neither host nor version."""
    good = {"method": "GET", "path": "/ping"}

    assert rig.send("POST", "/batches", body={"operations": [good, operation]}).status == 400
    assert rig.send("POST", "/batches", body={"operations": []}).status == 400


def test_operations_of_any_kind_run_with_their_query(rig: Rig) -> None:
    """`params` for reading, a query in the path for writing; a body that is no JSON fails alone."""
    member = f"{rig.path}/members/{md5('p1@example.org')}"
    body = '{"merge_fields":{"FNAME":"Ann"}}'
    rig.audience.add_merge_field("Size", required=True)
    operations: list[dict[str, Any]] = [
        {"method": "GET", "path": f"{rig.path}/members", "operation_id": "read", "params": {"count": 3}},
        {"method": "PATCH", "path": f"{member}?skip_merge_validation=true", "operation_id": "write", "body": body},
        {"method": "PATCH", "path": member, "operation_id": "required", "body": body},
        {"method": "PATCH", "path": member, "operation_id": "broken", "body": "{"},
    ]
    ident = begin(rig, operations)
    rig.clock.advance(60)
    reply = fetch(rig, rig.ask("GET", f"/batches/{ident}")["response_body_url"])
    rows = {row["operation_id"]: row for _, content in files(reply) for row in content}

    assert {name: row["status_code"] for name, row in rows.items()} == {
        "read": 200,
        "write": 200,
        "required": 400,
        "broken": 400,
    }
    assert len(orjson.loads(rows["read"]["response"])["members"]) == 3
    assert rig.sandbox.batched["patchListsIdMembersId"] == 3
    assert rig.sandbox.requests["patchListsIdMembersId"] == 0


def test_a_test_may_answer_for_an_operation_and_a_batch_may_get_stuck() -> None:
    """Trouble inside a batch, and one that never ends."""
    faults = Faults()
    faults.add("postBatches", "stuck_batch", nth=2)
    rig = Rig(faults=faults)
    rig.audience.add("p1@example.org")
    rig.sandbox.in_batch = lambda request: problem(500, "Internal Server Error")
    first, second = (begin(rig, tagging(rig, "p1@example.org")) for _ in range(2))
    rig.clock.advance(100_000)

    assert rig.ask("GET", f"/batches/{first}")["errored_operations"] == 1
    assert rig.audience.tagged("VIP") == set()
    assert rig.ask("GET", f"/batches/{second}")["status"] == "started"


def test_over_loopback_the_link_leads_back_to_the_simulator(rig: Rig) -> None:
    """The address of the request that asked is that of the results, which arrive as they were packed."""
    ident = begin(rig, tagging(rig, "p1@example.org"))
    rig.clock.advance(60)
    server = Server(rig.sandbox).start()
    try:
        key = {"authorization": f"Bearer {rig.sandbox.api_key}"}
        batch = httpx.get(f"{server.url}/3.0/batches/{ident}", headers=key, trust_env=False).json()
        results = httpx.get(batch["response_body_url"], trust_env=False)
    finally:
        server.stop()

    assert batch["response_body_url"].startswith(f"{server.url}/")
    ((_, rows),) = files(Reply(results.status_code, {}, results.content))
    assert [row["operation_id"] for row in rows] == ["p1@example.org"]
