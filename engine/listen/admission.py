"""How many sessions there may be: in all, of one user, and new ones of one user in a minute.

Operations: `admit` is a context manager around a session. Where users move between processes, `hand_over` says when
one came, and `taken_over` is told.
Invariants: the counts are those of the contexts that are open.
Bounded: per user only the times of the connects of the last minute are kept, at most as many as are allowed.
"""

from collections import Counter, OrderedDict
from collections.abc import Collection, Iterator
from contextlib import contextmanager

import trio

from engine.config import Limits
from engine.wire.codes import CloseCode
from engine.wire.refusal import Refusal

MINUTE = 60.0


class Admission:
    """The front door."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.sessions = 0
        """Sessions inside."""
        self._sessions: Counter[str] = Counter()
        self._connects: OrderedDict[str, list[float]] = OrderedDict()  # who connected longest ago first

    @contextmanager
    def admit(self, uid: str) -> Iterator[None]:
        """Hold a place for one session of `uid`. Raises `Refusal` with 1013 and a retry time when full."""
        self._check(uid)
        self.sessions += 1
        self._sessions[uid] += 1
        try:
            yield
        finally:
            self.sessions -= 1
            self._sessions[uid] -= 1
            if not self._sessions[uid]:
                del self._sessions[uid]

    def recent(self, uid: str) -> bool:
        """Whether the user connected within the last minute."""
        return bool(self._within(uid, trio.current_time() - MINUTE))

    def hand_over(self, uid: str) -> tuple[float, ...]:
        """How many seconds ago the user connected, each time within the last minute; they are forgotten here."""
        now = trio.current_time()
        times = self._within(uid, now - MINUTE)
        self._connects.pop(uid, None)
        return tuple(now - moment for moment in times)

    def taken_over(self, uid: str, ages: Collection[float]) -> None:
        """The user connected elsewhere, so many seconds ago each: these count here from now on."""
        if ages:
            now = trio.current_time()
            self._connects[uid] = sorted([*self._connects.get(uid, ()), *(now - age for age in ages)])

    def _check(self, uid: str) -> None:
        limits = self._limits
        if self.sessions >= limits.sessions:
            raise _full("capacity", f"all {limits.sessions} sessions are taken", limits.retry_after)
        if self._sessions[uid] >= limits.sessions_per_user:
            text = f"this user has {limits.sessions_per_user} sessions already, the most allowed"
            raise _full("user_sessions", text, limits.retry_after)
        self._check_rate(uid)

    def _check_rate(self, uid: str) -> None:
        now = trio.current_time()
        times = self._within(uid, now - MINUTE)
        allowed = self._limits.connects_per_minute
        if len(times) >= allowed:
            text = f"this user connected {allowed} times in the last minute, the most allowed"
            raise _full("connect_rate", text, times[0] + MINUTE - now)
        self._connects[uid] = [*times, now]
        self._connects.move_to_end(uid)

    def _within(self, uid: str, moment: float) -> list[float]:
        """When the user connected since `moment`; all who did not are forgotten."""
        while self._connects and next(iter(self._connects.values()))[-1] <= moment:
            self._connects.popitem(last=False)
        return [time for time in self._connects.get(uid, ()) if time > moment]


def _full(limit: str, text: str, retry_after: float) -> Refusal:
    return Refusal(
        CloseCode.TRY_AGAIN_LATER,
        limit,
        message=f"{text}: try again in {retry_after:.1f} s",
        retry_after=round(retry_after, 1),
    )
