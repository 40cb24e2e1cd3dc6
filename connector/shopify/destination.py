"""Customer tags: the write-back to the shop. A tag exists by being used: none is created, renamed or looked for."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from connector.base import Audience, Batch, Call, Finding, Limits, Op, Person, Profile, Receipt, WithoutFields
from connector.errors import BadReply, ScopeError
from connector.shopify import wire
from connector.shopify.connection import Asked, Connection
from connector.shopify.doctor import examine_tags
from connector.shopify.judge import PLATFORM, TooCostly
from connector.shopify.limits import limits

GONE = "Customer does not exist"


class ShopifyTags(WithoutFields):
    """Tags on customers. `tagsAdd` and `tagsRemove` are set operations: repeating them changes nothing."""

    name = "tags"
    platform = PLATFORM

    def __init__(self, connection: Connection, prefix: str) -> None:
        self._connection = connection
        self._prefix = prefix
        self._calls = 0
        tags = limits().tags
        self.limits = Limits(
            consent=False,
            by_email=False,
            name_length=tags.length,
            tags_per_person=tags.per_customer,
            keyed=False,
        )

    @property
    def calls(self) -> int:
        """Requests sent for tags so far."""
        return self._calls

    def check(self) -> None:
        """The shop's scopes, asked for once with the source."""
        lacking = next((finding for finding in examine_tags(self._connection) if finding.level == "error"), None)
        if lacking is not None:
            raise ScopeError(PLATFORM, "check of the key", f"{lacking.text}; {lacking.fix}")

    def account(self) -> str:
        """The number of the shop, which keeps it under another domain."""
        return self._connection.shop().id

    def doctor(self) -> list[Finding]:
        """May tags be written? Raises AuthError on a refused key."""
        return examine_tags(self._connection)

    def audience_name(self, key: str, name: str) -> str:
        """Prefix and key in lower case: `VIP` and `vip` are one tag, and a comma would make two."""
        return (self._prefix + key).lower().replace(",", "-")

    def lookup(self, emails: Sequence[str]) -> Iterator[Sequence[Profile]]:
        """Nothing: people are known by their number."""
        return iter(())

    def changed(self, since: int | None) -> Iterator[Sequence[Profile]]:
        """Nothing: tags ignore consent."""
        return iter(())

    def find(self, names: Sequence[str], *, made: tuple[int, int] | None = None) -> Mapping[str, Sequence[str]]:
        """Nothing: a tag has no id. Customers that carry one are seen when they are read."""
        return {}

    def create(self, audience: Audience) -> str:
        """A tag comes into being with its first customer; its name is its id."""
        return audience.name

    def rename(self, audience: Audience) -> None:
        """Tags are named by prefix and key, which take their audience with them when they change."""

    def live_flows(self, audience: Audience) -> Sequence[str]:
        """Not to be seen through the Admin API."""
        return ()

    def estimate(
        self,
        adds: Mapping[str, Sequence[Person]],
        removes: Mapping[str, Sequence[Person]],
        quiet: Collection[str] = (),
    ) -> tuple[int, float]:
        """Calls and seconds with a full bucket."""
        adding = {person.customer_id for people in adds.values() for person in people}
        removing = {person.customer_id for people in removes.values() for person in people}
        mutations = len(adding) + len(removing)
        bucket = self._connection.bucket
        seconds = max(0.0, (mutations * limits().points.mutation - bucket.maximum) / bucket.rate)
        return math.ceil(mutations / limits().tags.mutations), seconds

    def batches(self, ops: Iterable[Op]) -> Iterator[Batch]:
        """Requests filled with at most one removal and one addition per customer, the removal first.

        Customers with both go first, so that those with one fill up what is left.
        """
        grouped: dict[int, list[Op]] = {}
        for op in ops:
            grouped.setdefault(op.person.customer_id, []).append(op)
        most = limits().tags.mutations
        batch: list[Op] = []
        used = 0
        for wanted in (2, 1):
            for mine in grouped.values():
                mine.sort(key=_additions_last)
                if len({op.action for op in mine}) != wanted:
                    continue
                if used + wanted > most:
                    yield Batch(tuple(batch), self.name)
                    batch, used = [], 0
                batch += mine
                used += wanted
        if batch:
            yield Batch(tuple(batch), self.name)

    def push(self, batch: Batch) -> list[Receipt]:
        """One request, or none where every op is refused beforehand: a customer holds only so many tags."""
        grouped: dict[int, list[Op]] = {}
        receipts: list[Receipt] = []
        for op in batch.ops:
            grouped.setdefault(op.person.customer_id, []).append(op)
        sending: dict[str, list[Op]] = {}
        for number, mine in enumerate(grouped.values()):
            removals = [op for op in mine if op.action == "remove"]
            additions = [op for op in mine if op.action == "add"]
            room = max(0, limits().tags.per_customer - mine[0].person.tags + len(removals))
            receipts += [_over(op) for op in additions[room:]]
            if removals:
                sending[f"r{number}"] = removals
            if additions[:room]:
                sending[f"a{number}"] = additions[:room]
        return receipts + self._send(sending)

    def members(self, audience: Audience) -> Iterator[str]:
        """Customers whose record carries the tag now. The search behind it may miss what was tagged seconds ago."""
        search = wire.search_tag(audience.name)
        after: str | None = None
        while True:
            costs = self._connection.costs
            first = limits().pages.ids
            found = self._ask(wire.query(costs, "CustomerIdsPage", first=first, after=after, query=search))
            page = found.answer.data["customers"]
            ids = [node["id"] for node in page["nodes"]]
            if ids:
                nodes = self._ask(wire.query(costs, "CustomerTagsByIds", ids=ids)).answer.data["nodes"]
                yield from (str(wire.number(node["id"])) for node in nodes if node and _carries(node, audience.name))
            if not page["pageInfo"]["hasNextPage"]:
                return
            if page["pageInfo"]["endCursor"] in (None, after):
                raise BadReply(PLATFORM, "CustomerIdsPage", f"loop detected in paging: {after!r} comes again")
            after = page["pageInfo"]["endCursor"]

    def _send(self, sending: Mapping[str, Sequence[Op]]) -> list[Receipt]:
        if not sending:
            return []
        changes = [
            (alias, ops[0].person.customer_id, list(dict.fromkeys(op.audience.name for op in ops)))
            for alias, ops in sending.items()
        ]
        try:
            answer = self._ask(wire.tags(self._connection.costs, changes)).answer
        except TooCostly:
            if len(sending) == 1:
                raise
            aliases = list(sending)
            half = len(aliases) // 2
            parts = (aliases[:half], aliases[half:])
            return [receipt for part in parts for receipt in self._send({alias: sending[alias] for alias in part})]
        return [receipt for alias, ops in sending.items() for receipt in _receipts(alias, ops, answer)]

    def _ask(self, call: Call) -> Asked:
        asked = self._connection.ask(call)
        self._calls += asked.calls
        return asked


def _additions_last(op: Op) -> bool:
    return op.action == "add"


def _over(op: Op) -> Receipt:
    return Receipt(op.id, "refused", f"the customer has {limits().tags.per_customer} tags, the most there can be")


def _carries(node: Mapping[str, Any], tag: str) -> bool:
    return tag.casefold() in {held.casefold() for held in node["tags"]}


def _receipts(alias: str, ops: Sequence[Op], answer: wire.Answer) -> list[Receipt]:
    """What became of one mutation of the request."""
    payload = answer.data.get(alias)
    if payload is None:
        mine = [error for error in answer.errors if (error.get("path") or [None])[0] == alias]
        text = "; ".join(str(error.get("message", "?")) for error in mine) or "no answer"
        transient = not mine or any(wire.code(error) in wire.TRANSIENT for error in mine)
        return [Receipt(op.id, "retry" if transient else "refused", text) for op in ops]
    problems = [str(error["message"]) for error in payload["userErrors"]]
    if not problems or (ops[0].action == "remove" and GONE in problems):
        return [Receipt(op.id, "done", remote_id=str(op.person.customer_id)) for op in ops]
    return [Receipt(op.id, "refused", "; ".join(problems)) for op in ops]
