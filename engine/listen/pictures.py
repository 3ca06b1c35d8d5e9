"""A session's pictures on their way from the socket to where they are kept.

Operations: `take` a piece of one; `run` keeps those that are whole, one after the other; `finish` once no more come.
Invariants: the client is told a picture's id once it is kept, and not before.
Bounded: `WAITING` whole pictures; one for which there is no room is not kept, and the client is told so.
Cancellation: what has not been kept is lost.
"""

from collections.abc import Awaitable, Callable

import msgspec
import trio

from engine.listen.photos import PhotoBuffer
from engine.listen.ports import Participant, Photos, WallClock
from engine.listen.record import Record
from engine.wire.client_messages import ImageChunk
from engine.wire.messages import Event, PhotoProcessing, ServiceStatus

__all__ = ["WAITING", "Pictures", "PicturesStatistics", "keeper"]

WAITING = 4

Keep = Callable[[bytes], Awaitable[str | None]]
"""Keeps a file: its id, or None when that cannot be done."""


class PicturesStatistics(msgspec.Struct, frozen=True):
    """`begun` and not whole yet, whole and `waiting` to be kept, `kept`, and `dropped` for want of time or room."""

    begun: int = 0
    waiting: int = 0
    kept: int = 0
    dropped: int = 0


class Pictures:
    """Of one session. `limit`: most bytes of a file."""

    def __init__(self, keep: Keep, notify: Callable[[Event], None], limit: int) -> None:
        self._keep = keep
        self._notify = notify
        self._buffer = PhotoBuffer(limit)
        self._whole, self._todo = trio.open_memory_channel[tuple[str, bytes]](WAITING)
        self._over = trio.Event()
        self._kept = 0
        self._not_kept = 0

    def take(self, chunk: ImageChunk) -> None:
        """A piece has come. Raises `BadPhoto`."""
        image = self._buffer.add(chunk, trio.current_time())
        if image is None:
            return
        try:
            self._whole.send_nowait((chunk.id, image))
        except trio.WouldBlock:
            self._lost("more pictures came than can be kept at once")

    async def run(self) -> None:
        """Keep what is whole, until `finish`."""
        async with self._todo:
            async for temp_id, image in self._todo:
                await self._keep_one(temp_id, image)
        self._over.set()

    async def finish(self) -> None:
        """No more come: wait for those that wait."""
        self._whole.close()
        await self._over.wait()

    async def _keep_one(self, temp_id: str, image: bytes) -> None:
        photo_id = await self._keep(image)
        if photo_id is None:
            self._lost("its conversation has as many as it may have, or nothing can be kept right now")
        else:
            self._kept += 1
            self._notify(PhotoProcessing(temp_id, photo_id))

    def statistics(self) -> PicturesStatistics:
        """How they are doing."""
        buffered = self._buffer.statistics()
        waiting = self._whole.statistics().current_buffer_used
        return PicturesStatistics(buffered.pending, waiting, self._kept, buffered.dropped + self._not_kept)

    def _lost(self, why: str) -> None:
        self._not_kept += 1
        self._notify(ServiceStatus("notice", f"a picture was not kept ({why}): send it again later"))


def keeper(session: Participant, record: Record, photos: Photos | None, wall_clock: WallClock) -> Keep:
    """Keeps a picture in the session's conversation of the moment, or in the one that follows it."""

    async def keep(image: bytes) -> str | None:
        if photos is None:
            return None
        await record.joined.wait()
        for _ in range(2):
            conversation = record.conversation
            assert conversation is not None, "the session has joined"
            conversation.pictured(session, wall_clock())
            photo_id = await photos.keep(session.uid, conversation.id, image)
            if photo_id is not None:
                return photo_id
        return None

    return keep
