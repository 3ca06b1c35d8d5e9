"""Reading in small steps: between them whoever handles live audio has the interpreter's lock.

A thread that runs Python code keeps the lock for up to `sys.setswitchinterval` each time the loop wants it back, which
is several times in each of its turns. So whoever reads a conversation stops after every `WORK` for `REST`: the loop
then mostly finds the lock free (`tests/campaign/test_scale.py`).
"""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar, overload

__all__ = ["Pause", "Pauses", "WithPauses", "no_pause"]

WORK = 0.0005
REST = 0.002
"""Seconds."""

T = TypeVar("T")

Pause = Callable[[], None]
"""Called often, between two steps."""


def no_pause() -> None:
    """For who may take the lock for as long as it takes."""


class Pauses:
    """A pause after every `WORK`; for one thread, which it blocks."""

    def __init__(self) -> None:
        self._since = time.perf_counter()

    def __call__(self) -> None:
        if time.perf_counter() - self._since >= WORK:
            time.sleep(REST)
            self._since = time.perf_counter()


class WithPauses(Sequence[T]):
    """`items`; whoever goes through them may pause before each."""

    def __init__(self, items: Sequence[T], pause: Pause) -> None:
        self._items = items
        self._pause = pause

    def __iter__(self) -> Iterator[T]:
        for item in self._items:
            self._pause()
            yield item

    def __len__(self) -> int:
        return len(self._items)

    @overload
    def __getitem__(self, place: int) -> T: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[T]: ...
    def __getitem__(self, place: int | slice) -> T | Sequence[T]:
        return self._items[place]
