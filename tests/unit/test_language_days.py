"""Days of the store's zone: month ends, clock changes, whole days, anniversaries."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.segments.days import add_months, anniversaries, bounds, resolve, start, today
from sync.segments.tree import Day, Relative

BERLIN, SAO_PAULO, UTC_ZONE = ZoneInfo("Europe/Berlin"), ZoneInfo("America/Sao_Paulo"), ZoneInfo("UTC")


def _at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


@pytest.mark.parametrize(
    ("day", "months", "expected"),
    [
        ("2026-03-31", -1, "2026-02-28"),
        ("2024-03-31", -1, "2024-02-29"),
        ("2026-01-31", 1, "2026-02-28"),
        ("2024-02-29", -12, "2023-02-28"),
        ("2026-01-15", -13, "2024-12-15"),
        ("2026-12-31", 2, "2027-02-28"),
    ],
)
def test_months_and_years_are_calendar_steps(day: str, months: int, expected: str) -> None:
    """Where the month is too short its last day stands in."""
    assert add_months(date.fromisoformat(day), months) == date.fromisoformat(expected)


def test_today_is_the_stores_day() -> None:
    """Half past eleven at night in UTC is tomorrow in Berlin."""
    now = _at("2026-11-21T23:30:00+00:00")
    assert today(now, BERLIN) == date(2026, 11, 22)
    assert resolve(Relative(-30, "d"), now, BERLIN) == date(2026, 10, 23)
    assert resolve(Relative(-30, "d"), now, UTC_ZONE) == date(2026, 10, 22)
    assert resolve(Relative(-1, "m"), _at("2026-03-31T12:00:00+00:00"), BERLIN) == date(2026, 2, 28)
    assert resolve(Relative(2, "w"), now, UTC_ZONE) == date(2026, 12, 5)
    assert resolve(Day(date(2020, 1, 1)), now, BERLIN) == date(2020, 1, 1)


@pytest.mark.parametrize(
    ("day", "zone", "hours"),
    [
        ("2026-03-29", BERLIN, 23),
        ("2026-10-25", BERLIN, 25),
        ("2018-11-04", SAO_PAULO, 23),
        ("2018-02-17", SAO_PAULO, 25),
    ],
)
def test_a_day_is_as_long_as_its_zone_makes_it(day: str, zone: ZoneInfo, hours: int) -> None:
    """Spring and autumn, also where the clock jumps at midnight."""
    begins, ends = bounds(date.fromisoformat(day), zone)
    assert ends - begins == hours * 3600


def test_a_day_whose_midnight_is_skipped_begins_when_the_clock_jumps() -> None:
    """Sao Paulo, 4 November 2018: 00:00 never was; the day began at 01:00 = 03:00 UTC."""
    assert start(date(2018, 11, 4), SAO_PAULO) == _at("2018-11-04T03:00:00+00:00")


@given(st.integers(631_152_000, 2_208_988_800), st.sampled_from([BERLIN, SAO_PAULO]))
def test_every_instant_lies_in_its_own_day_alone(at: int, zone: ZoneInfo) -> None:
    """Bounds are half-open and fit the zone's calendar, so neighbours do not overlap."""
    day = today(at, zone)
    begins, ends = bounds(day, zone)
    assert begins <= at < ends
    assert bounds(day + timedelta(days=1), zone)[0] == ends


def _falls(born: str, low: str, high: str) -> bool:
    at = start(date.fromisoformat(born), BERLIN) + 3600
    ranges = anniversaries(date.fromisoformat(low), date.fromisoformat(high), BERLIN)
    return any(begins <= at < ends for begins, ends in ranges)


def test_an_anniversary_ignores_the_year_and_wraps_at_its_end() -> None:
    """28 December to 4 January holds who began on 31 December and on 1 January of any year."""
    assert _falls("2019-12-31", "2026-12-28", "2027-01-04")
    assert _falls("2019-01-01", "2026-12-28", "2027-01-04")
    assert not _falls("2019-01-05", "2026-12-28", "2027-01-04")
    assert not _falls("2019-12-27", "2026-12-28", "2027-01-04")


def test_the_29th_of_february_has_its_day_every_year() -> None:
    """On the 28th where there is no 29th, on the 29th where there is."""
    assert _falls("2024-02-29", "2026-02-28", "2026-02-28")
    assert not _falls("2024-02-29", "2026-03-01", "2026-03-01")
    assert not _falls("2024-02-29", "2028-02-28", "2028-02-28")
    assert _falls("2024-02-29", "2028-02-29", "2028-02-29")
