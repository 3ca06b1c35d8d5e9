"""How often something may happen: a token bucket that makes who comes too often wait.

Invariants: in any span of s seconds at most `burst` + s × `rate` calls return. Cost: nothing is kept but two numbers.
"""

import trio

__all__ = ["Pace"]


class Pace:
    """`rate`: a second, in the long run; `burst`: at once, after a rest."""

    def __init__(self, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = burst
        self._left = float(burst)
        self._at = trio.current_time()

    async def take(self) -> None:
        """Return when it may happen once more; at once, without a checkpoint, while the burst lasts."""
        now = trio.current_time()
        self._left = min(self._burst, self._left + (now - self._at) * self._rate)
        self._at = now
        self._left -= 1
        if self._left < 0:
            await trio.sleep(-self._left / self._rate)
