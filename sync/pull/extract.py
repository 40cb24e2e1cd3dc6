"""One stream from a source into the store, incrementally and at least once.

A range is half-open, [since, until). Rows, marks and the token of the next page are committed together, so that a
process killed at any point repeats at most one page, and the change guard absorbs that page. Only after the last page
does the mark move: to the newest change seen, but never past the moment reading began less the stream's lag, and never
back.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from connector.base import WITHHELD, Cursor, Page, Record, Source, Stream
from connector.errors import BadReply, BadRequest
from mappings.load import MappingError
from sync.progress import Progress, Silent
from sync.store import external, sight, state
from sync.store.engine import Connection, Store
from sync.store.products import PRODUCTS, Fills, fills
from sync.store.upsert import Absorbed, Doubted, Rows, Upsert

_ALLOCATIONS = 200_000
_PROBED = 250
_ADDRESS = frozenset({"email_key", "email_status"})
_ASKED_FOR = frozenset({"customers", "products", "orders", "carts"})
"""Tables whose records are asked for, or named, by the platform's own ids again."""


@dataclass(frozen=True, slots=True)
class StreamReport:
    """What reading a stream came to: `read` = new + changed + unchanged + quarantined.

    `withheld` are columns that the platform refused to show, `aside` the records that are newly in quarantine.
    """

    stream: str
    read: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    quarantined: int = 0
    pages: int = 0
    calls: int = 0
    withheld: frozenset[str] = frozenset()
    aside: tuple[state.Refused, ...] = ()

    def plus(self, taken: Taken) -> StreamReport:
        """With the records of one more page."""
        absorbed = taken.absorbed
        return replace(
            self,
            read=self.read + absorbed.new + absorbed.changed + absorbed.unchanged + taken.quarantined,
            new=self.new + absorbed.new,
            changed=self.changed + absorbed.changed,
            unchanged=self.unchanged + absorbed.unchanged,
            quarantined=self.quarantined + taken.quarantined,
            withheld=self.withheld | taken.withheld,
            aside=self.aside + taken.aside,
        )


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a page: `aside` are those of its quarantined records that were not there before."""

    absorbed: Absorbed
    quarantined: int = 0
    aside: tuple[state.Refused, ...] = ()
    withheld: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Mapped:
    """Records on their way in: rows and ids of those that map, those that do not, and what can be read of these."""

    rows: list[Rows]
    ids: list[str]
    refused: list[state.Refused]
    doubted: list[Doubted]


class Intake:
    """Maps records of one stream and stores them; what does not map goes to quarantine and stops nobody."""

    def __init__(self, source: Source, stream: Stream, *, run_id: int, now: int, zone: ZoneInfo, prefix: str) -> None:
        self.stream = stream
        self.table = stream.table or stream.name
        self._to_rows = source.to_rows(stream)
        columns = source.columns(stream)
        self._columns = columns[self.table]
        self._children = {name: own for name, own in columns.items() if name != self.table}
        self._upsert = Upsert(
            self.table, source.columns(stream), zone=zone, prefix=prefix, fills=_filled(source, stream)
        )
        self._run_id = run_id
        self._now = now

    def map(self, records: Sequence[Record]) -> Mapped:
        """Turn records into rows, as far as they fit."""
        mapped = Mapped([], [], [], [])
        for record in records:
            try:
                rows = self._to_rows(record)
            except MappingError as error:
                record_id = _record_id(record) or error.record_id
                mapped.refused.append(
                    state.Refused(self.stream.name, record_id, _reason(error), record, self._run_id, self._now)
                )
                if not _ADDRESS.intersection(record.get(WITHHELD, ())):
                    mapped.doubted.append((record_id, error.known))
            else:
                mapped.rows.append({**rows, WITHHELD: [tuple(record[WITHHELD])]} if WITHHELD in record else rows)
                mapped.ids.append(_record_id(record))
        return mapped

    def store(self, connection: Connection, mapped: Mapped) -> Taken:
        """Store what `map` gave.

        A customer whose record does not map any more keeps what is stored, but for a consent that the record takes
        back or that cannot be read there: it is lost until the record maps again.
        """
        if self.table in _ASKED_FOR:
            external.note(connection, (*mapped.ids, *(each.record_id for each in mapped.refused)))
        absorbed = self._upsert.apply(connection, mapped.rows)
        kept = state.kept(connection, self.stream.name)
        state.release(connection, self.stream.name, kept.intersection(mapped.ids))
        state.quarantine(connection, mapped.refused)
        self._upsert.doubt(connection, mapped.doubted)
        withheld = _withheld(mapped.rows)
        sight.note(connection, state.load(connection, self.stream.name), withheld)
        aside = tuple(each for each in mapped.refused if each.record_id not in kept)
        return Taken(absorbed, len(mapped.refused), aside, withheld)

    def held(self, withheld: str) -> str:
        """The condition for records of which something is stored in this column, or table of children."""
        if withheld in self._columns:
            return f"{withheld} IS NOT NULL"
        parent = self._children[withheld][0]
        return f"EXISTS (SELECT 1 FROM {withheld} WHERE {withheld}.{parent} = {self.table}.id)"

    def shown(self, records: Sequence[Record]) -> set[str]:
        """The columns (and tables of children) that have a value in one of the records and are refused in none."""
        rows = self.map(records).rows
        parents = [each[self.table][0] for each in rows]
        named = enumerate(self._columns)
        full = {name for at, name in named if any(each[at] is not None for each in parents)}
        full |= {name for name in self._children if any(each.get(name) for each in rows)}
        return full - _withheld(rows)

    def retry(self, store: Store) -> None:
        """Map again what is in quarantine: a newer mapping may fit, and costs no call."""
        with store.read() as connection:
            kept = state.quarantined(connection, self.stream.name)
        mapped = self.map([each.record for each in kept])
        if mapped.rows:
            with store.begin() as connection:
                self.store(connection, mapped)


def run_stream(
    source: Source,
    stream: Stream,
    store: Store,
    *,
    run_id: int,
    now: int,
    zone: ZoneInfo,
    prefix: str,
    progress: Progress | None = None,
    full: bool = False,
    visible: int | None = None,
) -> StreamReport:
    """Read what changed since the mark (everything if `full`), first finishing a range an earlier run left open.

    What is in sight begins at `visible` (None: all of it). Where that, or what is shown of each record, is more than
    was there for what is stored, everything is read.
    """
    intake = Intake(source, stream, run_id=run_id, now=now, zone=zone, prefix=prefix)
    intake.retry(store)
    reading = _Reading(source, intake, store, progress or Silent(), visible)
    regained = reading.regained()
    with store.begin() as connection:
        full = sight.begin(connection, reading.progress(), visible, regained=regained, full=full)
    found = reading.progress()
    with _rare_collections():
        if found.page_token is not None and not full:
            reading.finish(found)
            found = reading.progress()
        since = None if full else found.high_water
        reading.finish(replace(found, page_token=None, since=since, until=now + 1, seen=None))
    return reading.report


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Records are trees, which go when the last name for them goes.

    The collector of cycles would walk hundreds of thousands of them on every page: half of the time of a first load.
    """
    thresholds = gc.get_threshold()
    gc.set_threshold(_ALLOCATIONS, *thresholds[1:])
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)


class _Reading:
    """Ranges of one stream, read to their end one after the other."""

    def __init__(self, source: Source, intake: Intake, store: Store, progress: Progress, visible: int | None) -> None:
        self.report = StreamReport(intake.stream.name)
        self._source = source
        self._intake = intake
        self._store = store
        self._shown = progress
        self._visible = visible

    def progress(self) -> state.Progress:
        with self._store.read() as connection:
            return state.load(connection, self._intake.stream.name)

    def regained(self) -> bool:
        """True when a column that was refused is shown now, by records that had it or else by any. One call."""
        name = self._intake.stream.name
        with self._store.read() as connection:
            lost = sight.load(connection, name).columns
            if not lost:
                return False
            had = " OR ".join(self._intake.held(each) for each in lost)
            rows = connection.exec_driver_sql(
                f"SELECT id FROM {self._intake.table} WHERE gone_at IS NULL ORDER BY ({had}) DESC, id DESC "
                f"LIMIT {_PROBED}"
            ).scalars()
            ids = list(external.outward(connection, rows).values())
        pages = list(self._source.by_ids(self._intake.stream, ids))
        self.report = replace(self.report, calls=self.report.calls + sum(page.calls for page in pages))
        return not self._intake.shown([each for page in pages for each in page.records]).isdisjoint(lost)

    def finish(self, range_: state.Progress) -> None:
        """Read the range from its token, or from its start where the platform no longer takes the token.

        A page is let go before the next one is read, so that one at a time takes memory.
        """
        stream = self._intake.stream
        tokens: set[str] = set()
        for page in self._pages(range_):
            if page.next_token is not None and page.next_token in tokens:
                text = f"paging runs in a circle after {self.report.pages} pages; stopped"
                raise BadReply(self._source.platform, stream.name, text)
            if page.next_token is not None:
                tokens.add(page.next_token)
            range_ = self._commit(page, range_)
            self._shown.update(stream.name, self.report.read, page.total)
            del page
        if range_.page_token is not None:
            raise BadReply(self._source.platform, stream.name, "pages ended before the last one; run again to go on")
        with self._store.begin() as connection:
            state.save(connection, _closed(range_, stream))
            sight.end(connection, stream.name, self._visible)

    def _pages(self, range_: state.Progress) -> Iterator[Page]:
        cursor = Cursor(range_.since, range_.page_token, range_.until)
        pages = self._source.pages(self._intake.stream, cursor)
        if range_.page_token is not None:
            try:
                first = next(pages, None)
            except BadRequest:
                first = None
            if first is None:
                pages = self._source.pages(self._intake.stream, replace(cursor, page_token=None))
            else:
                yield first
        yield from pages

    def _commit(self, page: Page, range_: state.Progress) -> state.Progress:
        mapped = self._intake.map(page.records)
        with self._store.begin() as connection:
            taken = self._intake.store(connection, mapped)
            seen = max((at for at in (range_.seen, taken.absorbed.newest) if at is not None), default=None)
            range_ = replace(range_, page_token=page.next_token, seen=seen)
            state.save(connection, range_)
        self.report = replace(
            self.report.plus(taken),
            pages=self.report.pages + 1,
            calls=self.report.calls + page.calls,
        )
        return range_


def _closed(range_: state.Progress, stream: Stream) -> state.Progress:
    """The state after the last page of a range. It is complete as of the moment its reading began."""
    mark = range_.high_water
    began = range_.completed_at if range_.until is None else range_.until - 1
    if range_.seen is not None and began is not None:
        reached = min(range_.seen, began - stream.lag)
        mark = reached if mark is None else max(mark, reached)
    return replace(range_, high_water=mark, page_token=None, since=None, until=None, seen=None, completed_at=began)


def _filled(source: Source, stream: Stream) -> Fills:
    """What lines of this stream (lines of all, for the products themselves) leave to the source's products, if any."""
    tables = {each: each.table or each.name for each in source.streams}
    if PRODUCTS not in tables.values():
        return {}
    lines = source.streams if tables[stream] == PRODUCTS else (stream,)
    return fills({table: columns for each in lines for table, columns in source.columns(each).items()})


def _withheld(rows: Sequence[Rows]) -> frozenset[str]:
    return frozenset(name for each in rows if WITHHELD in each for name in each[WITHHELD][0])


def _record_id(record: Mapping[str, Any]) -> str:
    """The platform's own id as text; a record without one is known by its content."""
    found = record.get("id")
    return str(found) if found is not None else orjson.dumps(record, default=str).decode()[:200]


def _reason(error: MappingError) -> str:
    return f"{error.path}: {error.reason}"
