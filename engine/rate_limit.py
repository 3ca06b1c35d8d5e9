"""How often somebody may do something: a bucket for each of them, which fills up again in time.

Operations: `RateLimit.take` counts once, or says how long there is no room.
Invariants: who waited for the whole span may do it `count` times at once; within any span it is never more than twice
as many (a bucket of `count` tokens that fills up within a span).
Bounded: one number for each whose bucket is not full, at most `CALLERS`; then the one longest unseen is forgotten, who
may begin anew.
Cost: a look-up in a dict.
Known doubts: each process counts for itself, so with workers somebody who reaches all of them may do it as many times
more.
"""

import time
from collections import OrderedDict
from collections.abc import Callable

__all__ = ["CALLERS", "RateLimit"]

CALLERS = 100_000


class RateLimit:
    """At most `count` times in `span` seconds each. `clock`: seconds that never go back."""

    def __init__(self, count: int, span: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.count = count
        self.span = span
        self._clock = clock
        # When the bucket is full again (the "theoretical arrival time" of ITU-T I.371's GCRA), by last use.
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        """Callers that are remembered."""
        return len(self._full_at)

    def take(self, caller: str) -> float:
        """Count once, and give 0; seconds until there is room when there is none, and then nothing is counted."""
        now = self._clock()
        self._forget(now)
        each = self.span / self.count
        full_at = max(now, self._full_at.get(caller, now)) + each
        if full_at - now > self.span + each / 2:  # half of one: the sums are not exact
            return full_at - now - self.span
        self._full_at[caller] = full_at
        self._full_at.move_to_end(caller)
        return 0.0

    def _forget(self, now: float) -> None:
        while self._full_at:
            caller, full_at = next(iter(self._full_at.items()))
            if full_at > now and len(self._full_at) <= CALLERS:
                return
            del self._full_at[caller]
