"""How fast audio may go out."""

import trio

from engine.stt.vendor import SAMPLE_RATE

BURST = 1.0
"""Seconds by which audio may be late and still go out at once, without pacing."""


class Pace:
    """Holds audio back that would go out faster than `pace` times real time; live audio never waits."""

    def __init__(self, pace: float) -> None:
        self.pace = pace
        self.free_at = trio.current_time()
        """When the next sample may go, on Trio's clock."""

    async def wait(self, samples: int) -> None:
        """Return when so many samples may go."""
        now = trio.current_time()
        at = max(self.free_at, now - BURST)
        self.free_at = at + samples / SAMPLE_RATE / self.pace
        if at > now:
            await trio.sleep_until(at)
