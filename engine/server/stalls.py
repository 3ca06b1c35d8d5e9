"""Says what holds the event loop: how late it wakes, in a metric, and the stack of what keeps it, in the log.

Operations: `watch_loop`, a task for as long as the process serves; `measure_stalls`, the metric alone.
Invariants: a stall is told once, while it lasts; between two lines are `stall_log_interval` seconds, and what was
not told in between is counted in the next.
Bounded: one thread, `FRAMES` calls of a stack.
Cost: the loop wakes every `stall_interval`, the thread four times in `stall_threshold`.
Known doubts: native code that holds the interpreter's lock stops the thread as well; such a stall is in the metric
only. So is one during which the whole process stood still.
"""

import math
import sys
import threading
import traceback
from collections.abc import Callable
from functools import partial
from itertools import islice
from time import monotonic
from types import FrameType

import trio

from engine.config import Watch
from engine.log import get_logger
from engine.metrics import Metrics

__all__ = ["Stalls", "measure_stalls", "watch_loop"]

log = get_logger(__name__)

FRAMES = 40
"""Of a stack, counted from where the thread is."""

LOOKS = 4
"""In the time after which a loop counts as held."""


async def watch_loop(metrics: Metrics, settings: Watch) -> None:
    """Measure, and watch from a thread, until cancelled. To be started on the loop that is watched."""
    watcher = _Watcher(settings)
    thread = partial(trio.to_thread.run_sync, limiter=trio.CapacityLimiter(1))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(thread, watcher.run)
        try:
            await measure_stalls(metrics, settings.stall_interval, watcher.turned)
        finally:
            watcher.stop()


async def measure_stalls(metrics: Metrics, interval: float, turned: Callable[[], None] | None = None) -> None:
    """Measure how late the loop wakes a timer, every `interval` seconds, for ever; call `turned` each time."""
    while True:
        due = trio.current_time() + interval
        await trio.sleep_until(due)
        metrics.loop_stall(trio.current_time() - due)
        if turned is not None:
            turned()


class Stalls:
    """When to tell of a loop that does not turn. No clock: all times are the caller's, in seconds."""

    def __init__(self, threshold: float, log_interval: float, now: float) -> None:
        self.untold = 0
        self._threshold = threshold
        self._log_interval = log_interval
        self._looked_at = now
        self._known = -math.inf  # the last turn before the stall that was seen last
        self._next_line = -math.inf

    def look(self, now: float, turned_at: float) -> float | None:
        """For how long the loop has been held, if that is to be told now. `turned_at`: its last turn."""
        looked_at, self._looked_at = self._looked_at, now
        held = now - turned_at
        if held < self._threshold or turned_at == self._known:
            return None
        if now - looked_at >= self._threshold:
            return None  # who looks was held as well: it may be the machine
        self._known = turned_at
        if now < self._next_line:
            self.untold += 1
            return None
        self._next_line = now + self._log_interval
        return held


class _Watcher:
    """Made in the loop's thread; `run` is another's."""

    def __init__(self, settings: Watch) -> None:
        self._loop_thread = threading.get_ident()
        self._interval = (settings.stall_threshold + settings.stall_interval) / LOOKS
        self._turned_at = monotonic()
        # A loop with nothing to do turns every `stall_interval`: it is held only after that.
        threshold = settings.stall_threshold + settings.stall_interval
        self._stalls = Stalls(threshold, settings.stall_log_interval, self._turned_at)
        self._over = threading.Event()

    def turned(self) -> None:
        self._turned_at = monotonic()

    def stop(self) -> None:
        self._over.set()

    def run(self) -> None:
        while not self._over.wait(self._interval):
            held = self._stalls.look(monotonic(), self._turned_at)
            if held is not None:
                self._tell(held)

    def _tell(self, held: float) -> None:
        frame = sys._current_frames().get(self._loop_thread)
        log.warning("loop.stalled", seconds=round(held, 3), untold=self._stalls.untold, stack=_stack(frame))
        self._stalls.untold = 0


def _stack(frame: FrameType | None) -> str:
    """Where a thread is, innermost last. Without source lines: Python would keep each file it read for them."""
    calls = islice(traceback.walk_stack(frame), FRAMES) if frame is not None else ()
    places = [f"{at.f_code.co_filename}:{line} in {at.f_code.co_qualname}" for at, line in calls]
    return "\n".join(reversed(places))
