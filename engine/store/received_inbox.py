"""Requests that were answered and are not dealt with yet: a file for each, on this machine's disk.

Each process has a folder of its own, whose lock it holds for as long as it lives; a folder without a lock was left by
a process that died. A file is a line of JSON, so many bytes of contents, and a line for each mark that was set on it.

Operations: `keep` a request; `mark` it, `remove` it in the end; `claim` one that another process brings; `left` takes
over what dead processes left, `read` gives it back; `flush` what is not on the disk itself yet; `erase` a user's;
`close` leaves all there is to others.
Invariants: what `keep` returned for is there when the process dies, and once `flush` has returned when the machine
does. A file belongs to the process whose folder it is in: it changes hands by one rename, so that of several who want
it one gets it.
Bounded by whoever keeps. Cost: one file written each, one call to the disk's cache at each `flush`, all in threads.
"""

import fcntl
import os
import threading
from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from uuid import uuid4

import msgspec

from engine.off_loop import OffLoop
from engine.store.database import WallClock

__all__ = ["Inbox", "Kept"]

ENDING = ".request"
LOCK = ".lock"
LONGEST_HEAD = 65536


class _Head(msgspec.Struct, frozen=True):
    uid: str
    size: int


class Kept(msgspec.Struct, frozen=True):
    """A request; `marks`: how often each was set."""

    uid: str
    contents: bytes
    marks: dict[str, int]


class Inbox:
    """All folders below `root`, one of which is this process's. A request is called by folder and file: `a/b`."""

    def __init__(self, root: Path, off_loop: OffLoop, now: WallClock) -> None:
        self._root = root
        self._off_loop = off_loop
        self._now = now
        self._numbers = count()
        self._opening = threading.Lock()
        self._lock = -1
        self._folder = ""
        self._unflushed: set[str] = set()

    async def keep(self, uid: str, contents: bytes) -> str:
        """Keep a request; what it is called from now on. Raises OSError: then it is not there."""
        return await self._off_loop(self._keep, uid, contents)

    async def mark(self, name: str, mark: str) -> None:
        """Set a mark; nothing happens when the request is gone. Raises OSError."""
        await self._off_loop(self._mark, name, mark)

    async def remove(self, name: str) -> None:
        """It is dealt with. Raises OSError."""
        await self._off_loop(lambda: (self._root / name).unlink(missing_ok=True))

    async def claim(self, name: str) -> str | None:
        """Have it as one's own; its new name, None when it is gone or somebody else's. Raises OSError."""
        return await self._off_loop(self._claim, name)

    async def left(self) -> list[str]:
        """Claim what dead processes left, the oldest first. Raises OSError."""
        return await self._off_loop(lambda: sorted(self._left(), key=_age))

    async def read(self, name: str) -> Kept | None:
        """What it is; None when it is gone, or was never whole (then it was never answered). Raises OSError."""
        return await self._off_loop(self._read, name)

    async def flush(self) -> None:
        """Have what was kept so far on the disk itself. Raises OSError: then it is tried with the next."""
        if self._unflushed:
            await self._off_loop(self._flush)

    async def erase(self, uid: str) -> int:
        """Remove all of a user, in all folders; how many. Raises OSError."""
        return await self._off_loop(self._erase, uid)

    def close(self) -> None:
        """Be as dead: what is left is for others to take over. Idempotent; keeping a request begins anew."""
        with self._opening:
            if self._lock >= 0:
                os.close(self._lock)
                self._lock, self._folder = -1, ""

    def _own(self) -> Path:
        """This process's folder, which is made when it is first asked for."""
        with self._opening:
            while self._lock < 0:
                self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
                name = uuid4().hex
                path = self._root / f"{name}{LOCK}"
                file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                if not _locked(file, path):
                    os.close(file)  # who looks for what was left was faster
                    continue
                (self._root / name).mkdir(mode=0o700)
                self._lock, self._folder = file, name
        return self._root / self._folder

    def _keep(self, uid: str, contents: bytes) -> str:
        folder = self._own()
        path = folder / f"{self._now():020d}-{next(self._numbers):09d}-{uuid4().hex[:8]}{ENDING}"
        head = msgspec.json.encode(_Head(uid, len(contents))) + b"\n"
        try:
            with open(path, "xb", buffering=0, opener=_private) as file:
                rest = memoryview(head + contents)
                while rest:
                    rest = rest[file.write(rest) :]
        except OSError:
            path.unlink(missing_ok=True)
            raise
        name = f"{folder.name}/{path.name}"
        self._unflushed.add(name)
        return name

    def _mark(self, name: str, mark: str) -> None:
        try:
            file = os.open(self._root / name, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            os.write(file, mark.encode() + b"\n")
        finally:
            os.close(file)

    def _claim(self, name: str) -> str | None:
        own = self._own()
        path = own / Path(name).name
        try:
            (self._root / name).rename(path)
        except FileNotFoundError:
            return None
        self._unflushed.add(f"{own.name}/{path.name}")
        return f"{own.name}/{path.name}"

    def _left(self) -> Iterator[str]:
        for lock in self._root.glob(f"*{LOCK}"):
            if lock.stem == self._folder:
                continue
            try:
                file = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            try:
                if _locked(file, lock):
                    yield from self._take_over(self._root / lock.stem)
                    lock.unlink()
            finally:
                os.close(file)

    def _take_over(self, folder: Path) -> Iterator[str]:
        if not folder.is_dir():
            return  # its process died before it was made
        for path in folder.iterdir():
            name = self._claim(f"{folder.name}/{path.name}")
            if name is not None:
                yield name
        folder.rmdir()

    def _read(self, name: str) -> Kept | None:
        try:
            data = (self._root / name).read_bytes()
        except FileNotFoundError:
            return None
        line, _, rest = data.partition(b"\n")
        try:
            head = msgspec.json.decode(line, type=_Head)
        except msgspec.DecodeError:
            return None
        if len(rest) < head.size:
            return None
        *marks, _ = rest[head.size :].decode(errors="replace").split("\n")  # the last one may not be whole
        return Kept(uid=head.uid, contents=rest[: head.size], marks=dict(Counter(marks)))

    def _flush(self) -> None:
        names = list(self._unflushed)
        for name in names:
            _sync(self._root / name)
        if self._folder:
            _sync(self._root / self._folder)
        self._unflushed.difference_update(names)

    def _erase(self, uid: str) -> int:
        erased = 0
        for path in self._root.glob(f"*/*{ENDING}"):
            try:
                with path.open("rb") as file:
                    head = msgspec.json.decode(file.readline(LONGEST_HEAD), type=_Head)
            except (FileNotFoundError, msgspec.DecodeError):
                continue
            if head.uid == uid:
                path.unlink(missing_ok=True)
                erased += 1
        return erased


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _locked(file: int, path: Path) -> bool:
    """Lock an open file; whether nobody else has it, and it is still the one of that name."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(file), path.stat())
    except (BlockingIOError, FileNotFoundError):
        return False


def _sync(path: Path) -> None:
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return  # it is dealt with
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _age(name: str) -> str:
    return Path(name).name
