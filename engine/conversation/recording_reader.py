"""Reads what was recorded of conversations.

Operations: `read` a piece, `cut` out a span of a conversation.
Invariants: what cannot be read is silence, as in `engine.conversation.recording_timeline`.
Bounded: the piece that was read last is kept, as long as the reader.
"""

from collections.abc import Sequence
from typing import Protocol

from engine.audio.flac import FlacError, decode_flac
from engine.conversation.recording_timeline import Placed, Samples, mixed
from engine.log import get_logger
from engine.off_loop import OffLoop
from engine.store.errors import BlobMissing
from engine.store.recordings import blob_of
from engine.store.user_records import RecordingRow

__all__ = ["RecordingReader"]

log = get_logger(__name__)


class Blobs(Protocol):
    """Where the pieces are; `engine.store.blobs` implements it."""

    async def get(self, uid: str, name: str) -> bytes:
        """All of it. Raises `BlobMissing`."""
        ...


class RecordingReader:
    """For one who reads, in one task."""

    def __init__(self, blobs: Blobs, off_loop: OffLoop) -> None:
        self._blobs = blobs
        self._off_loop = off_loop
        self._last: tuple[str, Samples | None] = ("", None)

    async def read(self, row: RecordingRow) -> Samples | None:
        """The samples of a piece; None when there is none, or nobody can read it. Raises `BlobsUnavailable`."""
        if self._last[0] != row.id:
            self._last = (row.id, await self._read(row))
        return self._last[1]

    async def _read(self, row: RecordingRow) -> Samples | None:
        try:
            samples, _ = await self._off_loop(decode_flac, await self._blobs.get(row.uid, blob_of(row.id)))
        except (BlobMissing, FlacError) as error:
            log.warning("recording.piece_unreadable", conversation=row.conversation_id, error=str(error))
            return None
        return samples

    async def cut(self, pieces: Sequence[Placed], start: int, end: int) -> Samples | None:
        """What sounds from sample to sample of a conversation; None where nothing was recorded of all of it.

        Raises `BlobsUnavailable`.
        """
        sounding = []
        for piece in pieces:
            if piece.position < end and piece.end > start:
                samples = await self.read(piece.row)
                if samples is not None:
                    sounding.append((piece, samples))
        return mixed(sounding, start, end) if sounding else None
