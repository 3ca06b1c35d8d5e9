"""Chunks of audio on their way into the spool and the database, and what is said of those that do not get there.

Operations: `write` what a session's chunks have got, `cut` one that is written; `lose` what never became a chunk;
`left` says what a process that died had really not cut.
Invariants: a chunk that was `cut` is durable. What is lost is counted here at once, and in the endpoint's log as soon
as the database takes it.
Bounded: a call waits at most `webhook.audio_age` for a database that is away; audio of that age is of no use.
Cost: writes of all sessions happen `webhook.audio_gather` seconds apart, so that one flush of the disk and one
transaction are enough for all that came between.
Cancellation: a chunk may have been cut all the same; cutting it again makes no second one.
"""

import math
from collections.abc import Awaitable, Callable, Collection, Sequence

import msgspec
import trio

from engine._config_webhooks import Webhook
from engine.log import get_logger
from engine.store.errors import DatabaseUnavailable
from engine.stt.backoff import Backoff
from engine.stt.vendor import SAMPLE_RATE
from engine.webhooks.chunks import BYTES_PER_SAMPLE, Chunk
from engine.webhooks.marks import Left
from engine.webhooks.ports import Deliveries
from engine.webhooks.spool import Spool
from engine.webhooks.spooled import Spooled
from engine.webhooks.triggers import AUDIO_BYTES

__all__ = ["Cutting"]

log = get_logger(__name__)

QUERY = {"sample_rate": str(SAMPLE_RATE)}
NOT_WRITTEN = "the spool could not be written: {error}"
NO_DATABASE = "the database was away for longer than webhook.audio_age"


class Cutting:
    """For all sessions of a process."""

    def __init__(
        self,
        deliveries: Deliveries,
        spool: Spool,
        settings: Webhook,
        backoff: Callable[[], Backoff],
    ) -> None:
        """`backoff` gives the pauses between two tries to reach the database."""
        self.chunks = 0
        self.lost_samples = 0
        self._deliveries = deliveries
        self._spool = spool
        self._settings = settings
        self._backoff = backoff

    async def write(self, chunks: Collection[Chunk], session: str, pieces: Sequence[bytes]) -> bool:
        """Have `pieces`, what a user's chunks have got since the last time, in the spool.

        False when the disk refused, and the chunks are lost.
        """
        if apart := self._settings.audio_gather:
            await trio.sleep_until(math.ceil(trio.current_time() / apart) * apart)
        uid = next(iter(chunks)).endpoint.uid
        try:
            place = await self._spool.append(uid, pieces)
        except OSError as error:
            for chunk in chunks:
                await self.lose(_left(chunk, session), NOT_WRITTEN.format(error=error.strerror))
            return False
        for chunk in chunks:
            chunk.written(place)
        return True

    async def cut(self, chunk: Chunk, session: str) -> None:
        """Make a delivery of a chunk, all of which is written."""
        spooled = Spooled(session, chunk.position, tuple(chunk.places))

        async def offer() -> bool:
            return await self._deliveries.offer_file(
                chunk.endpoint,
                spooled.line,
                chunk.samples * BYTES_PER_SAMPLE,
                key=_key(session, chunk.position),
                query=QUERY,
                seconds=self._settings.audio_age,
            )

        made = await self._once_there(offer)
        if made:
            self.chunks += 1
        elif made is None:
            self._count(_left(chunk, session), NO_DATABASE)

    async def left(self, marked: Left) -> Left:
        """`marked` without the chunk that was cut while its mark had not moved on. Raises `DatabaseUnavailable`."""
        size = await self._deliveries.size(
            marked.uid, marked.endpoint, AUDIO_BYTES, key=_key(marked.session, marked.cut)
        )
        cut = marked.cut + size // BYTES_PER_SAMPLE
        return msgspec.structs.replace(marked, cut=min(cut, marked.heard))

    async def lose(self, left: Left, reason: str) -> None:
        """Count audio that an endpoint does not get."""
        self._count(left, reason)
        await self._once_there(lambda: self.tell(left, reason))

    async def tell(self, left: Left, reason: str) -> bool:
        """Show it in the endpoint's log, once. Raises `DatabaseUnavailable`."""
        return await self._deliveries.lost(
            left.uid,
            left.endpoint,
            AUDIO_BYTES,
            key=f"{left.session}:{left.cut}:lost",
            size=(left.heard - left.cut) * BYTES_PER_SAMPLE,
            reason=reason,
        )

    def _count(self, left: Left, reason: str) -> None:
        samples = left.heard - left.cut
        self.lost_samples += samples
        seconds = samples / SAMPLE_RATE
        log.warning("webhook.audio_lost", of_session=left.session, seconds=seconds, reason=reason)

    async def _once_there(self, call: Callable[[], Awaitable[bool]]) -> bool | None:
        """What `call` gives once the database is there; None when that takes too long."""
        backoff = self._backoff()
        with trio.move_on_after(self._settings.audio_age):
            while True:
                try:
                    return await call()
                except DatabaseUnavailable as error:
                    log.warning("webhook.waiting_for_database", error=str(error))
                    await trio.sleep(backoff.next())
        return None


def _key(session: str, position: int) -> str:
    """What a chunk is known by, so that it is one delivery however often it is cut."""
    return f"{session}:{position}"


def _left(chunk: Chunk, session: str) -> Left:
    end = chunk.position + chunk.samples
    of = chunk.endpoint
    return Left(uid=of.uid, endpoint=of.name, session=session, cut=chunk.position, heard=end)
