"""Files that were received, or made of what was: from the spool to the blob store, each with its row.

Operations: `begin` a file and `write` to it, `finish` it; `recover` what a process that died left unfinished; `has`
says whether something was written, `flush` has it on the disk itself.
Invariants: a row comes before its file, so that no file is in the blob store which retention and quota do not know of.
What does not work is tried again until it does: whoever writes waits, and with them, in the end, who sends.
Bounded: `AT_ONCE` files are brought to the blob store at a time, each of which is in memory then.
Cancellation leaves a file in the spool; `recover` finishes it, in this process or the next.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
import trio

from engine._config_receiver import Receiver as Settings
from engine.audio.wav import wav_header
from engine.log import get_logger
from engine.store.errors import BlobsUnavailable, DatabaseUnavailable
from engine.store.received_records import AUDIO, ReceivedFileRow
from engine.store.received_spool import Part, Spool
from engine.stt.backoff import Backoff
from engine.webhooks.receiver.chunk import BYTES_PER_SAMPLE
from engine.webhooks.receiver.ports import Blobs, Files

__all__ = ["Archive"]

log = get_logger(__name__)

T = TypeVar("T")

AT_ONCE = 2


class Archive:
    """The files of all users."""

    def __init__(self, spool: Spool, blobs: Blobs, files: Files, settings: Settings) -> None:
        self._spool = spool
        self._blobs = blobs
        self._files = files
        self._settings = settings
        self._turns = trio.CapacityLimiter(AT_ONCE)
        self._kept = 0
        self._changed = trio.Event()

    async def begin(self, row: ReceivedFileRow) -> Part:
        """A file that will have this row, but for `samples` and `size`."""
        return await self._until_done("begin", lambda: self._spool.begin(row))

    async def write(self, part: Part, data: bytes) -> None:
        """Add to it."""
        await self._until_done("write", lambda: part.write(data))

    async def finish(self, part: Part) -> None:
        """It is whole: keep it. An empty one is forgotten."""
        try:
            if part.size:
                async with self._turns:
                    await self._keep(part)
            await self._until_done("remove", part.remove)
        finally:
            part.close()

    async def kept(self, count: int) -> None:
        """Wait until so many files have been kept since the beginning."""
        while self._kept < count:
            await self._changed.wait()

    async def has(self, uid: str, id: str, size: int) -> bool:
        """Whether so many bytes of a user's audio file are written, or kept already. Raises what the stores do."""
        if await self._spool.size(id) >= size:
            return True
        row = await self._files.get(uid, id)  # which was there before its file left the spool
        return row is not None and row.samples * BYTES_PER_SAMPLE >= size

    async def flush(self) -> None:
        """Have what was written so far on the disk itself. Raises OSError."""
        await self._spool.flush()

    async def recover(self) -> int:
        """Finish what was left by processes that died; how many files. Raises OSError."""
        parts = await self._spool.abandoned()
        try:
            for part in parts:
                await self.finish(part)
        finally:
            for part in parts:
                part.close()
        return len(parts)

    async def _keep(self, part: Part) -> None:
        contents = await self._until_done("read", part.read)
        row = part.row
        if row.kind == AUDIO:
            samples = len(contents) // BYTES_PER_SAMPLE
            contents = wav_header(samples, row.sample_rate) + contents[: samples * BYTES_PER_SAMPLE]
            row = msgspec.structs.replace(row, samples=samples)
        row = msgspec.structs.replace(row, size=len(contents))
        await self._until_done("row", lambda: self._files.put(row))
        await self._until_done("put", lambda: self._blobs.put(row.uid, row.name, contents))
        self._kept += 1
        self._changed.set()
        self._changed = trio.Event()

    async def _until_done(self, what: str, do: Callable[[], Awaitable[T]]) -> T:
        backoff = Backoff(self._settings.retry_initial, self._settings.retry_limit)
        while True:
            try:
                return await do()
            except (OSError, DatabaseUnavailable, BlobsUnavailable) as error:
                log.warning("receiver.file_waits", step=what, error=str(error))
            await trio.sleep(backoff.next())
