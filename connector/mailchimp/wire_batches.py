"""Batches: many operations that Mailchimp works off by itself.

https://mailchimp.com/developer/marketing/guides/run-async-requests-batch-endpoint/

A batch knows no idempotency: only operations that may run twice go into one.
"""

from __future__ import annotations

import io
import tarfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from connector.base import Call, Ok, Rejected, Reply, RetryAfter, Usage, Verdict
from connector.errors import BadReply, PlatformError
from connector.mailchimp.wire import PLATFORM, Problem, call, problem_in
from connector.mailchimp.wire_members import Operation

_STATE = "id,status,total_operations,finished_operations,errored_operations,submitted_at,response_body_url"
FINISHED = "finished"


@dataclass(frozen=True, slots=True)
class State:
    """How far a batch has come. `url` leads to the results and is signed: it lives for minutes and needs no key."""

    id: str
    status: str
    total: int
    done: int
    submitted: float
    url: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one operation. `document` is what it answered if it was accepted."""

    status: int
    problem: Problem | None
    document: Mapping[str, Any]

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300


class Expired(PlatformError):
    """The signed address of the results is not good any more; the batch gives a new one."""

    exit_code = 4


class ArchiveWire:
    """Judges the download of results, which comes from a store of files and knows no problem documents."""

    platform = PLATFORM

    def judge(self, call: Call, reply: Reply) -> Verdict:
        if reply.status == 200:
            return Ok()
        if reply.status in (408, 429) or reply.status >= 500:
            return RetryAfter(None, f"HTTP {reply.status}")
        return Rejected(Expired(PLATFORM, call.operation, f"HTTP {reply.status}; the results are asked for anew"))

    def usage(self, call: Call, reply: Reply) -> Usage | None:
        return None

    def request_id(self, reply: Reply) -> str | None:
        return None


def post_batch(operations: Sequence[tuple[str, Operation]]) -> Call:
    """Begin; the ids come back with the results. A query belongs into the path: `params` are for reading only."""
    entries = [
        {
            "method": operation.method,
            "path": f"{operation.path}?{operation.query}=true" if operation.query else operation.path,
            "operation_id": name,
            "body": orjson.dumps(operation.document).decode(),
        }
        for name, operation in operations
    ]
    return call("PostBatch", "POST", "/batches", document={"operations": entries})


def get_batch(batch: str) -> Call:
    if not batch:
        raise ValueError("a batch without an id")
    return call("GetBatch", "GET", f"/batches/{batch}", [("fields", _STATE)])


def get_batches() -> Call:
    """One page of the account's batches, of all programs."""
    fields = ",".join(f"batches.{name}" for name in _STATE.split(","))
    return call("GetBatches", "GET", "/batches", [("fields", f"{fields},total_items")])


def get_results(url: str) -> Call:
    """The results, from the host that the address names."""
    return Call("GetResults", "GET", url)


def state(item: Mapping[str, Any]) -> State:
    submitted = item.get("submitted_at") or ""
    return State(
        str(item["id"]),
        str(item["status"]),
        int(item.get("total_operations") or 0),
        int(item.get("finished_operations") or 0),
        datetime.fromisoformat(submitted).timestamp() if submitted else 0.0,
        str(item.get("response_body_url") or ""),
    )


def answers(archive: bytes) -> dict[str, Answer]:
    """By operation id. Raises BadReply for an archive that breaks off: some results would be missing."""
    try:
        found = dict(_answers(archive))
    except (tarfile.TarError, zlib.error, EOFError, OSError, ValueError, KeyError, AttributeError) as error:
        text = f"the archive of results is damaged ({type(error).__name__})"
        raise BadReply(PLATFORM, "GetResults", text) from error
    return found


def _answers(archive: bytes) -> Iterator[tuple[str, Answer]]:
    """Every file of the archive is an array; neither their order nor that of their entries is that of the request."""
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:*") as files:
        for member in files:
            content = files.extractfile(member) if member.isfile() and member.name.endswith(".json") else None
            if content is None:
                continue
            for entry in orjson.loads(content.read()):
                yield str(entry.get("operation_id") or ""), _answer(entry)


def _answer(entry: Mapping[str, Any]) -> Answer:
    status, text = int(entry["status_code"]), entry.get("response") or ""
    if not 200 <= status < 300:
        return Answer(status, problem_in(status, text), {})
    body = orjson.loads(text) if text else {}
    return Answer(status, None, body if isinstance(body, dict) else {})
