"""How far a reader is behind a client that sends live, which an `AudioSource` does not tell."""

import trio

from engine.stt.vendor import SAMPLE_RATE

_AT_LIVE_EDGE = 0.005
"""A read that waits this long (seconds) has caught up with the client."""


class LiveEdge:
    """Estimates how far reading is behind the client: known when a read had to wait, then by the clock."""

    def __init__(self, position: int) -> None:
        self._time = trio.current_time()
        self._position = position

    def note(self, position: int, waited: float) -> None:
        """A read ended at `position` after `waited` seconds."""
        if waited >= _AT_LIVE_EDGE or self.behind(position) <= 0:
            self._time = trio.current_time()
            self._position = position

    def behind(self, position: int) -> float:
        """Seconds by which audio read up to `position` is older than what a live client has sent."""
        return trio.current_time() - self._time - (position - self._position) / SAMPLE_RATE
