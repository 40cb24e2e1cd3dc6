"""Profile fields: attributes that a destination writes on people it knows, written only where they differ.

Nothing is queued: what differs from what was last acknowledged is what there is to write, now as after a death.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from zoneinfo import ZoneInfo

import orjson

from connector.base import Clock, Destination, FieldReceipt, FieldWrite
from mappings.money import exponent
from sync.metrics.fields import field_texts
from sync.push import consent, outbox
from sync.push.report import DestinationReport
from sync.store import fields as rows
from sync.store import state
from sync.store.engine import Connection, Store
from sync.store.ledger import hashed

_UNANSWERED = "no answer for this person"

CHUNK = 1000
"""People per step; each step is acknowledged before the next begins."""


Digest = tuple[int, str]
"""A person, and what stands for their values and their profile: another profile is written anew."""


def differing(conn: Connection, destination: Destination, now: int) -> Iterator[Digest]:
    """Whose fields differ from what is acknowledged, in the order of their ids. Needs `consent.prepare`.

    Who has no value yet and never had one is left alone.
    """
    if not destination.fields:
        return
    texts = _texts(conn, destination, now)
    number, values = next(texts, _NOBODY)
    for person in rows.reached(conn, destination.name):
        while number < person.customer_id:
            number, values = next(texts, _NOBODY)
        if number == person.customer_id:
            digest = hashed(orjson.dumps([person.remote_id, destination.fields, values]).decode())
            if digest != person.digest and (person.digest is not None or any(values)):
                yield number, digest


_NOBODY: tuple[int, tuple[str, ...]] = (2**63, ())


def _texts(
    conn: Connection, destination: Destination, now: int, ids: Sequence[int] | None = None
) -> Iterator[tuple[int, tuple[str, ...]]]:
    shop = state.get_meta(conn, "shop")
    zone = ZoneInfo(state.get_meta(conn, "zone", "UTC"))
    places = exponent(shop["currency"]) if shop else 2
    return field_texts(conn, destination.fields, now=now, zone=zone, places=places, ids=ids)


class Writer:
    """Writes one destination's fields and counts in its report. Who shall wait is not asked twice."""

    def __init__(
        self, store: Store, destination: Destination, report: DestinationReport, clock: Clock, now: int
    ) -> None:
        self._store = store
        self._destination = destination
        self._report = report
        self._clock = clock
        self._now = now
        self._waiting: set[int] = set()

    def write(self) -> None:
        """Write what differs, chunk by chunk. A destination that stops leaves the rest for the next run."""
        with self._store.read() as conn:
            consent.prepare(conn, self._destination)
            digests = [its for its in differing(conn, self._destination, self._now) if its[0] not in self._waiting]
            consent.drop(conn)
        self._report.fields_left = len(self._waiting) + len(digests)
        for start in range(0, len(digests), CHUNK):
            self._write(dict(digests[start : start + CHUNK]))

    def _write(self, digests: Mapping[int, str]) -> None:
        ids, names = list(digests), self._destination.fields
        with self._store.read() as conn:
            persons = rows.persons(conn, self._destination.name, ids)
            values = dict(_texts(conn, self._destination, self._now, ids))
        writes = [FieldWrite(persons[number], dict(zip(names, values[number], strict=True))) for number in ids]
        receipts = {its.customer_id: its for its in self._destination.write_fields(writes)}
        answered = [receipts.get(number) or FieldReceipt(number, "retry", _UNANSWERED) for number in ids]
        settled = [
            (its.customer_id, digests[its.customer_id], its.reason if its.outcome == outbox.REFUSED else None)
            for its in answered
            if its.outcome != outbox.RETRY
        ]
        with self._store.begin() as conn:
            rows.acknowledge(conn, self._destination.name, settled, int(self._clock.now()))
        for its in answered:
            self._count(its)

    def _count(self, receipt: FieldReceipt) -> None:
        if receipt.outcome == outbox.RETRY:
            self._waiting.add(receipt.customer_id)
        else:
            self._report.fields_left -= 1
        if receipt.outcome == outbox.DONE:
            self._report.fields += 1
        else:
            self._report.refused += receipt.outcome == outbox.REFUSED
            self._report.reasons[receipt.reason or receipt.outcome] += 1
