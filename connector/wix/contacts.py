"""Reading contacts.

Records come from version 4: labels are needed of every contact that changed and stand only there, and its pages are
ten times as large. `updatedDate` can be filtered but not sorted by there, so contacts are walked in the order of their
creation; one that changes behind the place has a newer change date than the run's beginning and comes with the next.
Version 5, where the site has it, adds what it alone knows (date of consent, membership) and the deleted contacts;
whether it is there is learnt from the first call that needs it, once a run. Contacts wait until such a call is full,
and come with a later page.

A label that is put on or taken off moves `updatedDate` and `revision`, and nothing tells that it was no more than that:
contacts whose labels were written by a run come again in the next one, with a call of version 5 for each hundred.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from connector.base import WITHHELD, Cursor, Page
from connector.errors import BadReply, ScopeError
from connector.wix import wire_contacts as wire
from connector.wix.connection import Connection
from connector.wix.judge import PLATFORM, NotFound, Refused
from connector.wix.limits import limits
from connector.wix.records import email_of, lacks_consent
from connector.wix.waiting import Waiting, owed, place, renewed
from connector.wix.walk import Meter, Place, by_cursor, by_key, page_of
from connector.wix.wire import after, items, mapping, records, text

_LABELS = "labels"
_V5 = "contacts v5"
_CONSENT = "email subscriptions"

_log = logging.getLogger(__name__)


class Contacts:
    """Contacts of a site with the names of their labels."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def pages(self, since: Cursor) -> Iterator[Page]:
        """Contacts that changed after the mark, in the order of their creation."""
        matching: dict[str, Any] = {}
        if since.high_water is not None:
            matching["updatedDate"] = {"$gte": after(since.high_water)}
        meter, waiting, owing = Meter(self._connection), self._waiting(), owed(since.page_token)
        start = Place.parse(place(since.page_token))
        for stretch in by_key(
            self._connection,
            lambda where, offset: wire.contacts(where, offset=offset),
            field="createdDate",
            matching=matching,
            start=start,
        ):
            token = None if stretch.place is None else str(stretch.place)
            again = [each for chunk in chunks(owing, limits().pages.ids) for each in self._shown(chunk)]
            owing = []
            whole = waiting.sift(self._told(renewed(stretch.items, again)), last=token is None)
            yield Page(whole, waiting.token(token), meter.lap(), total=None if start.key else stretch.total)

    def by_ids(self, ids: Sequence[str]) -> Iterator[Page]:
        """These contacts. One that the query does not show is asked for by itself: merged, gone, or not yet indexed."""
        meter = Meter(self._connection)
        for chunk in chunks(ids, limits().pages.ids):
            found = self._shown(chunk)
            known = {str(each.get("id")).lower() for each in found}
            merged: dict[str, str] = {}
            for missing in (each for each in chunk if each.lower() not in known):
                alone = self._alone(missing)
                if alone is None:
                    continue
                survivor = str(alone.get("id"))
                if survivor.lower() != missing.lower():
                    merged[missing] = survivor
                if survivor.lower() not in known:
                    known.add(survivor.lower())
                    found.append(alone)
            yield Page(self._waiting().sift(self._told(found), last=True), None, meter.lap(), merged=merged)

    def ids(self) -> Iterator[Page]:
        """Every contact as {"id": ...}."""
        meter = Meter(self._connection)
        for stretch in by_key(
            self._connection,
            lambda where, offset: wire.contacts(where, offset=offset, fields=("createdDate",)),
            field="createdDate",
            matching={},
            start=Place(),
        ):
            token = None if stretch.place is None else str(stretch.place)
            yield Page([{"id": each["id"]} for each in stretch.items if each.get("id")], token, meter.lap())

    def gone(self) -> Iterator[Page]:
        """Deleted contacts that still lie in the trash bin, where the site has one."""
        if self._connection.learnt.get(_V5) is False:
            return
        meter = Meter(self._connection)
        try:
            for number, leaf in enumerate(by_cursor(self._connection, wire.trash, "contacts", "pagingMetadata")):
                token = str(number) if leaf.more else None
                yield Page([{"id": each["id"]} for each in leaf.items if each.get("id")], token, meter.lap())
        except (ScopeError, Refused) as error:
            self._without(_V5, error)

    def count(self) -> int | None:
        """Live contacts, unless there are too many for Wix to count."""
        body = self._connection.read(wire.contacts({}, limit=1, fields=("createdDate",)))
        metadata = mapping(body.get("pagingMetadata"))
        total = metadata.get("total")
        return total if isinstance(total, int) and not metadata.get("tooManyToCount") else None

    def _shown(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        """Those of these contacts that the query shows."""
        return records(self._connection.read(wire.contacts_by_ids(ids)), "contacts")

    def _alone(self, contact_id: str) -> dict[str, Any] | None:
        """The contact behind an id as it is now: itself, the one it was merged into, or none."""
        call = wire.contact(contact_id)
        try:
            body = self._connection.read(call)
        except NotFound:
            return None
        found = body.get("contact")
        if not isinstance(found, dict) or not found.get("id"):
            raise BadReply(PLATFORM, call.operation, "the answer holds no contact with an id")
        return found

    def _told(self, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """With the names of labels, and with consent where it is missing."""
        self._name_labels(found)
        self._add_consent([each for each in found if lacks_consent(each)])
        return found

    def _waiting(self) -> Waiting:
        return Waiting(limits().pages.contacts_v5, self._concerns_v5, self._add_v5)

    def _concerns_v5(self, contact: dict[str, Any]) -> bool:
        return self._connection.learnt.get(_V5) is not False and bool(email_of(contact))

    def _name_labels(self, found: Iterable[dict[str, Any]]) -> None:
        keys = {id(each): items(mapping(each.get("info")).get("labelKeys")) for each in found}
        names = self.label_names({str(key) for own in keys.values() for key in own})
        for each in found:
            each["ourLabels"] = [names[str(key)] for key in keys[id(each)] if str(key) in names]
            if keys[id(each)] and _LABELS in self._connection.missing:
                each[WITHHELD] = ("customer_tags",)

    def label_names(self, keys: set[str]) -> Mapping[str, str]:
        """Names by key: read once, and once more when a key comes up that was not there.

        A key without the right to list labels has no names to offer: contacts that have labels then keep the tags that
        are stored.
        """
        known: dict[str, str] | None = self._connection.learnt.get(_LABELS)
        if keys and _LABELS not in self._connection.missing and (known is None or not keys <= known.keys()):
            fresh = self._read_labels()
            known = self._connection.learnt[_LABELS] = dict.fromkeys(keys - fresh.keys(), "") | fresh
        return {key: name for key, name in (known or {}).items() if name}

    def _read_labels(self) -> dict[str, str]:
        names: dict[str, str] = {}
        offset = 0
        try:
            while True:
                body = page_of(self._connection, wire.labels(offset), "labels", "pagingMetadata")
                page = records(body, "labels")
                names |= {str(each.get("key")): name for each in page if (name := text(each.get("displayName")))}
                offset += len(page)
                total = mapping(body.get("pagingMetadata")).get("total")
                more = offset < total if isinstance(total, int) else len(page) >= limits().pages.labels
                if not page or not more:
                    return names
        except ScopeError as error:
            self._without(_LABELS, error)
            return names

    def _add_consent(self, found: Sequence[dict[str, Any]]) -> None:
        """From the subscriptions of the addresses; an address that is not listed there was never set.

        Where they may not be read, what is stored of the consent stays: it is not lost because we are not told.
        """
        addresses = list({_address(each): each for each in found})
        for chunk in chunks(addresses, limits().pages.subscriptions):
            if self._connection.learnt.get(_CONSENT) is False:
                break
            try:
                listed = self._subscriptions(chunk)
            except (ScopeError, NotFound) as error:
                self._without(_CONSENT, error)
                break
            for each in found:
                if _address(each) in chunk:
                    each["ourConsent"] = listed.get(_address(each), {"subscriptionStatus": "NOT_SET"})
        for each in found:
            if "ourConsent" not in each:
                each[WITHHELD] = (*each.get(WITHHELD, ()), "email_status")

    def _subscriptions(self, addresses: Sequence[str]) -> dict[str, dict[str, Any]]:
        """By address. One that Wix will not look for spoils only itself: nothing is known of it."""
        try:
            body = self._connection.read(wire.subscriptions(addresses))
        except NotFound:
            raise
        except Refused:
            if len(addresses) == 1:
                return {}
            half = len(addresses) // 2
            return self._subscriptions(addresses[:half]) | self._subscriptions(addresses[half:])
        return {str(each.get("email")).strip().lower(): each for each in records(body, "subscriptions")}

    def _add_v5(self, found: Sequence[dict[str, Any]]) -> bool:
        """What version 5 adds; False where the site does not have it."""
        by_id = {each["id"].lower(): each for each in found}
        try:
            body = self._connection.read(wire.contacts_v5(list(by_id)))
        except (ScopeError, Refused) as error:
            self._without(_V5, error)
            return False
        for each in records(body, "contacts"):
            if str(each.get("id")).lower() in by_id:
                by_id[str(each["id"]).lower()]["ourV5"] = {
                    "memberInfo": each.get("memberInfo"),
                    "email": each.get("email"),
                }
        return True

    def _without(self, what: str, error: Exception) -> None:
        """Remember for the run that this cannot be read, and say so: a missing right is news, an old API is not."""
        level = logging.WARNING if isinstance(error, ScopeError) else logging.INFO
        _log.log(level, "%s; reading without %s, see regulars doctor", error, what)
        self._connection.missing[what] = str(error)
        if what != _LABELS:
            self._connection.learnt[what] = False


def chunks(values: Sequence[str], size: int) -> Iterator[list[str]]:
    """The values in portions of at most `size`."""
    for at in range(0, len(values), size):
        yield list(values[at : at + size])


def _address(contact: Mapping[str, Any]) -> str:
    return str(email_of(contact)).strip().lower()
