"""A session's journal: what it has told its client, on the local disk before it is sent.

File: a header (magic, version, time of creation in µs, CRC-32 of these), then records: length (u32), CRC-32
of the payload (u32), payload (MessagePack of a `JournalRecord`); all little-endian.

Operations: `append` (one `write(2)`), `sync`, `end`, `remove`. `engine.store.replay` reads journals back.
Invariants: what was appended survives the process being killed at any point and, once synced, the machine. A
record that only went in part is cut off again at once, so that later ones can still be read. A live journal
is locked (`flock`): another process that recovers the folder leaves it alone; the lock ends with the process.
Bounded: one file descriptor a session; a record by `RECORD_LIMIT`.
Cost: one system call an append, of however many records.
Known doubts: a file grows as long as its session lives (about 1 KB a second of unbroken speech).
"""

import fcntl
import os
import re
import struct
from collections.abc import Callable
from pathlib import Path
from zlib import crc32

import msgspec

from engine.off_loop import OffLoop
from engine.store.database import WallClock, wall_clock
from engine.store.errors import JournalFull
from engine.store.records import JournalRecord

MAGIC = b"LSTNJRNL"
VERSION = 1
HEADER = struct.Struct("<8sIQI")
FRAME = struct.Struct("<II")
RECORD_LIMIT = 16 * 1024 * 1024
"""Bytes of one payload."""
FOLDER = "journal"
"""In the data directory."""
SUFFIX = ".journal"

_SESSION_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_encoder = msgspec.msgpack.Encoder()


class JournalStatistics(msgspec.Struct, frozen=True):
    """`size` in bytes; `failed` counts records that could not be appended."""

    size: int
    records: int
    failed: int
    ended: bool


class Journal:
    """The journal of one live session. Made by `create` (or `DatabaseWriter.open_journal`)."""

    def __init__(self, path: Path, descriptor: int, off_loop: OffLoop) -> None:
        self.path = path
        self._descriptor = descriptor
        self._off_loop = off_loop
        self._size = self._synced = HEADER.size
        self._records = 0
        self._failed = 0
        self._broken: OSError | None = None
        self._on_end: Callable[[], None] | None = None
        self.ended = False

    @classmethod
    async def create(
        cls, folder: Path, session_id: str, off_loop: OffLoop, *, now: WallClock = wall_clock
    ) -> "Journal":
        """Make the file `<folder>/<session_id>.journal` (and the folder).

        Raises `JournalFull` when it cannot be made, `ValueError` when `session_id` cannot be a file's name.
        """
        if not _SESSION_ID.fullmatch(session_id):
            raise ValueError(f"session_id: {session_id!r} given, 1 to 128 of A-Z a-z 0-9 _ - accepted")
        path = folder / f"{session_id}{SUFFIX}"
        try:
            return cls(path, await off_loop(_create, path, now()), off_loop)
        except OSError as error:
            raise JournalFull(f"journal {str(path)!r} cannot be made: {error.strerror}") from error

    def append(self, *records: JournalRecord) -> int:
        """Write records with one system call; returns the file's size in bytes.

        Raises `JournalFull` when they did not get to the file, which is then as it was before.
        """
        if self.ended:
            raise ValueError(f"journal {str(self.path)!r} has ended")
        frames = b"".join(map(encode_record, records))
        try:
            self._write(frames)
        except OSError as error:
            self._failed += len(records)
            raise JournalFull(
                f"journal {str(self.path)!r} did not take a record: {error.strerror}"
            ) from error
        self._size += len(frames)
        self._records += len(records)
        return self._size

    def _write(self, frames: bytes) -> None:
        if self._broken is not None:
            raise self._broken
        written = os.write(self._descriptor, frames)
        if written == len(frames):
            return
        try:
            os.ftruncate(self._descriptor, self._size)
        except OSError as error:
            self._broken = error  # whatever came after the torn record could never be read
            raise
        raise OSError(None, f"only {written} of {len(frames)} bytes fitted")

    async def sync(self) -> None:
        """Flush what was appended to the disk. Raises `OSError`."""
        await self._off_loop(self.flush)

    def flush(self) -> None:
        """As `sync`, in this thread. Blocks."""
        size = self._size
        os.fdatasync(self._descriptor)
        self._synced = size

    @property
    def unsynced(self) -> bool:
        """Whether anything was appended since the last `sync`."""
        return self._size != self._synced

    def end(self) -> None:
        """Nothing follows: the file may go once all its records are in the database. Idempotent."""
        if not self.ended:
            self.ended = True
            if self._on_end is not None:
                self._on_end()

    def when_ended(self, callback: Callable[[], None]) -> None:
        """Call `callback` from `end`."""
        self._on_end = callback

    async def remove(self) -> None:
        """Delete the file: its records are in the database. Idempotent."""
        await self._off_loop(self.discard)

    def discard(self) -> None:
        """As `remove`, in this thread. Blocks."""
        self.path.unlink(missing_ok=True)
        self.close()

    def keep_aside(self, suffix: str) -> None:
        """Rename the file so that it is not replayed but an operator can look into it. Blocks."""
        self.path.rename(self.path.with_name(self.path.name + suffix))
        self.close()

    def close(self) -> None:
        """Close the file and leave it for the next start. Idempotent."""
        self.ended = True
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def statistics(self) -> JournalStatistics:
        """How much was appended."""
        return JournalStatistics(self._size, self._records, self._failed, self.ended)


def encode_record(record: JournalRecord) -> bytes:
    """A record as it is in the file. Raises `ValueError` above `RECORD_LIMIT`."""
    payload = _encoder.encode(record)
    if len(payload) > RECORD_LIMIT:
        raise ValueError(f"record: {len(payload)} bytes given, at most {RECORD_LIMIT} accepted")
    return FRAME.pack(len(payload), crc32(payload)) + payload


def encode_header(created_at: int) -> bytes:
    """The first bytes of a journal."""
    fields = HEADER.pack(MAGIC, VERSION, created_at, 0)[:-4]
    return fields + crc32(fields).to_bytes(4, "little")


def _create(path: Path, created_at: int) -> int:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    while True:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.fstat(descriptor).st_nlink:
                _write_header(path, descriptor, created_at)
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # a recovering process took the file for a dead one before it was locked


def _write_header(path: Path, descriptor: int, created_at: int) -> None:
    header = encode_header(created_at)
    try:
        if os.write(descriptor, header) != len(header):
            raise OSError(None, "the header did not fit")
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # else a power cut may take the file's name
        finally:
            os.close(folder)
    except OSError:
        path.unlink()
        raise
