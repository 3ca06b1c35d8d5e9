"""Bodies too large for the database, as files on the local disk until they are delivered: chunks of audio.

Operations: `begin` a file and `append` to it, `finish` it (or `give_up`); `read` and `remove` are for whoever delivers;
`run` sweeps until cancelled.
Invariants: a file is read as it was when it was finished, or not at all. One that is being written is never dropped.
Bounded by `limit` bytes: when a write would go beyond, the oldest finished files are removed, and counted. Files that
nobody asked for in `age` seconds are swept away: those of users who are gone, and of processes that died meanwhile.
Cost: a write for each `append`, off the loop; a listing of the folder for each sweep.
Known doubts: other processes' files are known since the last sweep, so several together may go beyond the limit by
what they write between two. Files are not flushed: they survive the process, not the machine's power. Machines that
share a database need a folder that they share.
"""

import os
import time
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

import msgspec
import trio

from engine.log import get_logger
from engine.off_loop import OffLoop
from engine.store.webhook_spool import owner_of
from engine.webhooks.files import SpoolFiles

__all__ = ["Spool", "SpoolStatistics", "place_of"]

log = get_logger(__name__)

SUFFIX = ".pcm"
DASHES = 4
SWEEPS = 5
"""Times the folder is swept while a file is of use."""
LONGEST_PAUSE = 60.0
"""Seconds between two sweeps, at most."""


class SpoolStatistics(msgspec.Struct, frozen=True):
    """Bytes and files now, as far as this process knows; files and bytes it removed for want of room."""

    bytes: int
    limit: int
    files: int
    dropped_files: int
    dropped_bytes: int


class Spool(SpoolFiles):
    """Implements `ports.Spool`. `limit` in bytes; `age` in seconds, as long as a file is of use."""

    def __init__(self, folder: Path, limit: int, age: float, off_loop: OffLoop) -> None:
        super().__init__(folder, off_loop)
        self._limit = limit
        self._age = age
        self._files: OrderedDict[str, int] = OrderedDict()
        self._bytes = 0
        self._writing: set[str] = set()
        self._dropped_files = 0
        self._dropped_bytes = 0

    # Writing

    def begin(self, uid: str, session: str = "", position: int = 0) -> str:
        """The name of a file that will be written for this user. `finish` or `give_up` must follow.

        What it has begins with sample `position` of `session`, a hexadecimal number; `place_of` reads both again.
        """
        name = f"{time.time_ns():020d}-{owner_of(uid)}-{session}-{position}-{uuid4().hex[:8]}{SUFFIX}"
        self._writing.add(name)
        return name

    async def append(self, file: str, pieces: Sequence[bytes]) -> None:
        """Write `pieces` behind what the file has. Raises `OSError`, after which `give_up` must follow."""
        size = sum(map(len, pieces))
        await self._make_room(size)
        await self._off_loop(_append, self.folder, file, tuple(pieces))
        self._count(file, size)

    def finish(self, file: str) -> None:
        """It is whole."""
        self._writing.discard(file)

    async def give_up(self, file: str) -> None:
        """It is not wanted any more; what the disk does not let go of is swept later. Idempotent."""
        self._writing.discard(file)
        try:
            await self.remove(file)
        except OSError as error:
            log.warning("webhook.spool_not_removed", error=str(error))
            self._uncount(file)

    # Delivering

    async def remove(self, file: str) -> None:
        """See `ports.Spool`."""
        await super().remove(file)
        self._uncount(file)

    # Keeping within bounds

    async def run(self) -> None:
        """Sweep every so often, until cancelled."""
        while True:
            try:
                await self.sweep()
            except OSError as error:
                log.warning("webhook.spool_not_swept", folder=str(self.folder), error=str(error))
            await trio.sleep(min(self._age / SWEEPS, LONGEST_PAUSE))

    async def sweep(self) -> None:
        """Look at what is there, and remove what is too old to be of use. Raises `OSError`."""
        oldest = f"{time.time_ns() - round(self._age * 1e9):020d}"
        found = await self._off_loop(_listed, self.folder)
        stale = tuple(name for name in found if name < oldest and name not in self._writing)
        await self._off_loop(_unlink, self.folder, stale)
        for name in stale:
            del found[name]
        self._files = OrderedDict(sorted(found.items()))
        self._bytes = sum(found.values())

    def statistics(self) -> SpoolStatistics:
        """How full it is."""
        return SpoolStatistics(
            self._bytes, self._limit, len(self._files), self._dropped_files, self._dropped_bytes
        )

    async def _make_room(self, size: int) -> None:
        """Drop the oldest until `size` more bytes fit."""
        dropped: list[str] = []
        for name in tuple(self._files):
            if self._bytes + size <= self._limit:
                break
            if name not in self._writing:
                self._dropped_files += 1
                self._dropped_bytes += self._uncount(name)
                dropped.append(name)
        if dropped:
            await self._off_loop(_unlink, self.folder, tuple(dropped))
            log.warning("webhook.spool_full", dropped_files=len(dropped), limit=self._limit)

    def _count(self, file: str, size: int) -> None:
        self._files[file] = self._files.get(file, 0) + size
        self._bytes += size

    def _uncount(self, file: str) -> int:
        size = self._files.pop(file, 0)
        self._bytes -= size
        return size


def place_of(file: str) -> tuple[str, int] | None:
    """The session and the number of the first sample of what is in a file; None when its name does not say."""
    parts = file.removesuffix(SUFFIX).split("-")
    if len(parts) != DASHES + 1 or not parts[2] or not parts[3].isdecimal():
        return None
    return parts[2], int(parts[3])


def _append(folder: Path, file: str, pieces: Sequence[bytes]) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / file).open("ab") as target:
        for piece in pieces:
            target.write(piece)


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
            if entry.name.endswith(SUFFIX) and entry.name.count("-") == DASHES:
                try:
                    found[entry.name] = entry.stat().st_size
                except FileNotFoundError:
                    continue
    return found
