"""Files while they are written: on this machine's disk, until they are whole and in the blob store.

A file of the spool is a line of JSON, the row it will have, and then its contents so far. Whoever writes it holds a
lock on it, so that one without a lock is known to be left by a process that died.

Operations: `begin` a file, then `Part.write` and `Part.read`, `Part.remove` in the end; `abandoned` finds what nobody
writes any more; `size` looks at one, whoever writes it; `flush`.
Invariants: what `write` returned for is there when the process dies, and once `flush` has returned when the machine
does.
Bounded by whoever writes. Cost: one write(2) each, in a thread.
"""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from engine.off_loop import OffLoop
from engine.store.received_records import ReceivedFileRow

__all__ = ["Part", "Spool"]

ENDING = ".part"
LONGEST_HEAD = 65536


class Part:
    """One file. Made by `Spool`. `size`: bytes of contents."""

    def __init__(
        self,
        path: Path,
        file: int,
        head: int,
        row: ReceivedFileRow,
        off_loop: OffLoop,
        unflushed: "set[Part]",
    ) -> None:
        self.row = row
        self.size = os.fstat(file).st_size - head
        self._path = path
        self._file = file
        self._head = head
        self._off_loop = off_loop
        self._unflushed = unflushed

    async def write(self, data: bytes) -> None:
        """Add to the contents. Raises OSError; then nothing was added, and it may be tried again."""
        await self._off_loop(self._write, data)

    def _write(self, data: bytes) -> None:
        rest, at = memoryview(data), self._head + self.size
        while rest:
            written = os.pwrite(self._file, rest, at)
            rest, at = rest[written:], at + written
        self.size += len(data)
        self._unflushed.add(self)

    def flush(self) -> None:
        """Have what was written on the disk itself. Blocks. Raises OSError: then it is tried with the next."""
        self._unflushed.discard(self)
        try:
            os.fdatasync(self._file)
        except (OSError, ValueError):  # ValueError: it is -1 already
            if self._file >= 0:  # else it is finished meanwhile, and where it was brought to is safe
                self._unflushed.add(self)
                raise

    async def read(self) -> bytes:
        """The contents. Raises OSError."""
        return await self._off_loop(self._read)

    def _read(self) -> bytes:
        return os.pread(self._file, self.size, self._head)

    async def remove(self) -> None:
        """It is not needed any more. Raises OSError."""
        await self._off_loop(self._remove)

    def _remove(self) -> None:
        self._path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Leave it to who comes later. Idempotent."""
        if self._file >= 0:
            self._unflushed.discard(self)
            os.close(self._file)
            self._file = -1


class Spool:
    """All files of the folder, which is made if missing."""

    def __init__(self, folder: Path, off_loop: OffLoop) -> None:
        self._folder = folder
        self._off_loop = off_loop
        self._unflushed: set[Part] = set()

    async def flush(self) -> None:
        """Have all that was written to files of this process on the disk itself. Raises OSError."""
        if self._unflushed:
            await self._off_loop(self._flush)

    def _flush(self) -> None:
        for part in list(self._unflushed):
            part.flush()

    async def begin(self, row: ReceivedFileRow) -> Part:
        """A file without contents; one of that id that is there is begun anew. Raises OSError."""
        return await self._off_loop(self._begin, row)

    async def abandoned(self) -> list[Part]:
        """Files that no process writes; they are ours from now on. Raises OSError."""
        return await self._off_loop(lambda: list(self._abandoned()))

    async def size(self, id: str) -> int:
        """Bytes of contents of the file that will have this id; 0 when there is none. Raises OSError."""
        return await self._off_loop(self._size, id)

    async def erase(self, uid: str) -> int:
        """Remove what is there of a user; how many files. Raises OSError."""
        return await self._off_loop(self._erase, uid)

    def _begin(self, row: ReceivedFileRow) -> Part:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._folder / f"{row.id}{ENDING}"
        head = msgspec.json.encode(row) + b"\n"
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.pwrite(file, head, 0)
            return Part(path, file, len(head), row, self._off_loop, self._unflushed)
        except BaseException:
            os.close(file)
            raise

    def _size(self, id: str) -> int:
        try:
            with (self._folder / f"{id}{ENDING}").open("rb") as file:
                head = file.readline(LONGEST_HEAD)
                return max(0, os.fstat(file.fileno()).st_size - len(head))
        except FileNotFoundError:
            return 0

    def _abandoned(self) -> Iterator[Part]:
        for path in sorted(self._folder.glob(f"*{ENDING}")):
            try:
                file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            except FileNotFoundError:
                continue  # who wrote it has just finished
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                line, newline, _ = os.pread(file, LONGEST_HEAD, 0).partition(b"\n")
                row = msgspec.json.decode(line, type=ReceivedFileRow)
                yield Part(path, file, len(line) + len(newline), row, self._off_loop, self._unflushed)
            except BlockingIOError:
                os.close(file)
            except msgspec.DecodeError:
                path.unlink(missing_ok=True)  # its process died before its first line was whole
                os.close(file)

    def _erase(self, uid: str) -> int:
        count = 0
        for path in self._folder.glob(f"*{ENDING}"):
            with path.open("rb") as file:
                line = file.readline(LONGEST_HEAD)
            try:
                row = msgspec.json.decode(line, type=ReceivedFileRow)
            except msgspec.DecodeError:
                continue
            if row.uid == uid:
                path.unlink(missing_ok=True)
                count += 1
        return count
