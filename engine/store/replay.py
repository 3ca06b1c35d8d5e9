"""Reading journals back.

Operations: `JournalReader` reads one file in order; `replay` goes through a folder; `oldest` asks how old;
`journals_of` finds those of one user.
Invariants: whatever happened to a file, reading it gives a prefix of what was appended.
Bounded: one record in memory, one file open.
Known doubts: a flipped bit in a length that then points past the end of the file looks like a torn tail.
"""

import fcntl
from collections.abc import Generator, Iterator
from enum import Enum
from itertools import islice
from math import inf
from pathlib import Path
from zlib import crc32

import msgspec

from engine.store.journal import FRAME, HEADER, MAGIC, RECORD_LIMIT, SUFFIX, VERSION
from engine.store.records import JournalRecord, owner

_decoder: msgspec.msgpack.Decoder[JournalRecord] = msgspec.msgpack.Decoder(JournalRecord)


class Ending(Enum):
    """How reading a journal ended."""

    OPEN = "not read to its end yet"
    COMPLETE = "whole"
    TORN = "the last record is cut short"
    CORRUPT = "damaged: what follows is not read"
    NEWER = "written by a later release: not read"


class JournalReader:
    """Reads a journal file in order and stops at the first thing that is not a whole record."""

    def __init__(self, path: Path, *, lock: bool = False) -> None:
        """Open `path` and read its header; with `lock`, hold the file's lock until `close`.

        Raises `OSError`; `BlockingIOError` when a live session holds the lock.
        """
        self.path = path
        self.records = 0
        self.ending = Ending.OPEN
        self.created_at = 0
        self._file = path.open("rb")
        if lock:
            self._lock()
        self._read_header()

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise

    def _read_header(self) -> None:
        data = self._file.read(HEADER.size)
        if len(data) < HEADER.size:
            self.ending = Ending.TORN
            return
        magic, version, created_at, crc = HEADER.unpack(data)
        if magic != MAGIC or crc != crc32(data[:-4]):
            self.ending = Ending.CORRUPT
        elif version > VERSION:
            self.ending = Ending.NEWER
        else:
            self.created_at = created_at

    def __iter__(self) -> Iterator[JournalRecord]:
        while (record := self._next()) is not None:
            self.records += 1
            yield record

    def read(self, limit: int) -> list[JournalRecord]:
        """The next records, `limit` at most; none at the end."""
        return list(islice(self, limit))

    def _next(self) -> JournalRecord | None:
        if self.ending is not Ending.OPEN:
            return None
        frame = self._file.read(FRAME.size)
        if len(frame) < FRAME.size:
            self.ending = Ending.TORN if frame else Ending.COMPLETE
            return None
        length, crc = FRAME.unpack(frame)
        if length > RECORD_LIMIT:
            self.ending = Ending.CORRUPT
            return None
        payload = self._file.read(length)
        if len(payload) < length:
            self.ending = Ending.TORN
            return None
        return self._decode(crc, payload)

    def _decode(self, crc: int, payload: bytes) -> JournalRecord | None:
        if crc != crc32(payload):
            self.ending = Ending.CORRUPT
            return None
        try:
            return _decoder.decode(payload)
        except msgspec.DecodeError:  # whole, but no record that this release knows
            self.ending = Ending.CORRUPT
            return None

    def close(self) -> None:
        """Close the file and with it the lock."""
        self._file.close()


def replay(folder: Path) -> Generator[tuple[Path, JournalReader], None, None]:
    """Every journal in `folder` that no live session holds, oldest first, to be read and then removed.

    The current one is open and locked until the next is asked for. Blocks.
    """
    for path in sorted(folder.glob(f"*{SUFFIX}"), key=_created_at):
        try:
            reader = JournalReader(path, lock=True)
        except (BlockingIOError, FileNotFoundError):
            continue  # of a live session, or another process has just recovered it
        try:
            yield path, reader
        finally:
            reader.close()


def oldest(folder: Path) -> float:
    """When (µs) the oldest journal in `folder` was opened; infinite when there is none. Blocks."""
    return min(map(_created_at, folder.glob(f"*{SUFFIX}")), default=inf)


def _created_at(path: Path) -> int:
    try:
        reader = JournalReader(path)
    except FileNotFoundError:
        return 0
    reader.close()
    return reader.created_at


class UserJournals(msgspec.Struct, frozen=True):
    """The journals of one user: those of `live` sessions, `dead` ones (also those kept aside), and files that have
    the user's id in them but cannot be read so far as to tell whose they are."""

    live: list[Path]
    dead: list[Path]
    unreadable: list[Path]


def journals_of(folder: Path, uid: str) -> UserJournals:
    """The files in `folder` that hold a user's session; a session has one user. Blocks."""
    found = UserJournals([], [], [])
    for path in sorted(folder.glob(f"*{SUFFIX}*")):
        try:
            whose = _owner(path)
            if whose == uid:
                (found.live if _is_live(path) else found.dead).append(path)
            elif whose is None and uid.encode() in path.read_bytes():
                found.unreadable.append(path)
        except FileNotFoundError:
            continue  # its session has just ended
    return found


def _owner(path: Path) -> str | None:
    reader = JournalReader(path)
    try:
        return next(map(owner, reader), None)
    finally:
        reader.close()


def _is_live(path: Path) -> bool:
    try:
        JournalReader(path, lock=True).close()
    except BlockingIOError:
        return True
    return False
