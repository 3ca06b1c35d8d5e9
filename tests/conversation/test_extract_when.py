"""Days and times in spoken English, said on Wednesday 3 June 2026 at 10:00."""

import re
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.conversation.extract.when import When, find_times

NOW = datetime(2026, 6, 3, 10, 0)


def read(text: str, now: datetime = NOW) -> list[str]:
    """What lies ahead, as `2026-06-04 12:00`."""
    return [
        f"{when.day}" + (f" {when.clock:%H:%M}" if when.clock else "")
        for when in find_times(text, now)
        if not when.past
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I'll have it ready by tomorrow noon", "2026-06-04 12:00"),
        ("I'll get to it on Thursday", "2026-06-04"),
        ("on Wednesday", "2026-06-10"),
        ("the report is due on the 20th", "2026-06-20"),
        ("due on the 2nd", "2026-07-02"),
        ("share a draft by Monday", "2026-06-08"),
        ("book it this afternoon", "2026-06-03"),
        ("the day after tomorrow", "2026-06-05"),
        ("let's talk next Friday", "2026-06-12"),
        ("this Friday", "2026-06-05"),
        ("a week from Friday", "2026-06-12"),
        ("saturday in a week", "2026-06-13"),
        ("hand it in by the end of the month", "2026-06-30"),
        ("by the end of February", "2027-02-28"),
        ("see you in two weeks", "2026-06-17"),
        ("in a fortnight", "2026-06-17"),
        ("in a month", "2026-07-03"),
        ("in half an hour", "2026-06-03 10:30"),
        ("finish it by the end of next week", "2026-06-12"),
        ("by the weekend", "2026-06-07"),
        ("quarter past eight in the morning on July sixth", "2026-07-06 08:15"),
        ("come on Thursday the eighteenth, half seven in the evening", "2026-06-18 19:30"),
        ("the tasting is on the twenty first at six", "2026-06-21 18:00"),
        ("Wednesday the seventeenth at half past four", "2026-06-17 16:30"),
        ("it starts on July 14th at eleven", "2026-07-14 11:00"),
        ("quarter to nine tomorrow", "2026-06-04 08:45"),
        ("pick it up at five", "2026-06-03 17:00"),
        ("call before noon", "2026-06-03 12:00"),
        ("at nine", "2026-06-04 09:00"),
        ("tonight at 8", "2026-06-03 20:00"),
        ("at 16:30", "2026-06-03 16:30"),
        ("monday seven a m", "2026-06-08 07:00"),
        ("on Monday between eight and ten", "2026-06-08 08:00"),
        ("wake me at six thirty tomorrow", "2026-06-04 06:30"),
        ("on 2026-09-01", "2026-09-01"),
        ("the 3rd of March", "2027-03-03"),
        ("eod tomorrow", "2026-06-04"),
    ],
)
def test_a_day_or_time_is_read_as_it_is_meant(text: str, expected: str) -> None:
    assert read(text)[0] == expected


@pytest.mark.parametrize(
    "text",
    [
        "the second thing is the budget",
        "may I ask you something",
        "I will march there myself",
        "I sold three of them at four hundred",
        "he wrote it in a second",
        "sit down for a minute",
        "by ten percent",
        "your pressure is one forty two over ninety",
        "at like five people",
        "February 30th",
        "the first action",
    ],
)
def test_what_only_looks_like_a_day_is_none(text: str) -> None:
    assert read(text) == []


@pytest.mark.parametrize("text", ["last Friday", "yesterday evening", "two weeks ago", "ages ago"])
def test_what_is_over_is_marked(text: str) -> None:
    assert [when.past for when in find_times(text, NOW)] == [True]


def test_a_time_alone_is_on_the_day_named_before_it() -> None:
    assert read("next saturday she wants all of us there at one for lunch") == [
        "2026-06-13",
        "2026-06-13 13:00",
    ]


def test_in_the_evening_people_say_seven_for_nineteen() -> None:
    assert read("half seven then", datetime(2026, 6, 3, 20, 0)) == ["2026-06-04 19:30"]
    assert read("half seven then") == ["2026-06-04 07:30"]


def test_a_day_without_a_time_is_due_at_its_last_minute() -> None:
    when = When(start=0, end=1, day=date(2026, 6, 4))
    assert when.moment(ZoneInfo("Europe/Berlin")) == datetime(2026, 6, 4, 21, 59, tzinfo=UTC)
    assert When(start=0, end=1, clock=time(9)).moment(ZoneInfo("UTC")) is None


def test_the_offset_is_that_of_the_day_itself() -> None:
    zone = ZoneInfo("America/New_York")
    summer, winter = date(2026, 10, 31), date(2026, 11, 2)
    hours = [When(start=0, end=1, day=day, clock=time(9)).moment(zone) for day in (summer, winter)]
    assert [moment.hour for moment in hours if moment] == [13, 14]


def test_a_skipped_hour_and_a_doubled_hour_have_a_moment() -> None:
    zone = ZoneInfo("Europe/Berlin")
    skipped = When(start=0, end=1, day=date(2026, 3, 29), clock=time(2, 30)).moment(zone)
    doubled = When(start=0, end=1, day=date(2026, 10, 25), clock=time(2, 30)).moment(zone)
    assert skipped == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    assert doubled == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


SPOKEN = re.findall(
    r"\S+",
    """
    on by the at next this friday monday tomorrow may march 31st thirty first half past ten 9 :45 pm in
    two weeks of february end month 0 99 noon a couple İ ’ .
    """,
)
WORDS = st.sampled_from(SPOKEN)


@given(st.lists(WORDS, max_size=12).map(" ".join), st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)))
def test_whatever_is_said_places_lie_in_the_text_and_do_not_overlap(text: str, now: datetime) -> None:
    end = 0
    for when in find_times(text, now):
        assert end <= when.start < when.end <= len(text)
        assert when.day is not None
        end = when.end
