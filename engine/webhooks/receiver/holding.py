"""Pieces of audio that came before the ones they follow.

Operations: `add` a chunk that has a position; look at the `lowest` of a sender's session or at the `oldest` of all;
`pop` the lowest.
Bounded by whoever adds: `cost` is what is held, in bytes; a piece counts as `LEAST` at least, however short it is.
Cost: a logarithm of the number of pieces held.
"""

from heapq import heappop, heappush
from itertools import count
from typing import TypeAlias

from engine.webhooks.receiver.chunk import Chunk

__all__ = ["Held", "Stream", "stream_of"]

LEAST = 1024

Stream: TypeAlias = tuple[str | None, int]
"""One sender's session, at one sample rate."""


def stream_of(chunk: Chunk) -> Stream:
    """What the chunk's position counts in."""
    return chunk.session, chunk.sample_rate


class Held:
    """Of one user, for any number of streams."""

    def __init__(self) -> None:
        self.cost = 0
        self._numbers = count()
        self._by_arrival: dict[int, Chunk] = {}
        self._by_place: dict[Stream, list[tuple[int, int]]] = {}

    def __len__(self) -> int:
        return len(self._by_arrival)

    def add(self, chunk: Chunk) -> None:
        """Hold a chunk, which says where it begins."""
        assert chunk.position is not None
        number = next(self._numbers)
        self._by_arrival[number] = chunk
        heappush(self._by_place.setdefault(stream_of(chunk), []), (chunk.position, number))
        self.cost += max(LEAST, len(chunk.pcm))

    def oldest(self) -> Chunk | None:
        """The one that was added first."""
        return next(iter(self._by_arrival.values()), None)

    def streams(self) -> list[Stream]:
        """Those of which something is held."""
        return list(self._by_place)

    def lowest(self, stream: Stream) -> Chunk | None:
        """The one that begins first in its stream; of several that begin there, the one that came first."""
        places = self._by_place.get(stream)
        return self._by_arrival[places[0][1]] if places else None

    def pop(self, stream: Stream) -> Chunk:
        """Take the `lowest`. Raises KeyError when there is none."""
        places = self._by_place[stream]
        chunk = self._by_arrival.pop(heappop(places)[1])
        if not places:
            del self._by_place[stream]
        self.cost -= max(LEAST, len(chunk.pcm))
        return chunk
