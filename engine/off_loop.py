"""The way work leaves the event loop: an injected function, so that virtual-clock tests can run it inline."""

from collections.abc import Callable
from typing import Protocol, TypeVar, TypeVarTuple

import trio

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class OffLoop(Protocol):
    """`await off_loop(fn, *args)` runs `fn(*args)` where it may block, and returns what it returns."""

    async def __call__(self, fn: Callable[[*Ts], T], /, *args: *Ts) -> T:
        """Once begun, the work is waited for even when the caller is cancelled."""
        ...


def worker_threads(count: int) -> OffLoop:
    """An `OffLoop` of at most `count` threads; further callers wait."""
    limiter = trio.CapacityLimiter(count)

    async def off_loop(fn: Callable[[*Ts], T], /, *args: *Ts) -> T:
        return await trio.to_thread.run_sync(fn, *args, limiter=limiter)

    return off_loop
