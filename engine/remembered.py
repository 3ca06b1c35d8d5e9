"""What was read of users, for a few seconds, so that it is not read for each word they say.

Operations: `get` gives what is remembered, or reads it; `peek` never reads; `forget` when it is another by now.
Invariants: nothing is given that is older than `age`, nor what was read while somebody changed something.
Bounded: `most` values, none of which outlives `age` for long while others are read.
Cost: a look into a dictionary.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator
from typing import Generic, TypeVar

__all__ = ["Remembered"]

T = TypeVar("T")


class Remembered(Generic[T]):
    """Values by user. `age` in the unit of `clock`; 0: nothing is remembered."""

    def __init__(self, age: float, most: int, clock: Callable[[], float]) -> None:
        self._age = age
        self._most = most
        self._clock = clock
        self._values: OrderedDict[str, tuple[float, T]] = OrderedDict()
        self._changes = 0

    def __iter__(self) -> Iterator[str]:
        """The users, the one asked for longest ago first."""
        return iter(self._values)

    async def get(self, uid: str, read: Callable[[str], Awaitable[T]]) -> T:
        """The user's value. Raises what `read` raises."""
        found = self.peek(uid)
        if found is not None:
            return found
        now, changes = self._clock(), self._changes
        value = await read(uid)
        if changes == self._changes and self._age > 0:  # else somebody may have changed what was just read
            self._put(uid, now, value)
        return value

    def peek(self, uid: str) -> T | None:
        """The user's value, or None when it has to be read."""
        found = self._values.get(uid)
        if found is None or not 0 <= self._clock() - found[0] < self._age:
            return None
        self._values.move_to_end(uid)
        return found[1]

    def forget(self, uid: str) -> None:
        """The user's value is another by now."""
        self._changes += 1
        self._values.pop(uid, None)

    def _put(self, uid: str, now: float, value: T) -> None:
        self._values[uid] = now, value
        self._values.move_to_end(uid)
        while len(self._values) > self._most or now - next(iter(self._values.values()))[0] >= self._age:
            self._values.popitem(last=False)
