"""Makes recordings of what was spooled: FLAC files in the blob store, a row each.

Operations: `keep` a piece, `keep_abandoned` what processes that died have left, `expire` what is too old.
Invariants: a piece is cut where one conversation ends and the next begins, so that each has its own. Its row comes
before its blob; when the blob cannot be put the row goes again and the piece stays in the spool. Keeping a piece twice
keeps it once.
Bounded: one piece in memory at a time for each caller.
Cancellation: what was begun stays in the spool and is kept by whoever comes next.
"""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Protocol

import trio

from engine._config_blobs import Recordings as Settings
from engine.audio.flac import encode_flac
from engine.conversation.recording_spool import (
    Part,
    Piece,
    Samples,
    Spool,
    Track,
    claim_abandoned,
    read_piece,
    tracks_in,
)
from engine.listen.ports import WallClock
from engine.log import get_logger
from engine.moments import DAY
from engine.off_loop import OffLoop
from engine.store.errors import BlobsUnavailable, DatabaseUnavailable
from engine.store.recordings import blob_of
from engine.store.user_records import RecordingRow
from engine.transcript.timeline import SAMPLE_RATE

__all__ = ["Keeper"]

log = get_logger(__name__)

MIB = 2**20


class Blobs(Protocol):
    """Where files are kept; `engine.store.blobs` implements it."""

    async def put(self, uid: str, name: str, data: bytes) -> None:
        """Keep `data` under `name`, in the place of what is there."""
        ...

    async def delete(self, uid: str, *names: str) -> None:
        """Remove those that are there."""
        ...


class Table(Protocol):
    """What is kept; `engine.store.recordings` implements it."""

    async def get(self, uid: str, id: str) -> RecordingRow | None:
        """A piece, or None."""
        ...

    async def add(self, row: RecordingRow, *, quota: int) -> bool:
        """Keep a piece; False when its conversation is not there. `quota`: bytes of one user's, 0 for any number."""
        ...

    async def forget(self, uid: str, id: str) -> None:
        """There is nothing of this piece after all; what may be there is erased."""
        ...

    async def expire(self, before: int) -> int:
        """Remove pieces that were added before `before` (µs), of all users; how many."""
        ...


class Keeper:
    """One per process."""

    def __init__(
        self,
        table: Table,
        blobs: Blobs,
        settings: Settings,
        flush: Callable[[], Awaitable[object]],
        off_loop: OffLoop,
        now: WallClock,
    ) -> None:
        """`flush`: have what sessions told in the database."""
        self._table = table
        self._blobs = blobs
        self._quota = int(settings.quota_mib * MIB)
        self._retention = int(settings.retention_days * DAY)
        self._flush = flush
        self._off_loop = off_loop
        self._now = now

    async def keep(self, track: Track, piece: Piece) -> int:
        """Keep what conversations have said something in; how many samples. The file is left as it is.

        Raises `BlobsUnavailable`, `DatabaseUnavailable`, `OSError`: nothing of what could not be kept is there.
        """
        cuts = _cuts(track.parts, piece)
        if not cuts:
            return 0
        samples = await self._off_loop(read_piece, piece)
        kept = 0
        for part, start, end in cuts:
            data = samples[start - piece.start : end - piece.start]
            if len(data) and await self._keep_one(track, part, start, data):
                kept += len(data)
        return kept

    async def _keep_one(self, track: Track, part: Part, start: int, samples: Samples) -> bool:
        assert part.base_at is not None, "something was said in it"
        data = await self._off_loop(encode_flac, samples, SAMPLE_RATE)
        id = f"{track.session_id}-{track.channel}-{start:012}"
        row = RecordingRow(
            uid=track.uid,
            id=id,
            conversation_id=part.conversation_id,
            base_at=part.base_at,
            start=start,
            samples=len(samples),
            bytes=len(data),
            created_at=self._now(),
        )
        if not await self._add(row):
            return False  # its conversation was deleted
        try:
            await self._blobs.put(track.uid, blob_of(id), data)
        except BlobsUnavailable:
            await self._table.forget(track.uid, id)
            raise
        if (
            await self._table.get(track.uid, id) is None
        ):  # deleted meanwhile, before there was a blob to erase
            await self._blobs.delete(track.uid, blob_of(id))
            return False
        return True

    async def _add(self, row: RecordingRow) -> bool:
        if await self._table.add(row, quota=self._quota):
            return True
        await self._flush()  # a conversation that has just begun may not be there yet
        return await self._table.add(row, quota=self._quota)

    async def keep_abandoned(self, root: Path, allowed: Callable[[str], Awaitable[bool]]) -> int:
        """Keep what processes that died, or could not keep it, have left below `root`; how many samples.

        What cannot be kept now is left for the next time; what its user does not allow (any more) is dropped.
        """
        kept = 0
        for folder in await self._off_loop(tracks_in, root):
            claimed = await self._off_loop(claim_abandoned, folder)
            if claimed is None:
                continue
            track, spool = claimed
            try:
                kept += await self._keep_all(track, spool, await allowed(track.uid))
            except (BlobsUnavailable, DatabaseUnavailable, OSError) as error:
                log.warning("recording.left_for_later", error=str(error))
            finally:
                with trio.CancelScope(shield=True):
                    await self._off_loop(spool.close)
        return kept

    async def _keep_all(self, track: Track, spool: Spool, allowed: bool) -> int:
        kept = 0
        for piece in spool.closed:
            kept += await self.keep(track, piece) if allowed else 0
            await self._off_loop(spool.drop, piece)
        return kept

    async def expire(self) -> int:
        """Remove what is older than it may be; how many pieces."""
        if not self._retention:
            return 0
        return await self._table.expire(self._now() - self._retention)


def _cuts(parts: Sequence[Part], piece: Piece) -> list[tuple[Part, int, int]]:
    """Which samples of a piece belong to which part, of those in which something was said."""
    ends = [part.position for part in parts[1:]]
    found = []
    for part, end in zip(parts, [*ends, piece.end], strict=False):
        first, last = max(part.position, piece.start), min(max(end, part.position), piece.end)
        if part.base_at is not None and first < last:
            found.append((part, first, last))
    return found
