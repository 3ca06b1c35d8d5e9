"""Days in a user's time zone, and the moments at which they are summarised.

A day is summarised at the first moment of a local day at which the clock on the wall has reached the user's hour. So
an hour that is skipped in spring is reached where the clock goes on, and one that comes twice in autumn counts when
it first comes: there is one occasion for each local day and hour, whatever the clocks do. A zone that is half an hour
off reaches its hours at minute 30 (UTC). Everything here is pure; times are microseconds since the epoch.
"""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import msgspec

from engine.moments import instant, micros

__all__ = ["NOON", "Occasion", "day_at", "day_bounds", "occasions"]

NOON = 12
"""A summary made at an earlier hour is of the day before."""

_DAY = timedelta(days=1)
_HOURS = 24


class Occasion(msgspec.Struct, frozen=True):
    """The local `hour` of some day is reached; `date` is the day that is summarised then."""

    hour: int
    date: date


def occasions(zone: ZoneInfo, since: int, until: int) -> list[Occasion]:
    """Those after `since` and not after `until`, in their order."""
    # A day more on both sides: where clocks go back around midnight, dates do, too.
    day, last = day_at(since, zone) - _DAY, day_at(until, zone) + _DAY
    found = []
    while day <= last:
        start, end = day_bounds(day, zone)
        for hour in range(_HOURS if start < end else 0):  # some zones have left out a day
            if since < (at := _reached(day, hour, zone)) <= until:
                found.append((at, Occasion(hour, day if hour >= NOON else day - _DAY)))
        day += _DAY
    return [occasion for _, occasion in sorted(found, key=lambda each: each[0])]


def day_bounds(day: date, zone: ZoneInfo) -> tuple[int, int]:
    """When a local day begins, and when the next one does."""
    return _reached(day, 0, zone), _reached(day + _DAY, 0, zone)


def day_at(moment: int, zone: ZoneInfo) -> date:
    """The local day of a moment."""
    return instant(moment).astimezone(zone).date()


def _reached(day: date, hour: int, zone: ZoneInfo) -> int:
    # Of an hour that is skipped this is where the clock goes on; of one that comes twice the first.
    return micros(datetime.combine(day, time(hour), zone).astimezone(UTC))
