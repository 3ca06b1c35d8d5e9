"""The quota: a calendar month's audio."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from engine.config import Quota as Settings
from engine.conversation.quota import Quota, month_of
from engine.moments import instant
from engine.store.records import UsageRow

JUNE_15 = 1_750_000_000_000_000
"""2025-06-15T15:06:40Z"""


class Used:
    """Implements `Usage`."""

    def __init__(self, *seconds: float) -> None:
        self.seconds = seconds
        self.asked: list[tuple[str | None, int | None]] = []

    async def read(self, uid: str | None = None, start: int | None = None) -> Sequence[UsageRow]:
        self.asked.append((uid, start))
        return [UsageRow(uid="u1", hour=n, audio_seconds=seconds) for n, seconds in enumerate(self.seconds)]


def quota(used: Used, minutes: float) -> Quota:
    return Quota(Settings(audio_minutes=minutes), used, lambda: JUNE_15)


async def test_without_a_quota_nothing_is_asked_and_nobody_is_over_it() -> None:
    used = Used(1e9)
    assert await quota(used, 0).remaining("u1") is None
    assert not await quota(used, 0).is_over("u1")
    assert used.asked == []


async def test_what_was_used_this_month_is_taken_off() -> None:
    used = Used(30.0, 45.0)
    assert await quota(used, 2).remaining("u1") == 45.0
    assert not await quota(used, 2).is_over("u1")
    assert used.asked[0] == ("u1", month_of(JUNE_15))


async def test_whoever_used_as_much_or_more_is_over_it() -> None:
    assert await quota(Used(60.0), 1).is_over("u1")
    assert await quota(Used(90.0), 1).remaining("u1") == 0.0


@given(st.integers(0, 4_000_000_000_000_000))
def test_a_month_begins_on_its_first_at_midnight(now: int) -> None:
    began = instant(month_of(now))
    assert (began.year, began.month) == (instant(now).year, instant(now).month)
    assert (began.day, began.hour, began.minute, began.second, began.microsecond) == (1, 0, 0, 0, 0)
    assert month_of(now) <= now
