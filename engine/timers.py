"""One alarm clock for many: a task that wakes for each of their timers costs more than what most of them do.

Operations: each user, a session or its stream to a vendor, has `keep` call its functions, each when it asked to be
called, until it is cancelled.
Invariants: the tasks are the users' own: one of those in `keep` sleeps for all, and hands over when it leaves.
What a function raises is raised in the user that brought it, and its other functions are not called again.
Bounded by the users' functions: of those that have left numbers stay, no more than of those that are there, and
nothing that belongs to a user. A function is called at the time it asked for or up to `TICK` later.
Cost: a microsecond or two a call, and one wake-up of the loop for all calls in a tick.
"""

import heapq
import math
from collections.abc import Callable, Sequence
from contextvars import Context, copy_context
from itertools import count

import msgspec
import trio

TICK = 0.1
"""Seconds: calls that are due in the same tenth are made together."""

ROUNDING = 1e-6
"""Ticks: what is on a tick stays on it."""

Call = Callable[[], float | None]
"""Gives when it wants to be called again, on Trio's clock; None: never."""


class TimersStatistics(msgspec.Struct, frozen=True):
    """Calls that are to come, and calls made."""

    waiting: int
    made: int


class _Keeper:
    """A user in `keep`: `calls` are its functions, none once it has left."""

    def __init__(self, calls: Sequence[Call]) -> None:
        self.calls = calls
        self.error: Exception | None = None
        self._context = copy_context()  # log lines name the session whose timer it is

    def call(self, which: int) -> float | None:
        return self._context.run(self.calls[which])

    def leave(self) -> None:
        self.calls = ()
        self._context = Context()


class Timers:
    """The timers of one service, or of one vendor's streams."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, int, _Keeper]] = []
        self._numbers = count()
        self._sleeping = False
        self._others = trio.lowlevel.ParkingLot()
        self._sooner = trio.Event()
        self._made = 0
        self._left = 0

    async def keep(self, *calls: Call) -> None:
        """Call each of `calls` now, and again whenever it asks, until cancelled. Raises what one of them raised."""
        keeper = _Keeper(calls)
        for which in range(len(calls)):
            self._add(trio.current_time(), which, keeper)
        self._sooner.set()
        try:
            while keeper.error is None:
                if self._sleeping:
                    await self._others.park()
                else:
                    await self._sleep_for_all(keeper)
        finally:
            keeper.leave()
            self._forget_those_who_left()
        raise keeper.error

    def statistics(self) -> TimersStatistics:
        """How many calls there are."""
        return TimersStatistics(waiting=len(self._due), made=self._made)

    async def _sleep_for_all(self, keeper: _Keeper) -> None:
        self._sleeping = True
        try:
            while keeper.error is None:
                self._sooner = trio.Event()
                with trio.move_on_at(self._next()):
                    await self._sooner.wait()
                self._make_calls(trio.current_time())
        finally:
            self._sleeping = False
            self._others.unpark()

    def _add(self, due: float, which: int, keeper: _Keeper) -> None:
        heapq.heappush(self._due, (due, next(self._numbers), which, keeper))

    def _forget_those_who_left(self) -> None:
        """Calls of who left wait no longer than the calls of others are many."""
        self._left += 1
        if 2 * self._left > len(self._due):
            self._due = [one for one in self._due if one[3].calls]
            heapq.heapify(self._due)
            self._left = 0

    def _next(self) -> float:
        """The tick at which somebody is due."""
        if not self._due:
            return math.inf
        due = self._due[0][0]
        return max(due, math.ceil(due / TICK - ROUNDING) * TICK)

    def _make_calls(self, now: float) -> None:
        while self._due and self._due[0][0] <= now:
            _, _, which, keeper = heapq.heappop(self._due)
            if not keeper.calls:
                continue
            self._made += 1
            try:
                due = keeper.call(which)
            except Exception as error:  # noqa: BLE001 - it is raised again in `keep`
                keeper.error = error
                keeper.leave()
                self._others.unpark_all()
            else:
                if due is not None:
                    self._add(max(due, now), which, keeper)
