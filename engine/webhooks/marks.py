"""How much of its audio each endpoint has not been cut yet, kept where it survives the process.

Operations: `Marks.open` gives a `Mark`, whose `heard` and `cut` (samples of the session) are set as they grow, until
it is closed; `left_behind` tells what processes that died had heard and not cut, and `settle` forgets one of them.
Invariants: setting a mark is a store to memory that a file is mapped to: no call into the system, and there for
whoever reads the file once the process is gone, however it went. A process's file is locked by it while it lives.
Bounded: one file a process, `SLOT` bytes for each mark open at the same time; `left_behind` tells of a file once.
Known doubts: the file is not flushed: it survives the process, not the machine's power. What was heard since `heard`
was last set is not in it.
"""

import fcntl
import mmap
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import msgspec

__all__ = ["Left", "Mark", "Marks"]

SLOT = 1024
GROWTH = 64
"""Slots that are added at a time."""
POSITIONS = struct.Struct("<QQ")
LENGTH = struct.Struct("<H")
SUFFIX = ".marks"


class Owner(msgspec.Struct, frozen=True, array_like=True):
    """Whose audio it is: which endpoint of which user is to hear what session."""

    uid: str
    endpoint: str
    session: str


class Left(msgspec.Struct, frozen=True, kw_only=True):
    """What a process that died had heard of `session`, and not cut for `endpoint`; in samples, the first is `cut`."""

    uid: str
    endpoint: str
    session: str
    cut: int
    heard: int


class Mark:
    """One endpoint's place in a session. Made by `Marks.open`."""

    def __init__(self, marks: "Marks", slot: int) -> None:
        self._marks = marks
        self._slot = slot

    def set(self, *, cut: int, heard: int) -> None:
        """The endpoint has all before sample `cut`; the session has got to `heard`."""
        self._marks.store(self._slot, cut, heard)

    def close(self) -> None:
        """Nothing more is to be remembered. Idempotent."""
        if self._slot >= 0:
            self._marks.free(self._slot)
            self._slot = -1


class Marks:
    """One process's. Opening it blocks for a moment, and so does now and then `open`: a file grows."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._path = folder / f"{uuid4().hex}{SUFFIX}"
        new = self._path.with_suffix(".new")
        self._fd = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        fcntl.flock(self._fd, fcntl.LOCK_EX)
        new.rename(self._path)  # not before it is locked: nobody must take it for a dead one's
        self._free: list[int] = []
        self._slots = 0
        self._memory: mmap.mmap | None = None
        self._grow()

    def open(self, uid: str, endpoint: str, session: str) -> Mark:
        """A mark at 0. Raises ValueError for names that together are too long for a slot."""
        owner = msgspec.json.encode(Owner(uid, endpoint, session))
        if LENGTH.size + len(owner) + POSITIONS.size > SLOT:
            raise ValueError(f"uid, endpoint and session: {len(owner)} bytes do not fit a slot of {SLOT}")
        if not self._free:
            self._grow()
        slot = self._free.pop()
        self.store(slot, 0, 0)
        memory, at = self._map(), slot * SLOT + POSITIONS.size
        memory[at + LENGTH.size : at + LENGTH.size + len(owner)] = owner
        LENGTH.pack_into(memory, at, len(owner))
        return Mark(self, slot)

    def store(self, slot: int, cut: int, heard: int) -> None:
        """See `Mark.set`."""
        POSITIONS.pack_into(self._map(), slot * SLOT, cut, heard)

    def free(self, slot: int) -> None:
        """See `Mark.close`."""
        if self._memory is not None:
            LENGTH.pack_into(self._memory, slot * SLOT + POSITIONS.size, 0)
            self._free.append(slot)

    def close(self) -> None:
        """The process ends. What is still marked is for the next one. Idempotent."""
        if self._memory is not None:
            in_use = self._slots - len(self._free)
            self._memory.close()
            self._memory = None
            if not in_use:
                self._path.unlink(missing_ok=True)
            os.close(self._fd)

    def left_behind(self) -> Iterator[tuple[Path, list[Left]]]:
        """Each file that nobody holds any more, and what it says. Blocks. `settle` it once that is known elsewhere."""
        for path in sorted(self._folder.glob(f"*{SUFFIX}")):
            if path != self._path and _is_dead(path):
                yield path, list(_read(path.read_bytes()))

    @staticmethod
    def settle(path: Path) -> None:
        """What `left_behind` told of it is known: forget it. Idempotent. Blocks."""
        path.unlink(missing_ok=True)

    def _map(self) -> mmap.mmap:
        if self._memory is None:
            raise ValueError("the marks are closed")
        return self._memory

    def _grow(self) -> None:
        before, self._slots = self._slots, self._slots + GROWTH
        os.ftruncate(self._fd, self._slots * SLOT)
        if self._memory is None:
            self._memory = mmap.mmap(self._fd, self._slots * SLOT)
        else:
            self._memory.resize(self._slots * SLOT)
        self._free += reversed(range(before, self._slots))


def _is_dead(path: Path) -> bool:
    """Whether no process holds the file."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def _read(data: bytes) -> Iterator[Left]:
    """What a file says; a slot that makes no sense says nothing."""
    for at in range(0, len(data) - SLOT + 1, SLOT):
        cut, heard = POSITIONS.unpack_from(data, at)
        (length,) = LENGTH.unpack_from(data, at + POSITIONS.size)
        begin = at + POSITIONS.size + LENGTH.size
        if not 0 < length <= SLOT - POSITIONS.size - LENGTH.size or heard <= cut:
            continue
        try:
            owner = msgspec.json.decode(data[begin : begin + length], type=Owner)
        except msgspec.DecodeError:
            continue
        yield Left(uid=owner.uid, endpoint=owner.endpoint, session=owner.session, cut=cut, heard=heard)
