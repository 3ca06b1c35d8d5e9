"""How fast audio may go out."""

import trio

from engine.stt.vendor import SAMPLE_RATE

BURST = 1.0
"""Seconds by which audio may be late and still go out at once, without pacing."""


class Pace:
    """Holds audio back that would go out faster than `pace` times real time; live audio never waits."""

    def __init__(self, pace: float) -> None:
        self._pace = pace
        self._free_at = trio.current_time()

    async def wait(self, samples: int) -> None:
        """Return when so many samples may go."""
        now = trio.current_time()
        at = max(self._free_at, now - BURST)
        self._free_at = at + samples / SAMPLE_RATE / self._pace
        if at > now:
            await trio.sleep_until(at)
