"""How many requests one caller may make: over the limit they are a 429 that says when there is room.

Operations: `RateLimit.take` counts one request; `limited` puts it before a way to find out who asks.
Invariants: a caller who waited for the whole span may make `count` requests at once; within any span it is never more
than twice as many (a bucket of `count` tokens that fills up within a span).
Bounded: one number for each caller whose bucket is not full, at most `CALLERS`; then the one longest unseen is
forgotten, who may begin anew.
Cost: a look-up in a dict.
Known doubts: each process counts for itself, so with workers a user whose requests reach all of them may make as many
times more.
"""

import time
from collections import OrderedDict
from collections.abc import Callable

from quart import Request

from engine.web.api import Identify
from engine.web.errors import ApiError

__all__ = ["CALLERS", "RateLimit", "limited"]

CALLERS = 100_000


class RateLimit:
    """At most `count` requests in `span` seconds of each caller. `clock`: seconds that never go back."""

    def __init__(self, count: int, span: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._count = count
        self._span = span
        self._clock = clock
        # When the caller's bucket is full again (the "theoretical arrival time" of ITU-T I.371's GCRA), by last use.
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        """Callers that are remembered."""
        return len(self._full_at)

    def take(self, caller: str) -> None:
        """Count one request. Raises `ApiError` 429 when there is no room, and then counts nothing."""
        now = self._clock()
        self._forget(now)
        each = self._span / self._count
        full_at = max(now, self._full_at.get(caller, now)) + each
        if full_at - now > self._span + each / 2:  # half of one: the sums are not exact
            wait = full_at - now - self._span
            limit = f"{self._count} requests in {self._span:g} s are the most allowed"
            raise ApiError(429, f"{limit}: try again in {wait:.1f} s", retry_after=wait)
        self._full_at[caller] = full_at
        self._full_at.move_to_end(caller)

    def _forget(self, now: float) -> None:
        while self._full_at:
            caller, full_at = next(iter(self._full_at.items()))
            if full_at > now and len(self._full_at) <= CALLERS:
                return
            del self._full_at[caller]


def limited(identify: Identify, limit: RateLimit) -> Identify:
    """As `identify`, and the request counts for the uid it finds."""

    async def identify_limited(request: Request) -> str:
        uid = await identify(request)
        limit.take(uid)
        return uid

    return identify_limited
