"""Reading what people did, as far as Wix tells it.

A contact shows its latest activity only; what came between two runs is in the activity log, which takes a request for
each contact. So the log is asked where somebody acted since the mark, for a bounded number of contacts a run, and
never on a first read. Contacts name an activity by its type, the log by the id of its template: where both show the
same one, at the same time, the type is its name, and that of its template from then on.
Opens and clicks of campaigns have no change date: those of recent campaigns are read anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from connector.base import Cursor, Page
from connector.errors import ScopeError
from connector.wix import wire_activity as wire
from connector.wix.connection import Connection
from connector.wix.judge import PLATFORM, NotFound, Refused
from connector.wix.limits import limits
from connector.wix.walk import Meter, Place, by_cursor, by_key
from connector.wix.wire import epoch, iso, mapping, records, text

_LOG = "activity log"
_TYPES = "activity types"
_DAY = 86_400


class Events:
    """Activities of contacts, named by Wix's own type, or by the id of the log's template where no type is known."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def pages(self, since: Cursor) -> Iterator[Page]:
        """What was done at or after the mark, in the order of each contact's latest activity."""
        mark = iso(since.high_water or 0)
        meter, left = Meter(self._connection), limits().events.log_contacts if since.high_water else 0
        start = Place.parse(since.page_token)
        for stretch in by_key(
            self._connection,
            wire.contacts_acted,
            field=wire.ACTED,
            matching={},
            start=start if start.key else Place(mark),
        ):
            found: list[dict[str, Any]] = []
            for contact in stretch.items:
                latest = _latest(contact)
                fresh = [each for each in latest if int(epoch(each["at"]) or 0) > (since.high_water or 0)]
                found += latest
                if fresh and left > 0:
                    left -= 1
                    found += self._logged(contact, fresh[0], mark)
            yield Page(found, None if stretch.place is None else str(stretch.place), meter.lap())

    def by_ids(self, ids: Sequence[str]) -> Iterator[Page]:
        """Nothing: an event cannot be asked for by itself."""
        return iter(())

    def _logged(self, contact: Mapping[str, Any], latest: Mapping[str, Any], mark: str) -> list[dict[str, Any]]:
        """What the log has of the contact after the mark beside its latest activity; nothing without a log."""
        if self._connection.learnt.get(_LOG) is False:
            return []
        walk = by_cursor(self._connection, partial(wire.activities, str(contact["id"]), mark), "activities")
        try:
            found = [each for leaf in walk for each in leaf.items]
        except (ScopeError, Refused) as error:
            if _vanished(error):
                return []
            self._connection.learnt[_LOG] = False
            self._connection.missing[_LOG] = str(error)
            return []
        types: dict[str, str] = self._connection.learnt.setdefault(_TYPES, {})
        events = []
        for each in found:
            template, at = text(each.get("templateId")), text(each.get("activityDate"))
            if template is None or at is None:
                continue
            if epoch(at) == epoch(latest["at"]):
                types[template] = latest["name"]
            elif int(epoch(at) or 0) > int(epoch(mark) or 0):
                events.append(_event(contact, types.get(template, template), at))
        return events


class EmailEvents:
    """Opens and clicks of recent campaigns."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def pages(self, since: Cursor) -> Iterator[Page]:
        """Opens and clicks dated at or after the mark."""
        meter = Meter(self._connection)
        number = 0
        try:
            for campaign in self._recent():
                for activity in wire.NAMES:
                    for found in self._recipients(campaign, activity, since.high_water or 0):
                        number += 1
                        yield Page(found, str(number), meter.lap())
        except Refused as error:
            raise ScopeError(PLATFORM, error.operation, error.text, error.request_id) from error
        yield Page([], None, meter.lap())

    def by_ids(self, ids: Sequence[str]) -> Iterator[Page]:
        """Nothing: an event cannot be asked for by itself."""
        return iter(())

    def _recent(self) -> list[dict[str, Any]]:
        """Campaigns that went out within the window."""
        oldest = self._connection.clock.now() - limits().events.campaign_days * _DAY
        found: list[dict[str, Any]] = []
        offset, more = 0, True
        while more:
            page = records(self._connection.read(wire.campaigns(offset)), "campaigns")
            found += [each for each in page if (_published(each) or 0) >= oldest and text(each.get("campaignId"))]
            offset += len(page)
            more = len(page) >= limits().pages.campaigns
        return found

    def _recipients(self, campaign: Mapping[str, Any], activity: str, mark: int) -> Iterator[list[dict[str, Any]]]:
        """Pages of those who did this; none of a campaign that was deleted meanwhile."""
        build = partial(wire.recipients, str(campaign["campaignId"]), activity)
        try:
            for leaf in by_cursor(self._connection, build, "recipients", "pagingMetadata"):
                events = (_mail_event(campaign, activity, each) for each in leaf.items)
                yield [each for each in events if each is not None and (epoch(each["at"]) or 0) >= mark]
        except NotFound as error:
            if not _vanished(error):
                raise


def _mail_event(campaign: Mapping[str, Any], activity: str, recipient: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a living contact did with the campaign."""
    contact, at = text(recipient.get("contactId")), text(recipient.get("lastActivityDate"))
    if contact is None or at is None or recipient.get("contactDeleted") is True:
        return None
    return {
        "id": f"{contact}|{campaign['campaignId']}|{wire.NAMES[activity]}".lower(),
        "contactId": contact,
        "email": text(recipient.get("emailAddress")),
        "name": wire.NAMES[activity],
        "campaign": text(campaign.get("title")) or str(campaign["campaignId"]),
        "at": at,
    }


def _vanished(error: Exception) -> bool:
    """True where it is the contact or the campaign that is not there: without a code, the API itself is not."""
    return isinstance(error, NotFound) and bool(error.code)


def _latest(contact: Mapping[str, Any]) -> list[dict[str, Any]]:
    latest = mapping(contact.get("lastActivity"))
    name, at = text(latest.get("activityType")), text(latest.get("activityDate"))
    return [_event(contact, name, at)] if name and at and text(contact.get("id")) else []


def _event(contact: Mapping[str, Any], name: str, at: str) -> dict[str, Any]:
    return {
        "id": f"{contact['id']}|{at}|{name}".lower(),
        "contactId": contact["id"],
        "email": text(mapping(contact.get("primaryInfo")).get("email")),
        "name": name,
        "campaign": None,
        "at": at,
    }


def _published(campaign: Mapping[str, Any]) -> float | None:
    return epoch(mapping(campaign.get("publishingData")).get("datePublished"))
