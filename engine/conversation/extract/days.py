"""Days of the calendar."""

import calendar
from datetime import date, timedelta


def next_weekday(day: date, weekday: int) -> date:
    """The first such weekday after `day`."""
    return day + timedelta(days=(weekday - day.weekday() - 1) % 7 + 1)


def month_end(year: int, month: int) -> date:
    """The last day; `month` may run past 12."""
    year, month = year + (month - 1) // 12, (month - 1) % 12 + 1
    return date(year, month, calendar.monthrange(year, month)[1])
