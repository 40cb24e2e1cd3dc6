"""Before members are sent: lists and labels renamed and created, as far as the destination allows today."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from connector.base import Audience, Clock, Destination
from connector.errors import BadRequest, PlatformError
from sync.push.audiences import unheard
from sync.push.plan_value import AudiencePlan, Plan
from sync.store import audience as rows
from sync.store import state
from sync.store.audience import Kept
from sync.store.engine import Store

_DAY = 86_400


class Opening:
    """Makes one destination's audiences ready. `reasons` says why some are not."""

    def __init__(self, plan: Plan, destination: Destination, store: Store, clock: Clock) -> None:
        name = destination.name
        self._planned = [its for its in plan.audiences if its.destination == name and not its.held]
        self._destination = destination
        self._store = store
        self._clock = clock
        self.reasons: dict[str, int] = {}

    def open(self) -> dict[str, Audience]:
        """The audiences that can take members, by segment."""
        with self._store.read() as conn:
            kept = rows.kept(conn, self._destination.name)
        mine = {its.segment for its in self._planned}
        made = unheard(self._destination, [its for its in kept.values() if its.segment in mine])
        ready: dict[str, Audience] = {}
        for its in self._planned:
            row = kept.get((its.destination, its.segment))
            if row is None:
                continue
            try:
                row = self._ready(its, row, made.get(its.segment, ()))
            except BadRequest as error:
                self._count(str(error))
                continue
            if row is not None and row.remote_id is not None:
                ready[its.segment] = Audience(its.segment, row.name, row.remote_id)
        return ready

    def _ready(self, its: AudiencePlan, row: Kept, made: Sequence[str]) -> Kept | None:
        """`made` are audiences that can only be the one which an interrupted run asked for.

        One that cannot be renamed is filled under its old name: if it is gone, that is how it is found out.
        """
        if row.remote_id is None and len(made) == 1:
            row = self._keep(replace(row, remote_id=made[0], creating_since=None))
        if row.remote_id is None:
            return self._create(its, row) if its.add else None
        if its.renamed_from and row.name != its.name:
            try:
                self._destination.rename(Audience(its.segment, its.name, row.remote_id))
            except BadRequest as error:
                self._count(str(error))
            else:
                row = self._keep(replace(row, name=its.name))
        return row

    def _create(self, its: AudiencePlan, row: Kept) -> Kept | None:
        key = f"created:{self._destination.name}"
        today = int(self._clock.now()) // _DAY
        most = self._destination.limits.creates_per_day
        with self._store.read() as conn:
            day, made = state.get_meta(conn, key, [today, 0])
        made = made if day == today else 0
        if most is not None and made >= most:
            self._count(f"{most} new {its.kind}s a day is the limit; the rest follow tomorrow")
            return None
        row = self._keep(replace(row, name=its.name, creating_since=int(self._clock.now())))
        try:
            remote_id = self._destination.create(Audience(its.segment, its.name))
        except PlatformError as error:
            if error.definite:
                self._keep(replace(row, creating_since=None))
            raise
        with self._store.begin() as conn:
            row = replace(row, remote_id=remote_id, creating_since=None)
            rows.keep(conn, row)
            state.set_meta(conn, key, [today, made + 1])
        return row

    def _keep(self, row: Kept) -> Kept:
        with self._store.begin() as conn:
            rows.keep(conn, row)
        return row

    def _count(self, reason: str) -> None:
        self.reasons[reason] = self.reasons.get(reason, 0) + 1
