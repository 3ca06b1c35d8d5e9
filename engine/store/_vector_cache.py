"""Vectors of those who search, kept in memory between searches; least recently searched first out."""

import threading
from collections import OrderedDict

import msgspec
import numpy as np
from numpy.typing import NDArray

__all__ = ["Block", "CacheStatistics", "Key", "VectorCache"]

Key = tuple[str, str, str, int]
"""Owner, kind, model and numbers of a vector: vectors that are searched together."""

ROW_OVERHEAD = 120
"""Bytes of an id and its place in lists; the vectors themselves are counted exactly."""


class Block(msgspec.Struct, frozen=True, eq=False):
    """Thousands of vectors: `ids`, `created_at` (µs) and the rows of `matrix` go together."""

    ids: list[str]
    created_at: NDArray[np.int64]
    matrix: NDArray[np.float32]

    @property
    def size(self) -> int:
        """Bytes."""
        return self.matrix.nbytes + self.created_at.nbytes + ROW_OVERHEAD * len(self.ids)


class CacheStatistics(msgspec.Struct, frozen=True):
    """`hits` and `misses` are searches; `refused` were too large to keep."""

    entries: int
    size: int
    hits: int
    misses: int
    refused: int


class VectorCache:
    """Bounded by `limit` bytes in all. Its methods may be called from any thread and take microseconds.

    What is kept under a version is given only for that version: a write anywhere, in whatever process, changes the
    version in the database and with it makes what is kept here worthless.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._kept: OrderedDict[Key, tuple[int, list[Block], int]] = OrderedDict()
        self._lock = threading.Lock()
        self._size = 0
        self._hits = 0
        self._misses = 0
        self._refused = 0

    def get(self, key: Key, version: int) -> list[Block] | None:
        """The blocks as of `version`, or None."""
        with self._lock:
            kept = self._kept.get(key)
            if kept is None or kept[0] != version:
                self._misses += 1
                self._drop(key)
                return None
            self._hits += 1
            self._kept.move_to_end(key)
            return kept[1]

    def put(self, key: Key, version: int, blocks: list[Block], size: int) -> None:
        """Keep `blocks` of `size` bytes if that is within the limit, dropping what was not searched for longest."""
        with self._lock:
            self._drop(key)
            if size > self.limit:
                self._refused += 1
                return
            self._kept[key] = (version, blocks, size)
            self._size += size
            while self._size > self.limit:
                self._drop(next(iter(self._kept)))

    def statistics(self) -> CacheStatistics:
        """What it holds, and how often that was of use."""
        with self._lock:
            return CacheStatistics(len(self._kept), self._size, self._hits, self._misses, self._refused)

    def _drop(self, key: Key) -> None:
        kept = self._kept.pop(key, None)
        self._size -= kept[2] if kept else 0
