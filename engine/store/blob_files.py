"""Blobs as files below one folder, which is its user's alone.

Invariants: a file has its name only once all of it is on the disk (written elsewhere, flushed, renamed). Folders that
are empty are removed. Keys were checked: none leads out of the folder.
Known doubts: what a process that was killed had half written stays in `.partial` until the next one opens the folder
a day later.
"""

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from engine.store.blobs import Blob
from engine.store.errors import BlobMissing, BlobsUnavailable

__all__ = ["FOLDER", "Files"]

FOLDER = "blobs"
"""In the data directory."""
PARTIAL = ".partial"
"""Where files are written before they have their name; no user's folder begins with a dot."""
ABANDONED = 86_400
"""Seconds after which a half-written file belongs to nobody any more."""
TRIES = 10
"""Somebody may remove a folder, which was empty, between its making and a file's coming to it."""


class Files:
    """A `Shelf` in `root`, which is made with the first file."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._partial = root / PARTIAL
        self._sweep()

    @property
    def where(self) -> str:
        """See `Shelf`."""
        return f"files in {self._root}"

    def put(self, key: str, data: bytes) -> None:
        """See `Shelf`."""
        path = self._root / key
        try:
            self._partial.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor, partial = tempfile.mkstemp(dir=self._partial)
            try:
                with open(descriptor, "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                self._move(partial, path)
            except BaseException:
                os.unlink(partial)
                raise
        except OSError as error:
            raise _unavailable(error, path) from error

    def read(self, key: str, start: int, end: int | None) -> bytes:
        """See `Shelf`."""
        path = self._root / key
        try:
            with open(path, "rb") as file:
                file.seek(start)
                return file.read() if end is None else file.read(max(end - start, 0))
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            raise BlobMissing(key) from None
        except OSError as error:
            raise _unavailable(error, path) from error

    def find(self, key: str) -> Blob | None:
        """See `Shelf`."""
        path = self._root / key
        try:
            found = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _unavailable(error, path) from error
        return None if path.is_dir() else Blob(key, found.st_size, found.st_mtime_ns // 1000)

    def list(self, folder: str, after: str, limit: int) -> list[Blob]:
        """See `Shelf`."""
        try:
            keys = (key for key in _walk(self._root / folder, folder + "/", after) if key > after)
            return list(islice(filter(None, map(self.find, keys)), limit))
        except OSError as error:
            raise _unavailable(error, self._root / folder) from error

    def delete(self, keys: Sequence[str]) -> None:
        """See `Shelf`."""
        for key in keys:
            path = self._root / key
            if path.is_dir():
                continue
            try:
                path.unlink()
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                raise _unavailable(error, path) from error
            self._prune(path.parent)

    def sign(self, key: str, seconds: float) -> None:
        """See `Shelf`: files have no addresses."""

    def _move(self, partial: str, path: Path) -> None:
        for last in (*[False] * (TRIES - 1), True):
            made = self._make(path.parent)
            try:
                os.replace(partial, path)
            except FileNotFoundError:
                if last:
                    raise
                continue
            for folder in (path.parent, *made):
                _flush(folder)
            return

    def _make(self, folder: Path) -> Sequence[Path]:
        """Make the folder and those above it; the folders that got a new one."""
        missing = [
            each for each in (folder, *folder.parents) if self._root in each.parents and not each.exists()
        ]
        for each in reversed(missing):  # one by one: of `parents` only the last would be its user's alone
            each.mkdir(mode=0o700, exist_ok=True)
        return [each.parent for each in missing]

    def _prune(self, folder: Path) -> None:
        while folder != self._root:
            try:
                folder.rmdir()
            except OSError:  # something is in it, or it is gone
                return
            folder = folder.parent

    def _sweep(self) -> None:
        if not self._partial.is_dir():
            return
        for path in self._partial.iterdir():
            if time.time() - path.stat().st_mtime > ABANDONED:
                path.unlink(missing_ok=True)


def _walk(folder: Path, prefix: str, after: str) -> Iterator[str]:
    """The keys of all files below, in order, without folders in which all come before `after`."""
    try:
        with os.scandir(folder) as entries:
            found = sorted(prefix + entry.name + ("/" if entry.is_dir() else "") for entry in entries)
    except (FileNotFoundError, NotADirectoryError):
        return
    for key in found:
        if not key.endswith("/"):
            yield key
        elif key > after or after.startswith(key):
            yield from _walk(folder / key[len(prefix) : -1], key, after)


def _flush(folder: Path) -> None:
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:  # and with it what was in it: somebody has deleted that already
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unavailable(error: OSError, path: Path) -> BlobsUnavailable:
    return BlobsUnavailable(f"{path}: {error.strerror or error}")
