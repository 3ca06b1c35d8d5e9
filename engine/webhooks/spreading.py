"""Many that are due in the same moment begin one after the other, so that whoever shares the loop does not notice.

Operations: `take` gives whoever asks a moment of their own.
Invariants: moments are in the order in which they were asked for. They are `GAP` apart, the closer the longer the wait
already is, so that nobody waits for longer than `seconds`, however many come. Who asks alone waits for nothing.
Cost: a number is kept.
"""

import trio

__all__ = ["GAP", "Spread"]

GAP = 0.02
"""Seconds: a request with audio takes a tenth of that of a core, beside what others do meanwhile."""


class Spread:
    """`seconds` in which all begin that are due at once; 0: each at once."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._next = 0.0

    def take(self) -> float:
        """When to begin (Trio's clock)."""
        now = trio.current_time()
        at = max(now, self._next)
        left = 1 - (at - now) / self._seconds if self._seconds else 0.0
        self._next = at + GAP * max(left, 0.0)
        return at
