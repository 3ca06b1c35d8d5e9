"""The way work leaves the event loop: an injected function, so that virtual-clock tests can run it inline."""

from collections.abc import Callable
from typing import Protocol, TypeVar

T = TypeVar("T")


class OffLoop(Protocol):
    """`await off_loop(fn, *args)` runs `fn(*args)` where it may block, and returns what it returns."""

    async def __call__(self, function: Callable[..., T], /, *args: object) -> T:
        """Once begun, the work is waited for even when the caller is cancelled."""
        ...
