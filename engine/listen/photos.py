"""Pictures that come over a session's socket in pieces of base64.

Operations: `PhotoBuffer.add` takes a piece and gives the picture once it is whole.
Invariants: a picture is made of the pieces of one `id` and one `total`; a piece that comes again takes the place of the
first. Whatever is wrong with a piece is a `BadPhoto`, and its picture is forgotten.
Bounded: `PENDING` pictures begun at once, each for `LIFETIME` after its first piece and of at most `limit` bytes, all
of them together of at most `TOGETHER` times as many; the one begun first goes when there is no room, and is counted.
"""

import base64
import binascii
from collections import OrderedDict

import msgspec

from engine.wire.client_messages import ImageChunk

__all__ = ["LIFETIME", "PENDING", "TOGETHER", "BadPhoto", "PhotoBuffer", "PhotoStatistics"]

PENDING = 50
LIFETIME = 60.0
"""Seconds."""
TOGETHER = 4


class BadPhoto(Exception):
    """A client sent what is no picture. The text is for the client."""


class PhotoStatistics(msgspec.Struct, frozen=True):
    """`pending`: pictures begun; `dropped`: those that were never whole, for want of time or room."""

    pending: int
    dropped: int


class _Begun:
    def __init__(self, total: int, now: float) -> None:
        self.total = total
        self.began = now
        self.pieces: dict[int, str] = {}
        self.size = 0


class PhotoBuffer:
    """Pictures of one session that are not whole yet. `limit`: most bytes of one."""

    def __init__(self, limit: int) -> None:
        self._limit = -(-limit // 3) * 4  # as base64
        self._begun: OrderedDict[str, _Begun] = OrderedDict()
        self._size = 0
        self._dropped = 0

    def add(self, chunk: ImageChunk, now: float) -> bytes | None:
        """The picture that `chunk` completes, or None. `now`: seconds. Raises `BadPhoto`."""
        self._forget_old(now)
        if chunk.index >= chunk.total:
            raise self._bad(chunk, f"index={chunk.index} is not accepted: use 0 to {chunk.total - 1}")
        begun = self._begun.setdefault(chunk.id, _Begun(chunk.total, now))
        if begun.total != chunk.total:
            raise self._bad(chunk, f"total={chunk.total} is not accepted: it was {begun.total} before")
        grown = len(chunk.data) - len(begun.pieces.get(chunk.index, ""))
        if begun.size + grown > self._limit:
            raise self._bad(
                chunk, f"data is not accepted: a picture has at most {self._limit // 4 * 3} bytes"
            )
        begun.pieces[chunk.index] = chunk.data
        begun.size += grown
        self._size += grown
        self._make_room(chunk.id)
        if len(begun.pieces) < begun.total:
            return None
        self._remove(chunk.id)
        return self._decode(chunk, "".join(begun.pieces[index] for index in range(begun.total)))

    def statistics(self) -> PhotoStatistics:
        """How it is doing."""
        return PhotoStatistics(len(self._begun), self._dropped)

    def _decode(self, chunk: ImageChunk, text: str) -> bytes:
        try:
            image = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            raise self._bad(chunk, "data is not accepted: use base64") from None
        if not image:
            raise self._bad(chunk, "data is not accepted: the picture is empty")
        return image

    def _bad(self, chunk: ImageChunk, wrong: str) -> BadPhoto:
        self._remove(chunk.id)
        return BadPhoto(f"image_chunk: {wrong}")

    def _forget_old(self, now: float) -> None:
        while self._begun:
            id, oldest = next(iter(self._begun.items()))
            if now - oldest.began < LIFETIME:
                return
            self._drop(id)

    def _make_room(self, current: str) -> None:
        while len(self._begun) > PENDING or self._size > TOGETHER * self._limit:
            self._drop(next(id for id in self._begun if id != current))

    def _drop(self, id: str) -> None:
        self._remove(id)
        self._dropped += 1

    def _remove(self, id: str) -> None:
        begun = self._begun.pop(id, None)
        if begun is not None:
            self._size -= begun.size
