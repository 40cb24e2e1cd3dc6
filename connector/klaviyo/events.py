"""An event for everybody who enters or leaves a segment, behind the change itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from connector.base import Call, Clock, Op, Receipt, Reply
from connector.errors import Unavailable
from connector.klaviyo import wire_events, wire_lists, wire_profiles
from connector.klaviyo.limits import limits
from connector.klaviyo.wire import Refused


@dataclass
class Events:
    """Sends events; `pages` follows a call through all its pages.

    An event is named by segment, person and the instant of the op, so that it counts once however often it is sent.
    Once the endpoint has not answered, the run's other events are left for the next.
    """

    send: Callable[[Call], Reply]
    pages: Callable[[Call], Iterator[Mapping[str, Any]]]
    clock: Clock
    prefix: str
    _silent: str = ""
    _flows: list[str] | None = field(default=None)

    def follow(self, ops: Sequence[Op], receipts: Sequence[Receipt]) -> list[Receipt]:
        """The receipts, with ops whose event did not go out waiting.

        Who entered has the store's consent, and gets an event unless Klaviyo may not mail them. Of those who left
        nobody knows why: only who has given consent to Klaviyo itself, and still shows it, gets an event.
        """
        done = {its.op: its for its in receipts if its.outcome == "done" and its.remote_id is not None}
        moved = [op for op in ops if op.id in done]
        standing = self._standing(str(done[op.id].remote_id) for op in moved if not _new(op))
        final = {its.op: its for its in receipts}
        for op in moved:
            profile_id = str(done[op.id].remote_id)
            row = standing.get(profile_id)
            wanted = _new(op) or (row is not None and (row.mailable if op.action == "add" else row.subscribed))
            if wanted:
                final[op.id] = self._sent(op, profile_id, done[op.id])
        return [final[op.id] for op in ops]

    def flows(self) -> list[str]:
        """Live flows that entering any segment starts. Asked once: the metric is one for all of them."""
        if self._flows is None:
            names = (limits().events.entered,)
            metrics = [
                its for body in self.pages(wire_events.get_metrics()) for its in wire_events.ids_named(body, names)
            ]
            self._flows = [
                name
                for each in metrics
                for body in self.pages(wire_events.metric_flows(each))
                for name in wire_lists.live(body)
            ]
        return self._flows

    def _standing(self, ids: Iterable[str]) -> dict[str, wire_profiles.Row]:
        """Whether one may mail them now; absent is who is deleted, or does not show."""
        found = {}
        for group in wire_profiles.groups(dict.fromkeys(ids)):
            for body in self.pages(wire_profiles.profiles_with(group)):
                found.update({row.id: row for row in wire_profiles.rows(body)})
        return found

    def _sent(self, op: Op, profile_id: str, receipt: Receipt) -> Receipt:
        """A refusal of this very event is noted and ends the matter: the change itself is done."""
        if self._silent:
            return Receipt(op.id, "retry", self._silent)
        try:
            self.send(self._event(op, profile_id))
        except Refused as error:
            return replace(receipt, reason=f"the event is refused: {error.text}")
        except Unavailable as error:
            self._silent = f"the event was not sent: {error.text}"
            return Receipt(op.id, "retry", self._silent)
        return receipt

    def _event(self, op: Op, profile_id: str) -> Call:
        now = int(self.clock.now())
        entered = op.action == "add"
        name = op.audience.name.removeprefix(self.prefix)
        person = op.person.id or str(op.person.customer_id)
        return wire_events.create_event(
            limits().events.entered if entered else limits().events.left,
            profile_id,
            f"regulars:{op.audience.segment}:{person}:{op.since}:{'entered' if entered else 'left'}",
            (op.since or now) if entered else now,
            {"segment": op.audience.segment, "segment_name": name},
            quiet=op.audience.quiet,
        )


def _new(op: Op) -> bool:
    """Made or looked up by the change itself, and so known to be mailable; a new profile may not show yet."""
    return op.action == "add" and op.person.remote_id is None
