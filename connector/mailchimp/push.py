"""One batch of tag changes, from ops to receipts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal

from connector.base import Batch, Call, Op, Receipt, Reply
from connector.mailchimp import wire_members, wire_tags
from connector.mailchimp.batches import Batches, calls
from connector.mailchimp.cutting import CHANGE, JOIN, QUIET, grouped, member_of, requests, tag_of
from connector.mailchimp.limits import limits
from connector.mailchimp.wire import Refused, document
from connector.mailchimp.wire_batches import Answer
from connector.mailchimp.wire_members import MAILABLE, NOT_IN_AUDIENCE, Operation, key
from connector.mailchimp.wire_tags import Tag
from connector.redact import redact

Outcome = Literal["done", "refused", "retry"]

_NO_ADDRESS = "no usable e-mail address"


class Push:
    """Sends batches to one audience. `tags` reads its tags; `adding`: people whom it does not hold are added."""

    def __init__(
        self,
        audience: str,
        send: Callable[[Call], Reply],
        tags: Callable[[], Iterable[Tag]],
        batches: Batches,
        *,
        adding: bool,
    ) -> None:
        self._audience = audience
        self._send = send
        self._tags = tags
        self._batches = batches
        self._adding = adding
        self._receipts: dict[int, Receipt] = {}

    def push(self, batch: Batch) -> list[Receipt]:
        """One receipt per op, in their order."""
        self._receipts = {}
        ops: Sequence[Op] = batch.ops
        if batch.kind in (QUIET, JOIN):
            ops = self._admitted(ops)
        if batch.kind in (CHANGE, JOIN):
            for group in grouped(ops, lambda op: tag_of(op.audience)):
                for part in requests(group):
                    self._change(part)
        else:
            self._by_member(ops, quiet=batch.kind == QUIET)
        return [self._receipts[op.id] for op in batch.ops]

    def cost(self, batch: Batch) -> tuple[int, float]:
        """Calls and seconds that the batch will usually take: everybody is taken, and the answers speak of all."""
        joining = self._joining(batch.ops) if batch.kind in (QUIET, JOIN) else {}
        parts = [calls(len(joining))]
        if batch.kind in (CHANGE, JOIN):
            changes = sum(len(list(requests(group))) for group in grouped(batch.ops, lambda op: tag_of(op.audience)))
            parts.append((changes, changes * limits().pace.call))
        else:
            parts += [(1, limits().pace.call), calls(len({member_of(op.person) for op in batch.ops} - {None}))]
        return sum(number for number, _ in parts), sum(seconds for _, seconds in parts)

    def _settle(self, op: Op, outcome: Outcome, reason: str | None = None, *, gone: bool = False) -> None:
        remote_id = member_of(op.person) if outcome == "done" and op.action == "add" else None
        self._receipts[op.id] = Receipt(op.id, outcome, reason, remote_id, gone)

    def _admitted(self, ops: Sequence[Op]) -> list[Op]:
        """Those who are in the audience, after those who were not have been added; the others get their receipts."""
        people = self._joining(ops)
        additions = [wire_members.add_member(self._audience, those[0].person.email or "") for those in people.values()]
        answers = self._batches.run(additions) if additions else []
        for those, answer in zip(people.values(), answers, strict=True):
            for op in those:
                if not isinstance(answer, Answer) or not answer.ok:
                    self._answered(op, answer)
                elif answer.document.get("status", "subscribed") not in MAILABLE:
                    self._settle(op, "refused", str(answer.document["status"]))
        return [op for op in ops if op.id not in self._receipts]

    def _joining(self, ops: Iterable[Op]) -> dict[str, list[Op]]:
        """Those who are to be added, by their hash."""
        people: dict[str, list[Op]] = {}
        for op in ops:
            if self._adding and op.action == "add" and op.person.remote_id is None and (its := member_of(op.person)):
                people.setdefault(its, []).append(op)
        return people

    def _change(self, ops: Sequence[Op]) -> None:
        """One call to one tag.

        Whom the answer does not speak of has the tag, or is not in the audience: Mailchimp leaves out both. So they
        are asked for by a call of their own, which starts nothing; and so are those who could not be taken out (they
        have unsubscribed), and everybody if the call is refused as a whole.
        """
        by_address: dict[str, list[Op]] = {}
        for op in ops:
            by_address.setdefault(key(op.person.email or ""), []).append(op)
        adds = [address for address, those in by_address.items() if any(op.action == "add" for op in those)]
        removes = [address for address, those in by_address.items() if all(op.action == "remove" for op in those)]
        request = wire_tags.change_tag(self._audience, tag_of(ops[0].audience), adds, removes)
        try:
            body = document(request.operation, self._send(request), "members_added", "members_removed", "errors")
        except Refused:
            self._by_member(ops, quiet=False)
            return
        added, removed = wire_members.hashes(body["members_added"]), wire_members.hashes(body["members_removed"])
        refused = wire_members.refused_addresses(body["errors"])
        unsure = []
        for op in ops:
            its = member_of(op.person) or ""
            if its in (added if op.action == "add" else removed):
                self._settle(op, "done")
            elif op.action == "add" and its in refused:
                self._settle(op, "refused", redact(refused[its]))
            elif op.action == "remove" and its not in refused:
                self._settle(op, "done")
            else:
                unsure.append(op)
        if unsure:
            self._by_member(unsure, quiet=True)

    def _by_member(self, ops: Sequence[Op], *, quiet: bool) -> None:
        """One operation per member with all their tags. These go by name there, so the present names are read first.

        Where everybody is refused the fault is not theirs: they wait, unless the answer is that they are not there.
        """
        names = {tag.id: tag.name for tag in self._tags()}
        changes: dict[str, dict[str, bool]] = {}
        members: dict[str, list[Op]] = {}
        for op in ops:
            member, name = member_of(op.person), names.get(tag_of(op.audience))
            if name is None:
                reason = f"tag {op.audience.name!r} no longer exists in Mailchimp and is made anew"
                self._settle(op, "retry", reason, gone=True)
            elif member is None and op.action == "add":
                self._settle(op, "refused", _NO_ADDRESS)
            elif member is None:
                self._settle(op, "done")
            else:
                changes.setdefault(member, {})[name] = op.action == "add"
                members.setdefault(member, []).append(op)
        operations = [self._tagging(member, tags, quiet=quiet) for member, tags in changes.items()]
        answers = self._batches.run(operations) if operations else []
        some = any(its.outcome == "done" for its in self._receipts.values())
        blameless = not some and len(answers) > 1 and all(map(_doubtful, answers))
        for those, answer in zip(members.values(), answers, strict=True):
            for op in those:
                if blameless:
                    self._settle(op, "retry", outcome_of(answer)[1])
                else:
                    self._answered(op, answer)

    def _tagging(self, member: str, tags: Mapping[str, bool], *, quiet: bool) -> Operation:
        return wire_members.tag_member(self._audience, member, tags, quiet=quiet)

    def _answered(self, op: Op, answer: Answer | str) -> None:
        """The receipt that an operation's answer makes. Who is not there any more needs no removal."""
        outcome, reason = outcome_of(answer)
        if op.action == "remove" and reason == NOT_IN_AUDIENCE:
            outcome, reason = "done", None
        self._settle(op, outcome, reason)


def outcome_of(answer: Answer | str) -> tuple[Outcome, str | None]:
    """What an answer means for the person: the outcome of a receipt, with its reason."""
    if isinstance(answer, str):
        return "retry", answer
    if answer.ok:
        return "done", None
    if wire_members.passing(answer.status, answer.problem):
        return "retry", answer.problem.title if answer.problem else f"HTTP {answer.status}"
    if answer.problem is None:
        return "retry", f"HTTP {answer.status} without an explanation"
    return "refused", wire_members.refusal(answer.problem)


def _doubtful(answer: Answer | str) -> bool:
    """Whether it refuses without saying that the person is unknown."""
    outcome, reason = outcome_of(answer)
    return outcome == "refused" and reason != NOT_IN_AUDIENCE
