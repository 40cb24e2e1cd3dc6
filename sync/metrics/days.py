"""The store zone's calendar, as the numbers kept on each order."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

_EPOCH = date(1970, 1, 1).toordinal()


def local_days(instant: int, zone: ZoneInfo) -> tuple[int, int]:
    """(local_day, local_month) of an instant: days since 1970-01-01, and year * 12 + month - 1."""
    day = datetime.fromtimestamp(instant, UTC).astimezone(zone).date()
    return day.toordinal() - _EPOCH, day.year * 12 + day.month - 1
