"""Audio on the local disk until webhooks have it, and for a while after: many users' in one file, behind each other.

Operations: `append` makes audio durable and says where it is; `read` gives what a row's line names; `run` sweeps until
cancelled.
Invariants: `append` returns once what it wrote is flushed to the disk, the file's name included. What was appended is
read as it was, or not at all. Only the process that began a file writes to it, only at its end; a write that fails ends
the file, so that nothing is ever behind a torn record.
Bounded by `limit` bytes: when a write would go beyond, the oldest files are removed, and what somebody still waited for
is counted. A file is removed `age` seconds after its end.
Cost: what is appended together (`engine.together`), of however many sessions, is one write and one flush. A listing of
the folder for each sweep; when files are removed for want of room, a query for what waits.
Cancellation: what was to be appended may be there; nobody knows of it, and it goes with its file.
Known doubts: other processes' files are known since the last sweep, so several together may go beyond the limit by
what they write between two. Machines that share a database need a folder that they share.
"""

import os
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import msgspec
import trio

from engine.log import get_logger
from engine.off_loop import OffLoop
from engine.store.errors import DatabaseUnavailable
from engine.store.webhook_spool import HEADER, SUFFIX, header
from engine.together import Together
from engine.webhooks.spooled import Place, Spooled, segment_name

__all__ = ["Spool", "SpoolStatistics", "audio_gone"]

log = get_logger(__name__)

T = TypeVar("T")

SHARE = 16
"""A file has at most this part of the limit, so that little is dropped at a time."""
LONGEST = 60.0
"""Seconds that a file is written to, at most, and between two sweeps."""
SWEEPS = 5
"""Times the folder is swept while a file is of use."""
NANOSECONDS = 1_000_000_000
MOST_BUFFERS = 512
"""In one call of the system, which takes 1024."""


NOWHERE = Place("", 0, 0)


class SpoolStatistics(msgspec.Struct, frozen=True):
    """Bytes and files now, as far as this process knows; bytes that were waited for when it removed them."""

    bytes: int
    limit: int
    files: int
    dropped_bytes: int


class _Append(msgspec.Struct, frozen=True):
    uid: str
    pieces: Sequence[bytes]

    @property
    def size(self) -> int:
        return sum(map(len, self.pieces))


class _Segment:
    """The file that is being written."""

    def __init__(self, folder: Path) -> None:
        """Blocks. Raises `OSError`."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.name = segment_name(time.time_ns(), uuid4().hex[:8])
        self.began = time.monotonic()
        self.size = 0
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        self._descriptor = os.open(folder / self.name, flags, 0o600)
        parent = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(parent)  # else a power cut may take the name
        finally:
            os.close(parent)

    def write(self, buffers: Sequence[bytes]) -> None:
        """All of them, on the disk. Blocks. Raises `OSError`."""
        left = [memoryview(buffer) for buffer in buffers if buffer]
        while left:
            written = os.writev(self._descriptor, left[:MOST_BUFFERS])
            self.size += written
            while left and written >= len(left[0]):
                written -= len(left.pop(0))
            if written:
                left[0] = left[0][written:]
        os.fdatasync(self._descriptor)

    def close(self) -> None:
        os.close(self._descriptor)


class Spool:
    """One per process. `limit` in bytes; `age`: seconds that audio is of use, delivered or not."""

    def __init__(
        self,
        folder: Path,
        limit: int,
        age: float,
        off_loop: OffLoop,
        waiting: Callable[[], Awaitable[Sequence[str]]],
    ) -> None:
        """`waiting` reads the lines (`Spooled.line`) of what is to be delivered, or raises `DatabaseUnavailable`."""
        self.folder = folder
        self._limit = limit
        self._age = age
        self._off_loop = off_loop
        self._waiting = waiting
        self._files: OrderedDict[str, int] = OrderedDict()
        self._bytes = 0
        self._segment: _Segment | None = None
        self._dropped_bytes = 0
        self._append = Together(self._write_together)

    async def append(self, uid: str, pieces: Sequence[bytes]) -> Place:
        """Keep `pieces` of a user's; where they are, once they are on the disk. Raises `OSError`."""
        return await self._append(_Append(uid, pieces))

    async def read(self, line: str) -> bytes:
        """What is in the places that `line` (`Spooled.line`) names. Raises `FileNotFoundError` when it is gone."""
        return await self._off_loop(_read, self.folder, line)

    async def made_of(self, line: str, make: Callable[[bytes], T]) -> tuple[bytes, T]:
        """As `read`, with `make` of it, in the thread that reads."""
        return await self._off_loop(_read_and_make, self.folder, line, make)

    async def gone(self, lines: Sequence[str]) -> set[str]:
        """Those of `lines` that name what is not there any more."""
        return await self._off_loop(audio_gone, self.folder, lines)

    def close(self) -> None:
        """Let go of the file that was begun, while nobody appends. Idempotent."""
        if self._segment is not None:
            self._segment.close()
            self._segment = None

    # Keeping within bounds

    async def run(self) -> None:
        """Sweep every so often, until cancelled."""
        while True:
            try:
                await self.sweep()
            except OSError as error:
                log.warning("webhook.spool_not_swept", folder=str(self.folder), error=str(error))
            await trio.sleep(min(self._age / SWEEPS, LONGEST))

    async def sweep(self) -> None:
        """Look at what is there, and remove what is too old to be of use. Raises `OSError`."""
        oldest = segment_name(time.time_ns() - round((self._age + LONGEST) * NANOSECONDS), "")
        found = await self._off_loop(_listed, self.folder)
        current = self._segment.name if self._segment else ""
        stale = tuple(name for name in found if name < oldest and name != current)
        await self._off_loop(_unlink, self.folder, stale)
        for name in stale:
            del found[name]
        self._files = OrderedDict(sorted(found.items()))
        self._bytes = sum(found.values())

    def statistics(self) -> SpoolStatistics:
        """How full it is."""
        return SpoolStatistics(self._bytes, self._limit, len(self._files), self._dropped_bytes)

    # Inside

    async def _write_together(self, asked: Sequence[_Append]) -> list[Place]:
        """One write."""
        await self._make_room(sum(one.size for one in asked))
        places = await self._off_loop(self._write, asked)
        for place in places:
            self._files[place.segment] = self._files.get(place.segment, 0) + place.size
            self._bytes += place.size
        return places

    def _write(self, asked: Sequence[_Append]) -> list[Place]:
        """Blocks. One thread at a time, for writes take turns."""
        segment = self._to_write_to()
        try:
            places: list[Place] = []
            buffers: list[bytes] = []
            at = segment.size
            for one in asked:
                buffers += [header(one.uid, one.size), *one.pieces]
                places.append(Place(segment.name, at + HEADER.size, one.size))
                at += HEADER.size + one.size
            segment.write(buffers)
        except OSError:
            self.close()
            raise
        return places

    def _to_write_to(self) -> _Segment:
        segment = self._segment
        if segment is not None and (
            segment.size * SHARE >= self._limit or time.monotonic() - segment.began >= LONGEST
        ):
            self.close()
        if self._segment is None:
            self._segment = _Segment(self.folder)
        return self._segment

    async def _make_room(self, size: int) -> None:
        """Drop the oldest until `size` more bytes fit."""
        dropped: dict[str, int] = {}
        current = self._segment.name if self._segment else ""
        for name in tuple(self._files):
            if self._bytes + size <= self._limit:
                break
            if name != current:
                dropped[name] = self._files.pop(name)
                self._bytes -= dropped[name]
        if dropped:
            self._dropped_bytes += await self._needed(dropped)
            await self._off_loop(_unlink, self.folder, tuple(dropped))
            log.info("webhook.spool_full", dropped_files=len(dropped), limit=self._limit)

    async def _needed(self, files: Mapping[str, int]) -> int:
        """Bytes of `files` that are to be delivered; all of them while nobody can tell."""
        try:
            lines = await self._waiting()
        except DatabaseUnavailable:
            return sum(files.values())
        return await self._off_loop(_bytes_in, lines, files)


def _read(folder: Path, line: str) -> bytes:
    spooled = Spooled.read(line)
    if spooled is None:
        raise FileNotFoundError(f"file: {line!r} given, a line of the spool accepted")
    return b"".join(_read_place(folder, place) for place in spooled.places)


def _read_and_make(folder: Path, line: str, make: Callable[[bytes], T]) -> tuple[bytes, T]:
    found = _read(folder, line)
    return found, make(found)


def _read_place(folder: Path, place: Place) -> bytes:
    with (folder / place.segment).open("rb", buffering=0) as file:
        found = os.pread(file.fileno(), place.size, place.offset)
    if len(found) < place.size:
        raise FileNotFoundError(f"{place.segment} ends before {place.offset + place.size}")
    return found


def audio_gone(folder: Path, lines: Sequence[str]) -> set[str]:
    """As `Spool.gone`, without one. Blocks."""
    there = _listed(folder).keys()
    return {line for line in lines if not {place.segment for place in _places(line)} <= there}


def _bytes_in(lines: Sequence[str], files: Mapping[str, int]) -> int:
    """What several are to be told, or parts of it, counts once."""
    size, segment, end = 0, "", 0
    for place in sorted({place for line in lines for place in _places(line)}, key=_begin):
        if place.segment in files:
            begin = max(place.offset, end) if place.segment == segment else place.offset
            segment, end = place.segment, max(begin, place.offset + place.size)
            size += end - begin
    return size


def _begin(place: Place) -> tuple[str, int]:
    return place.segment, place.offset


def _places(line: str) -> tuple[Place, ...]:
    """A line that cannot be read names a file that is nowhere."""
    spooled = Spooled.read(line)
    return spooled.places if spooled is not None else (NOWHERE,)


def _unlink(folder: Path, names: Sequence[str]) -> None:
    for name in names:
        (folder / name).unlink(missing_ok=True)


def _listed(folder: Path) -> dict[str, int]:
    """Bytes of each file; of one that is just being removed nothing."""
    found: dict[str, int] = {}
    if not folder.is_dir():
        return found
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(SUFFIX):
                try:
                    found[entry.name] = entry.stat().st_size
                except FileNotFoundError:
                    continue
    return found
