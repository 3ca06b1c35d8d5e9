"""A session's audio on the local disk until it is kept: files of PCM, and a note of which conversations they are of.

    recording/ada/8f31-0/                 a track: one channel of a session
                         track.json       whose it is, and where in it conversations begin
                         000000960000.pcm samples from that number on

Operations: `Spool.create`, `append`, `note`; `closed` says which files are whole; `abandoned` finds tracks whose
process is dead. All of it blocks: call it in threads.
Invariants: a track that is written to is locked (`flock` of its folder), which ends with the process. A file has no
gap. What is noted is replaced as a whole. Several threads may call.
Bounded by `limit` bytes a track: then the oldest files are dropped, and counted.
"""

import fcntl
import os
import shutil
import threading
from contextlib import suppress
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.store.blob_names import folder_of

__all__ = ["Part", "Piece", "Samples", "Spool", "Track", "claim_abandoned", "read_piece", "tracks_in"]

Samples = NDArray[np.int16]

NOTE = "track.json"
BYTES_PER_SAMPLE = 2


class Part(msgspec.Struct, frozen=True):
    """What a track is from sample `position` on: of a conversation, on whose clock sample 0 was at `base_at` (µs).

    None while nothing has been said in it.
    """

    conversation_id: str
    position: int
    base_at: int | None = None


class Track(msgspec.Struct, frozen=True, kw_only=True):
    """Whose audio it is, and what it belongs to."""

    uid: str
    session_id: str
    channel: int
    parts: tuple[Part, ...] = ()


class Piece(msgspec.Struct, frozen=True):
    """A file: samples `start` to `end` of a session."""

    path: Path
    start: int
    end: int


class Spool:
    """One track's folder."""

    def __init__(self, folder: Path, lock: int, limit: int) -> None:
        self.folder = folder
        self.dropped = 0
        """Samples that were dropped because there were too many."""
        self._lock = lock
        self._limit = limit
        self._file: int | None = None
        self._open: Piece | None = None
        self._closed: list[Piece] = []
        self._turn = threading.RLock()

    @classmethod
    def create(cls, root: Path, track: Track, limit: int) -> "Spool":
        """A new track below `root`, which keeps `limit` samples at most. Raises `OSError`."""
        folder = root / folder_of(track.uid) / f"{track.session_id}-{track.channel}"
        folder.mkdir(mode=0o700, parents=True)
        spool = cls(folder, _locked(folder), limit)
        spool.note(track)
        return spool

    def note(self, track: Track) -> None:
        """Have it known what the track belongs to, also to who comes after this process."""
        new = self.folder / f"{NOTE}.new"
        new.write_bytes(msgspec.json.encode(track))
        os.replace(new, self.folder / NOTE)

    def append(self, position: int, pcm: bytes) -> None:
        """Add samples, the first of which is number `position`; after a gap another file begins."""
        with self._turn:
            if self._open is not None and self._open.end != position:
                self.roll()
            if self._open is None:
                path = self.folder / f"{position:012}.pcm"
                self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
                self._open = Piece(path, position, position)
            assert self._file is not None
            view = memoryview(pcm)
            while view:
                view = view[os.write(self._file, view) :]
            self._open = Piece(self._open.path, self._open.start, position + len(pcm) // BYTES_PER_SAMPLE)
            while self._closed and self._held() > self._limit:
                oldest = self._closed[0]
                self.dropped += oldest.end - oldest.start
                self.drop(oldest)

    def roll(self) -> None:
        """What follows goes to another file; this one is whole."""
        with self._turn:
            if self._file is not None and self._open is not None:
                os.close(self._file)
                self._closed.append(self._open)
                self._file = self._open = None

    @property
    def open(self) -> Piece | None:
        """The file that is written to."""
        return self._open

    @property
    def closed(self) -> tuple[Piece, ...]:
        """The files that are whole, in the order of time."""
        return tuple(self._closed)

    def drop(self, piece: Piece) -> None:
        """It is kept elsewhere, or is of no use."""
        with self._turn:
            piece.path.unlink(missing_ok=True)
            if piece in self._closed:
                self._closed.remove(piece)

    def close(self) -> None:
        """Leave it to `claim_abandoned` if there is something in it. Idempotent."""
        self.roll()
        if self._lock >= 0:
            if not self._closed:
                _remove(self.folder)
            os.close(self._lock)
            self._lock = -1

    def _held(self) -> int:
        pieces = self._closed if self._open is None else [*self._closed, self._open]
        return sum(piece.end - piece.start for piece in pieces)


def tracks_in(root: Path) -> list[Path]:
    """The folders of all tracks below `root`."""
    return sorted(root.glob("*/*"))


def claim_abandoned(folder: Path) -> tuple[Track, Spool] | None:
    """A track whose process is dead, locked: `close` it; None while somebody has it. What is none is removed."""
    try:
        lock = _locked(folder)
    except (BlockingIOError, FileNotFoundError, NotADirectoryError):
        return None
    try:
        track = msgspec.json.decode((folder / NOTE).read_bytes(), type=Track)
        pieces = sorted(map(_piece, folder.glob("*.pcm")), key=lambda piece: piece.start)
    except (OSError, ValueError):
        _remove(folder)
        os.close(lock)
        return None
    spool = Spool(folder, lock, 0)
    spool._closed = pieces
    return track, spool


def read_piece(piece: Piece) -> Samples:
    """The samples of a file."""
    data = piece.path.read_bytes()
    return np.frombuffer(data[: len(data) // BYTES_PER_SAMPLE * BYTES_PER_SAMPLE], "<i2").astype(np.int16)


def _piece(path: Path) -> Piece:
    start = int(path.stem)
    return Piece(path, start, start + path.stat().st_size // BYTES_PER_SAMPLE)


def _locked(folder: Path) -> int:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):  # another track of the user's is there
        folder.parent.rmdir()
