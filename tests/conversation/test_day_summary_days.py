"""Days and hours in all the zones there are, and through their changes of clocks."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.conversation.day_summary.days import Occasion, day_at, day_bounds, occasions

HOUR = 3_600_000_000
ZONES = sorted(available_timezones())


def at(text: str) -> int:
    """Microseconds since the epoch of a time in UTC."""
    moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return round(moment.timestamp()) * 1_000_000


def hours_of(zone: str, since: str, until: str) -> list[tuple[int, str]]:
    found = occasions(ZoneInfo(zone), at(since), at(until))
    return [(each.hour, each.date.isoformat()) for each in found]


def test_an_evening_hour_is_of_that_day_and_a_morning_hour_of_the_day_before() -> None:
    assert hours_of("UTC", "2026-11-21T21:00", "2026-11-21T22:00") == [(22, "2026-11-21")]
    assert hours_of("UTC", "2026-11-21T10:00", "2026-11-21T12:00") == [(11, "2026-11-20"), (12, "2026-11-21")]
    assert hours_of("Asia/Tokyo", "2026-11-21T12:00", "2026-11-21T13:00") == [(22, "2026-11-21")]
    assert hours_of("America/Los_Angeles", "2026-11-22T05:00", "2026-11-22T06:00") == [(22, "2026-11-21")]


def test_zones_off_by_parts_of_an_hour_reach_their_hours_in_between() -> None:
    assert hours_of("Asia/Kolkata", "2026-11-21T16:00", "2026-11-21T17:00") == [(22, "2026-11-21")]
    assert hours_of("Asia/Kathmandu", "2026-11-21T16:00", "2026-11-21T17:00") == [(22, "2026-11-21")]
    assert hours_of("Asia/Kolkata", "2026-11-21T16:30", "2026-11-21T17:00") == []


def test_an_hour_that_is_skipped_is_reached_where_the_clock_goes_on() -> None:
    assert hours_of("Europe/Berlin", "2026-03-29T00:00", "2026-03-29T01:00") == [
        (2, "2026-03-28"),
        (3, "2026-03-28"),
    ]
    assert hours_of("Europe/Berlin", "2026-03-29T01:00", "2026-03-29T02:00") == [(4, "2026-03-28")]


def test_an_hour_that_comes_twice_counts_when_it_first_comes() -> None:
    assert hours_of("Europe/Berlin", "2026-10-24T23:00", "2026-10-25T00:00") == [(2, "2026-10-24")]
    assert hours_of("Europe/Berlin", "2026-10-25T00:00", "2026-10-25T01:00") == []
    assert hours_of("Europe/Berlin", "2026-10-25T01:00", "2026-10-25T02:00") == [(3, "2026-10-24")]


def test_days_through_a_change_of_clocks_are_as_long_as_they_are() -> None:
    for zone, day, hours in (
        ("Europe/Berlin", date(2026, 3, 29), 23.0),
        ("Europe/Berlin", date(2026, 10, 25), 25.0),
        ("Australia/Lord_Howe", date(2026, 10, 4), 23.5),
        ("America/Havana", date(2026, 3, 8), 23.0),
        ("America/Havana", date(2026, 11, 1), 25.0),
        ("Pacific/Apia", date(2011, 12, 30), 0.0),
        ("UTC", date(2026, 11, 21), 24.0),
    ):
        start, end = day_bounds(day, ZoneInfo(zone))
        assert (end - start) / HOUR == hours, zone
    assert day_at(at("2026-11-21T23:30"), ZoneInfo("Europe/Berlin")) == date(2026, 11, 22)


@pytest.mark.parametrize(
    ("zone", "year"),
    [
        ("Pacific/Apia", 2011),
        ("America/Havana", 2026),
        ("Australia/Lord_Howe", 2026),
        ("America/St_Johns", 2010),
    ],
)
def test_every_day_of_a_year_is_summarised_once(zone: str, year: int) -> None:
    """But the one that Samoa left out."""
    place = ZoneInfo(zone)
    marks = range(at(f"{year}-01-01T00:00"), at(f"{year + 1}-01-01T00:00") + 1, 24 * HOUR)
    seen = [each for since, until in pairwise(marks) for each in occasions(place, since, until)]
    for hour in (0, 22):
        days = [each.date for each in seen if each.hour == hour]
        whole = {days[0] + timedelta(n) for n in range((days[-1] - days[0]).days + 1)}
        assert len(days) == len(set(days))
        left_out = (
            {date(2011, 12, 30) - timedelta(hour < 12)} if (zone, year) == ("Pacific/Apia", 2011) else set()
        )
        assert whole - set(days) == left_out


@given(
    st.sampled_from(ZONES),
    st.integers(at("1990-01-01T00:00") // HOUR, at("2037-01-01T00:00") // HOUR),
    st.lists(st.integers(0, 30), min_size=1, max_size=4),
)
def test_however_time_is_cut_the_same_hours_are_reached(zone: str, first: int, steps: list[int]) -> None:
    place, mark = ZoneInfo(zone), first * HOUR
    pieces: list[Occasion] = []
    for step in steps:
        pieces += occasions(place, mark, mark + step * HOUR)
        mark += step * HOUR
    whole = occasions(place, first * HOUR, mark)
    assert sorted(pieces, key=repr) == sorted(whole, key=repr)
