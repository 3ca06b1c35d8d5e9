"""A feed as messages for a socket.

Operations: `peek` at the next message, then say that it is `taken`.
Invariants: the messages, one after the other, are the feed's samples with silence in its gaps; none is so short that
it would pass for a keepalive, for which at most one sample of silence is added at the very end.
Bounded: the messages of one piece.
"""

from collections import deque
from collections.abc import Iterator

from engine.webhooks.receiver.chunk import BYTES_PER_SAMPLE
from engine.webhooks.receiver.feed import Feed, Piece
from engine.webhooks.receiver.joining import Audio
from engine.wire import KEEPALIVE_BYTES

__all__ = ["MESSAGE_SECONDS", "MessageSource"]

MESSAGE_SECONDS = 1
"""The longest message."""


class MessageSource:
    """A feed as messages of PCM, none of which is so short that it would say nothing."""

    def __init__(self, feed: Feed, sample_rate: int) -> None:
        self._feed = feed
        self._most = MESSAGE_SECONDS * sample_rate * BYTES_PER_SAMPLE
        self._messages: deque[bytes] = deque()
        self._short = b""  # too little for a message

    @property
    def over(self) -> bool:
        """Whether nothing more comes."""
        return self._feed.over and not self._messages and not self._short

    async def peek(self) -> bytes | None:
        """The next message, which stays the next until it is `taken`; None at the end."""
        while not self._messages:
            piece = await anext(self._feed, None)
            if piece is not None:
                self._cut(piece)
            elif self._short:
                self._messages.append(self._short + bytes(KEEPALIVE_BYTES))
                self._short = b""
            else:
                return None
        return self._messages[0]

    def taken(self) -> None:
        """The one that `peek` gave is dealt with."""
        self._messages.popleft()

    def _cut(self, piece: Piece) -> None:
        for pcm in _blocks(piece, self._most):
            whole, self._short = self._short + pcm, b""
            for start in range(0, len(whole), self._most):
                message = whole[start : start + self._most]
                if len(message) > KEEPALIVE_BYTES:
                    self._messages.append(message)
                else:
                    self._short = message


def _blocks(piece: Piece, most: int) -> Iterator[bytes]:
    """The bytes of a piece; of silence in blocks."""
    if isinstance(piece, Audio):
        yield piece.pcm
        return
    left = piece.samples * BYTES_PER_SAMPLE
    while left:
        yield bytes(min(left, most))
        left -= min(left, most)
