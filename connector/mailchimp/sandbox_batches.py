"""Batch operations: the queue, and the archive of results.

One batch runs at a time. Its operations take effect when it finishes, in no particular order.
https://mailchimp.com/developer/marketing/guides/run-async-requests-batch-endpoint/
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import orjson

from connector.base import Clock, Reply
from connector.mailchimp.sandbox_query import Problem, invalid, iso, malformed
from connector.sandbox.wire import Request

PENDING = 500
"""Batches that may wait at once."""

LINK_SECONDS = 600.0
"""How long a link to results works. Mailchimp does not say; it is short."""

RESULTS = "/batch-results/"
_PER_SECOND = 50
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

Operation = Mapping[str, Any]


@dataclass(slots=True)
class Batch:
    """`starts` and `ends` are instants; `ends` is None for one that never finishes."""

    id: str
    operations: Sequence[Operation]
    submitted: float
    starts: float
    ends: float | None
    errored: int = 0
    archive: bytes | None = None

    def status(self, now: float) -> str:
        if self.archive is not None:
            return "finished"
        if now < self.starts:
            return "pending"
        if self.ends is None:
            return "started"
        share = (now - self.starts) / max(1e-9, self.ends - self.starts)
        return "preprocessing" if share < 0.2 else "started" if share < 0.8 else "finalizing"

    def finished_operations(self, now: float) -> int:
        total = len(self.operations)
        if self.archive is not None:
            return total
        if self.ends is None or now <= self.starts:
            return 0
        return min(total, int(total * (now - self.starts) / max(1e-9, self.ends - self.starts)))


@dataclass
class Batches:
    """All batches of an account, oldest first. `stick`: those that begin now never end."""

    clock: Clock
    scale: float = 1.0
    random: Random = field(default_factory=lambda: Random(5))  # noqa: S311
    all: dict[str, Batch] = field(default_factory=dict)
    stick: bool = False
    _free_at: float = 0.0
    _waiting: list[Batch] = field(default_factory=list)

    def begin(self, operations: Sequence[Operation]) -> Batch:
        """Queued for a second at least, then five seconds or more."""
        now = self.clock.now()
        if len(self._waiting) >= PENDING:
            raise Problem(429, "Too Many Requests", f"You have more than {PENDING} pending batches.")
        starts = max(now + 1 / self.scale, self._free_at)
        ends = None if self.stick else starts + max(5.0, len(operations) / _PER_SECOND) / self.scale
        ident = hashlib.md5(b"batch/%d" % len(self.all), usedforsecurity=False).hexdigest()[:10]
        batch = Batch(ident, operations, now, starts, ends)
        self.all[ident] = batch
        self._waiting.append(batch)
        self._free_at = ends or self._free_at
        return batch

    def settle(self, perform: Callable[[Operation], Reply]) -> None:
        """Carry out what is due."""
        now = self.clock.now()
        due = [batch for batch in self._waiting if batch.ends is not None and batch.ends <= now]
        for batch in due:
            self._waiting.remove(batch)
            self._carry_out(batch, perform)

    def drop(self, batch: Batch) -> None:
        """Cancel a batch; of one that has finished, forget the results."""
        del self.all[batch.id]
        if batch in self._waiting:
            self._waiting.remove(batch)

    def _carry_out(self, batch: Batch, perform: Callable[[Operation], Reply]) -> None:
        rows = []
        for operation in self.random.sample(batch.operations, len(batch.operations)):
            reply = perform(operation)
            batch.errored += reply.status >= 400
            row = {"status_code": reply.status, "operation_id": operation.get("operation_id")}
            rows.append({**row, "response": reply.body.decode()})
        self.random.shuffle(rows)
        batch.archive = _packed(batch.id, rows, self.random)

    def document(self, batch: Batch, base: str) -> dict[str, Any]:
        now = self.clock.now()
        finished = batch.archive is not None
        return {
            "id": batch.id,
            "status": batch.status(now),
            "total_operations": len(batch.operations),
            "finished_operations": batch.finished_operations(now),
            "errored_operations": batch.errored,
            "submitted_at": iso(batch.submitted),
            "completed_at": iso(batch.ends) if finished else "",
            "response_body_url": self._link(batch, base) if finished else "",
            "_links": [],
        }

    def _link(self, batch: Batch, base: str) -> str:
        expires = int(self.clock.now() + LINK_SECONDS)
        return f"{base}{RESULTS}{batch.id}-response.tar.gz?Expires={expires}&Signature={_sign(batch.id, expires)}"

    def results(self, request: Request) -> Reply:
        """A link with its signature is all it takes: credentials on top are refused, as the file store does."""
        query = dict(request.query)
        ident = request.path.removeprefix(RESULTS).removesuffix("-response.tar.gz")
        batch, expires = self.all.get(ident), query.get("Expires", "")
        if "authorization" in request.headers:
            return _denied(400, "InvalidArgument", "Only one auth mechanism allowed")
        if not expires.isdecimal() or query.get("Signature") != _sign(ident, int(expires)):
            return _denied(403, "SignatureDoesNotMatch", "The request signature does not match")
        if int(expires) < self.clock.now():
            return _denied(403, "AccessDenied", "Request has expired")
        if batch is None or batch.archive is None or request.method != "GET":
            return _denied(404, "NoSuchKey", "The specified key does not exist.")
        return Reply(200, {"content-type": "application/x-gzip"}, batch.archive)


def operations_of(body: Any) -> list[Operation]:
    """The operations of a request, each of the right form; what is in them is judged when they run."""
    operations = body.get("operations") if isinstance(body, dict) else None
    if not isinstance(operations, list) or not operations:
        raise malformed(("operations", "This value should not be blank."))
    for index, each in enumerate(operations):
        if not isinstance(each, dict) or each.get("method") not in _METHODS or not isinstance(each.get("path"), str):
            raise malformed((f"operations.item:{index}", "A method and a path are required."))
        if not isinstance(each.get("body", ""), str):
            raise malformed((f"operations.item:{index}.body", "Schema describes string, object found instead"))
        if each["path"].startswith(("http", "/3.0")) or each["path"].strip("/").startswith("batches"):
            raise invalid(f"operations.item:{index} has a path that cannot be part of a batch.")
    return list(operations)


def _packed(ident: str, rows: list[dict[str, Any]], random: Random) -> bytes:
    """A folder entry, then files of about a hundred rows each, not in order of their names."""
    parts = [rows[start : start + 100] for start in range(0, len(rows), 100)] or [[]]
    files = [(f"./{ident}-{index:04d}.json", orjson.dumps(part)) for index, part in enumerate(parts)]
    random.shuffle(files)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        folder = tarfile.TarInfo("./")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, content in files:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return gzip.compress(packed.getvalue(), mtime=0)


def _sign(ident: str, expires: int) -> str:
    return hashlib.sha256(f"{ident}/{expires}/sandbox".encode()).hexdigest()[:32]


def _denied(status: int, code: str, text: str) -> Reply:
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{text}</Message></Error>'
    return Reply(status, {"content-type": "application/xml"}, body.encode())
