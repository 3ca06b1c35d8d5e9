"""When Python's cycle collector looks at everything there is: seldom, for everybody waits meanwhile.

Reference counts free most of what a session was at once; what refers to itself waits for the collector. Its full pass
takes about half a microsecond for each object there is, with models and kernels loaded 0.1 s, and by itself it would
come every few seconds while many people speak: late results for one session in a hundred.

Operations: `collect_garbage`, a task for as long as the process serves, started when all that stays is loaded.
Invariants: while it runs, what was there before it is never looked at again (`gc.freeze`, unless an embedder has
called it already), young objects are collected every `YOUNG`, and a full pass is made when as many sessions have ended
as there are (`SESSIONS` at least), when the last one has ended (`engine.server.watch`), and `watch.garbage_interval`
after the last pass.
Bounded by that: what a session leaves in cycles waits for at most as many others to end.
Known doubts: the collector is the process's, so an embedder's own garbage waits as well.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

import trio

from engine.listen import ListenService
from engine.metrics import Metrics

__all__ = ["SESSIONS", "collect_garbage", "seldom"]

SESSIONS = 200
YOUNG = 5_000
"""Objects made and not freed again after which the young are looked at. What a result leaves is freed when the database
has it, a moment later: with Python's 700 the collector came before that, and a result cost 25 µs more.
"""

NEVER = 2**31 - 1
"""Passes over the young after which the collector would look at everything by itself."""


async def collect_garbage(
    sessions: ListenService, metrics: Metrics, interval: float, least: int = SESSIONS
) -> None:
    """Collect when it is due, until cancelled; `interval` in seconds, `least` sessions that must have ended."""
    with seldom():
        while True:
            with trio.move_on_after(interval):
                await sessions.ended(max(least, len(sessions.live())))
            began = trio.current_time()
            gc.collect()
            metrics.garbage_collected(trio.current_time() - began)


class _Seldom:
    """The collector is the process's: of several servers in it the first sets it, and the last sets it back."""

    def __init__(self) -> None:
        self._servers = 0
        self._before = gc.get_threshold()
        self._froze = False

    @contextmanager
    def __call__(self) -> Iterator[None]:
        if not self._servers:
            young, middle, _ = self._before = gc.get_threshold()
            self._froze = not gc.get_freeze_count()  # who froze before us knows what stays
            if self._froze:
                gc.freeze()
            gc.set_threshold(max(young, YOUNG), middle, NEVER)
        self._servers += 1
        try:
            yield
        finally:
            self._servers -= 1
            if not self._servers:
                gc.set_threshold(*self._before)
                if self._froze:
                    gc.unfreeze()


seldom = _Seldom()
"""Inside, the collector seldom looks."""
