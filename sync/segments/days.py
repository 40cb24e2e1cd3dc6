"""Days of the store's zone, as instants. All ranges are half-open: [start of the day, start of the next)."""

from __future__ import annotations

import calendar
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sync.segments.tree import Day, Relative

_FIRST_YEAR = 1970


def today(now: float, zone: ZoneInfo) -> date:
    """The store's calendar day at `now`."""
    return datetime.fromtimestamp(now, zone).date()


def start(day: date, zone: ZoneInfo) -> int:
    """The first instant of the day: where clocks skip midnight, the moment they do."""
    return int(datetime.combine(day, time(), zone).astimezone(UTC).timestamp())


def bounds(day: date, zone: ZoneInfo) -> tuple[int, int]:
    """The instants of one whole day."""
    return start(day, zone), start(day + timedelta(days=1), zone)


def add_months(day: date, months: int) -> date:
    """A calendar step; where the month is too short, its last day (31 March - 1 month = the last of February)."""
    month = day.year * 12 + day.month - 1 + months
    year, month = month // 12, month % 12 + 1
    return date(year, month, min(day.day, calendar.monthrange(year, month)[1]))


def resolve(node: Day | Relative, now: float, zone: ZoneInfo) -> date:
    """The calendar day a literal names at `now`."""
    if isinstance(node, Day):
        return node.value
    day = today(now, zone)
    match node.unit:
        case "d":
            return day + timedelta(days=node.amount)
        case "w":
            return day + timedelta(weeks=node.amount)
        case "m":
            return add_months(day, node.amount)
        case _:
            return add_months(day, 12 * node.amount)


def anniversaries(low: date, high: date, zone: ZoneInfo) -> Iterator[tuple[int, int]]:
    """The instants, year by year since 1970, whose month and day fall on a day of [low, high], both whole.

    Who began on 29 February has their day on the 28th in other years.
    """
    length = min((high - low).days, 366)
    days = [low + timedelta(days=step) for step in range(length + 1)]
    wanted = {(day.month, day.day) for day in days}
    wanted |= {(2, 29) for day in days if (day.month, day.day) == (2, 28) and not calendar.isleap(day.year)}
    for year in range(_FIRST_YEAR, high.year + 1):
        begun: date | None = None
        for day in _year(year):
            if (day.month, day.day) in wanted:
                begun = begun or day
            elif begun:
                yield start(begun, zone), start(day, zone)
                begun = None
        if begun:
            yield start(begun, zone), start(date(year + 1, 1, 1), zone)


def _year(year: int) -> Iterator[date]:
    first = date(year, 1, 1)
    return (first + timedelta(days=step) for step in range(366 if calendar.isleap(year) else 365))
