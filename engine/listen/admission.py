"""How many sessions there may be: in all, of one user, and new ones of one user in a minute.

Operations: `admit` is a context manager around a session. Where users move between processes, `hand_over` says when
one came, and `taken_over` is told.
Invariants: the counts are those of the contexts that are open.
Bounded: per user only the times of the connects of the last minute are kept, at most as many as are allowed.
"""

from collections import Counter
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
        self._sessions: Counter[str] = Counter()
        self._connects: dict[str, list[float]] = {}

    @property
    def sessions(self) -> int:
        """Sessions inside."""
        return self._sessions.total()

    @contextmanager
    def admit(self, uid: str) -> Iterator[None]:
        """Hold a place for one session of `uid`. Raises `Refusal` with 1013 and a retry time when full."""
        self._check(uid)
        self._sessions[uid] += 1
        try:
            yield
        finally:
            self._sessions[uid] -= 1
            if not self._sessions[uid]:
                del self._sessions[uid]

    def recent(self, uid: str) -> bool:
        """Whether the user connected within the last minute."""
        self._forget_before(trio.current_time() - MINUTE)
        return uid in self._connects

    def hand_over(self, uid: str) -> tuple[float, ...]:
        """How many seconds ago the user connected, each time within the last minute; they are forgotten here."""
        now = trio.current_time()
        self._forget_before(now - MINUTE)
        return tuple(now - moment for moment in self._connects.pop(uid, ()))

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
        self._forget_before(now - MINUTE)
        times = self._connects.setdefault(uid, [])
        allowed = self._limits.connects_per_minute
        if len(times) >= allowed:
            text = f"this user connected {allowed} times in the last minute, the most allowed"
            raise _full("connect_rate", text, times[0] + MINUTE - now)
        times.append(now)

    def _forget_before(self, moment: float) -> None:
        for uid, times in list(self._connects.items()):
            while times and times[0] <= moment:
                del times[0]
            if not times:
                del self._connects[uid]


def _full(limit: str, text: str, retry_after: float) -> Refusal:
    return Refusal(
        CloseCode.TRY_AGAIN_LATER,
        limit,
        message=f"{text}: try again in {retry_after:.1f} s",
        retry_after=round(retry_after, 1),
    )
