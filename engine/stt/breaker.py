"""What all sessions of the process know of a vendor's health, so that they do not all find out again.

Operations: a session asks `may_try` before it connects and reports `worked` or `failed`.
Invariants: closed until `failures` connects in a row have failed; then open for a time that doubles with each
further failure (full jitter); then half open: one session tries, the others wait for what becomes of it. Only a
result closes it again, not an open socket: a vendor may accept connections and refuse the work.
Bounded: tries are spread so that there are at most `per_second` of one vendor, whatever the number of sessions.
Who must wait has a turn of their own, so that a thousand sessions that wait do not all wake for each try.
Cost: a few comparisons.
"""

import math
from collections.abc import Callable

import msgspec
import trio

from engine.stt.backoff import Backoff

PROBE_PATIENCE = 15.0
"""Seconds after which a probe that reported nothing is taken for dead (its session ended)."""

TURN_KEPT = 1.0
"""Seconds that a turn is kept for who does not come: so many tries more there may be at once."""


class Turn:
    """When one session may try one vendor, among all that want to."""

    def __init__(self) -> None:
        self.at = -math.inf


class BreakerStatistics(msgspec.Struct, frozen=True):
    """`state`: closed, open or half-open. `attempts` and `failures` since the process began."""

    state: str
    attempts: int
    failures: int


class Breaker:
    """One vendor at one endpoint."""

    def __init__(
        self, *, failures: int = 3, per_second: float = 20.0, backoff: Backoff | None = None
    ) -> None:
        self._limit = failures
        self._spacing = 1.0 / per_second
        self._backoff = backoff or Backoff()
        self._in_a_row = 0
        self._open_until = 0.0
        self._probe_until = 0.0
        self._next_turn = 0.0
        self._attempts = 0
        self._failures = 0

    @property
    def closed(self) -> bool:
        """Whether the vendor is thought to work."""
        return self._in_a_row < self._limit

    def may_try(self, turn: Turn) -> float:
        """0: try now (this counts as a try). Else the seconds after which to ask again, with the same `turn`."""
        now = trio.current_time()
        wait = self._until(turn, now) if self.closed else max(self._open_until, self._probe_until) - now
        if wait > 0:
            return wait
        if not self.closed:
            self._probe_until = now + PROBE_PATIENCE
        turn.at = -math.inf
        self._attempts += 1
        return 0.0

    def _until(self, turn: Turn, now: float) -> float:
        """Seconds to the turn, which comes after those that others have by now."""
        if turn.at + TURN_KEPT < now:
            turn.at = max(self._next_turn, now)
            self._next_turn = turn.at + self._spacing
        return turn.at - now

    def worked(self) -> None:
        """The vendor gave a result."""
        self._in_a_row = 0
        self._probe_until = 0.0
        self._backoff.reset()

    def failed(self) -> None:
        """A try, or a stream, failed."""
        self._failures += 1
        self._in_a_row += 1
        self._probe_until = 0.0
        if not self.closed:
            self._open_until = trio.current_time() + self._backoff.next()

    def statistics(self) -> BreakerStatistics:
        """The breaker now."""
        half_open = trio.current_time() >= self._open_until
        state = "closed" if self.closed else "half-open" if half_open else "open"
        return BreakerStatistics(state, self._attempts, self._failures)


class Breakers:
    """The breakers of a process, by vendor name."""

    def __init__(self, make: Callable[[], Breaker] = Breaker) -> None:
        self._make = make
        self._breakers: dict[str, Breaker] = {}

    def of(self, name: str) -> Breaker:
        """The breaker of vendor `name`."""
        if name not in self._breakers:
            self._breakers[name] = self._make()
        return self._breakers[name]

    def statistics(self) -> dict[str, BreakerStatistics]:
        """All of them."""
        return {name: breaker.statistics() for name, breaker in self._breakers.items()}
