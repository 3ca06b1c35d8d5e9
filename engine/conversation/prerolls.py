"""What of a user's enrolled voice is played to vendors before a session.

Operations: `preroll` gives it.
Invariants: a session is never ended by a recording that cannot be had: it goes on without. Only the user's own profile
is used, only with the vendors named in it.
Bounded by `seconds`. Cost: one row and one recording (at most 4 MB) a session, read off the loop.
"""

from typing import Protocol

from engine.audio.wav import decode_wav
from engine.conversation.voices import PROFILE
from engine.log import get_logger
from engine.off_loop import OffLoop
from engine.store.errors import StoreError
from engine.store.user_records import VoiceRow
from engine.stt.prerolls import Preroll
from engine.transcript.timeline import SAMPLE_RATE

__all__ = ["OwnVoices"]

log = get_logger(__name__)


class Rows(Protocol):
    """Where rows of recordings are; `engine.store.voices` implements it."""

    async def get(self, uid: str, id: str) -> VoiceRow | None:
        """The user's recording of this id."""
        ...


class Recordings(Protocol):
    """Where recordings are; `engine.store.blobs` implements it."""

    async def get(self, uid: str, name: str) -> bytes:
        """A recording of the user's, whole. Raises `StoreError`."""
        ...


class OwnVoices:
    """Of all users. Implements `engine.listen.ports.OwnVoices`."""

    def __init__(self, rows: Rows, recordings: Recordings, off_loop: OffLoop, seconds: float) -> None:
        """`seconds`: of a recording, at most."""
        self._rows = rows
        self._recordings = recordings
        self._off_loop = off_loop
        self._samples = int(seconds * SAMPLE_RATE)

    async def preroll(self, uid: str) -> Preroll | None:
        """The beginning of the user's profile; None without one, or where it cannot be read now."""
        try:
            row = await self._rows.get(uid, PROFILE)
            if row is None or not row.vendors:
                return None
            recording = await self._recordings.get(uid, row.name)
            return Preroll(await self._off_loop(self._cut, recording), frozenset(row.vendors))
        except (StoreError, ValueError) as error:  # the database, the blobs, or what is in one
            log.warning("preroll.unavailable", error=str(error))
            return None

    def _cut(self, recording: bytes) -> bytes:
        """In a thread; it was written by us: 16 kHz, one channel, speech only."""
        samples, _ = decode_wav(recording)
        return samples[: self._samples].astype("<i2").tobytes()
