"""What a local stream's reader has decided and its decoder has not yet taken.

Operations: `put`, `take`, `close`. Invariants: items come out in order; silence in a row is one item. Bounded:
one utterance, before which and after which one span of silence may lie; `put` of a second utterance waits.
Cancellation of `put` or `take` changes nothing.
"""

import trio

from engine.stt.endpoint import Silence, Utterance


class Outbox:
    """A queue of at most one utterance and the silence around it."""

    def __init__(self) -> None:
        self._items: list[Silence | Utterance] = []
        self._changed = trio.Condition()
        self._closed = False

    async def put(self, item: Silence | Utterance) -> None:
        """Add `item`; an utterance waits until no other one is queued."""
        async with self._changed:
            last = self._items[-1] if self._items else None
            if isinstance(item, Silence) and isinstance(last, Silence):
                self._items[-1] = Silence(last.start, item.end)
            else:
                while isinstance(item, Utterance) and any(isinstance(i, Utterance) for i in self._items):
                    await self._changed.wait()
                self._items.append(item)
            self._changed.notify_all()

    async def take(self) -> Silence | Utterance | None:
        """The next item; None once closed and empty."""
        async with self._changed:
            while not self._items:
                if self._closed:
                    return None
                await self._changed.wait()
            item = self._items.pop(0)
            self._changed.notify_all()
            return item

    async def close(self) -> None:
        """Nothing will follow; `take` returns None after what is queued."""
        async with self._changed:
            self._closed = True
            self._changed.notify_all()
