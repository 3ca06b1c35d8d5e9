"""How much audio a user may have transcribed, by the operator's [quota].

What is made of a user who is over it is locked: kept and listed, but neither read, searched nor talked about until
somebody unlocks it (`listen user unlock`). Off by default.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from engine._config_web import Quota as Settings
from engine.moments import instant, micros
from engine.store.records import UsageRow

__all__ = ["Quota", "month_of"]


class Usage(Protocol):
    """What users have used."""

    async def read(self, uid: str | None = None, start: int | None = None) -> Sequence[UsageRow]:
        """A user's hours from `start` (µs) on."""
        ...


class Clock(Protocol):
    """Microseconds since the epoch, UTC."""

    def __call__(self) -> int: ...


class Quota:
    """What is left to users. Each question is one read of at most a month's hours."""

    def __init__(self, settings: Settings, usage: Usage, now: Clock) -> None:
        self._seconds = settings.audio_minutes * 60
        self._usage = usage
        self._now = now

    async def remaining(self, uid: str) -> float | None:
        """Seconds of audio that are left to the user this month (UTC), 0 when there are none; None: no limit."""
        if not self._seconds:
            return None
        hours = await self._usage.read(uid, month_of(self._now()))
        return max(0.0, self._seconds - sum(hour.audio_seconds for hour in hours))

    async def is_over(self, uid: str) -> bool:
        """Whether what is made of the user's speech now is to be locked."""
        return await self.remaining(uid) == 0.0


def month_of(now: int) -> int:
    """When the month (UTC) began that `now` (µs) lies in."""
    moment = instant(now)
    return micros(datetime(moment.year, moment.month, 1))
