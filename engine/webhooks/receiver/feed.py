"""What one consumer of a session's audio has still to take.

Operations: `put` at one end, iterate at the other; `finish` when no audio follows, `abandon` when nobody takes any.
`settle` says that what was taken is dealt with, which asking for the next piece says, too.
Invariants: pieces are taken in order. A lossless feed loses none: `put` waits. A lossy one never makes anybody wait:
it drops the oldest, and counts their samples. After `abandon` everything put is counted as dropped. Each piece put is
reported as settled once: when it is dealt with, or dropped; not when its consumer was cancelled.
Bounded by `limit` bytes and one piece.
"""

from collections import deque
from collections.abc import Callable

import trio

from engine.webhooks.receiver.chunk import BYTES_PER_SAMPLE
from engine.webhooks.receiver.joining import Audio, Silence

__all__ = ["Feed", "Piece"]

Piece = Audio | Silence


class Feed:
    """Between a session and one consumer. `limit` in bytes; silence has none. `settled` is told of each piece."""

    def __init__(
        self, limit: int, *, lossless: bool, settled: Callable[[Piece], None] = lambda piece: None
    ) -> None:
        self.dropped = 0
        """Samples that nobody took."""
        self._limit = limit
        self._lossless = lossless
        self._pieces: deque[Piece] = deque()
        self._bytes = 0
        self._settled = settled
        self._current: Piece | None = None
        self.finished = trio.Event()
        self._abandoned = False
        self._changed = trio.Event()

    async def put(self, piece: Piece) -> None:
        """Add a piece; of a lossless feed, when there is room."""
        while self._lossless and self._bytes >= self._limit and not self._abandoned:
            await self._changed.wait()
        if self._abandoned:
            self._drop(piece)
            return
        self._pieces.append(piece)
        self._bytes += _size(piece)
        while self._bytes > self._limit and len(self._pieces) > 1 and not self._lossless:
            self._drop(self._take())
        self._notify()

    def finish(self) -> None:
        """No audio follows."""
        self.finished.set()
        self._notify()

    def abandon(self) -> None:
        """Nobody takes audio any more."""
        self._abandoned = True
        self.settle()
        while self._pieces:
            self._drop(self._take())
        self._notify()

    def settle(self) -> None:
        """The piece that was taken last is dealt with. Idempotent."""
        piece, self._current = self._current, None
        if piece is not None:
            self._settled(piece)

    @property
    def over(self) -> bool:
        """Whether nothing is left to be taken, and nothing follows."""
        return self._abandoned or (self.finished.is_set() and not self._pieces)

    def __aiter__(self) -> "Feed":
        return self

    async def __anext__(self) -> Piece:
        """The next piece; the one before is settled. Cancellation loses nothing."""
        self.settle()
        while not self._pieces:
            if self.finished.is_set() or self._abandoned:
                raise StopAsyncIteration
            await self._changed.wait()
        piece = self._current = self._take()
        self._notify()
        return piece

    def _drop(self, piece: Piece) -> None:
        self.dropped += piece.samples
        self._settled(piece)

    def _take(self) -> Piece:
        piece = self._pieces.popleft()
        self._bytes -= _size(piece)
        return piece

    def _notify(self) -> None:
        self._changed.set()
        self._changed = trio.Event()


def _size(piece: Piece) -> int:
    return piece.samples * BYTES_PER_SAMPLE if isinstance(piece, Audio) else 0
