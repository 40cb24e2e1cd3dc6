"""Before members are sent: lists renamed and created, as far as the destination allows today."""

from __future__ import annotations

from dataclasses import replace

from connector.base import Audience, Clock, Destination
from connector.errors import BadRequest
from sync.guards import UNKNOWN_LEDGER
from sync.plan_value import AudiencePlan, Plan
from sync.store import audience as rows
from sync.store import state
from sync.store.audience import Kept
from sync.store.engine import Store

_DAY = 86_400


class Opening:
    """Makes one destination's audiences ready. `reasons` says why some are not."""

    def __init__(self, plan: Plan, destination: Destination, store: Store, clock: Clock, *, resumed: bool) -> None:
        name = destination.name
        self._planned = [its for its in plan.audiences if its.destination == name and not its.held]
        self._destination = destination
        self._store = store
        self._clock = clock
        self._resumed = resumed
        self._apart = {its.segment for its in plan.passed if its.guard == UNKNOWN_LEDGER and its.destination == name}
        self.reasons: dict[str, int] = {}

    def open(self) -> dict[str, Audience]:
        """The audiences that can take members, by segment."""
        with self._store.read() as conn:
            kept = rows.kept(conn, self._destination.name)
        interrupted = self._interrupted(kept)
        ready: dict[str, Audience] = {}
        for its in self._planned:
            row = kept.get((its.destination, its.segment))
            if row is None:
                continue
            try:
                row = self._ready(its, row, interrupted)
            except BadRequest as error:
                self._count(str(error))
                continue
            if row is not None and row.remote_id is not None:
                ready[its.segment] = Audience(its.segment, row.name, row.remote_id)
        return ready

    def _interrupted(self, kept: dict[tuple[str, str], Kept]) -> dict[str, str]:
        """Lists that this plan was about to create when its run died, and did create."""
        if not self._resumed:
            return {}
        names = [row.name for row in kept.values() if row.remote_id is None and row.segment not in self._apart]
        found = self._destination.find(sorted(names)) if names else {}
        return {name: ids[0] for name, ids in found.items() if len(ids) == 1}

    def _ready(self, its: AudiencePlan, row: Kept, interrupted: dict[str, str]) -> Kept | None:
        if row.remote_id is None and row.name in interrupted:
            row = self._keep(replace(row, remote_id=interrupted[row.name]))
        if row.remote_id is None:
            return self._create(its, row) if its.add else None
        if its.renamed_from and row.name != its.name:
            self._destination.rename(Audience(its.segment, its.name, row.remote_id))
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
            self._count(f"{most} new lists a day is the limit; the rest follow tomorrow")
            return None
        remote_id = self._destination.create(Audience(its.segment, its.name))
        with self._store.begin() as conn:
            row = replace(row, name=its.name, remote_id=remote_id)
            rows.keep(conn, row)
            state.set_meta(conn, key, [today, made + 1])
        return row

    def _keep(self, row: Kept) -> Kept:
        with self._store.begin() as conn:
            rows.keep(conn, row)
        return row

    def _count(self, reason: str) -> None:
        self.reasons[reason] = self.reasons.get(reason, 0) + 1
