"""Search among a user's vectors by looking at each with numpy, where the database has no such search."""

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Dialect, bindparam, func, select, tuple_

from engine.store._vector_cache import Block, Key, VectorCache
from engine.store.prepared import PreparedQuery
from engine.store.tables import vector_labels, vector_versions, vectors
from engine.store.vector_records import VectorFilter, VectorHit

__all__ = ["scan"]

BLOCK = 4096


@lru_cache(maxsize=8)
def _version(dialect: Dialect) -> PreparedQuery:
    of = vector_versions.c
    query = select(of.version).where(of.uid == bindparam("uid"), of.kind == bindparam("kind"))
    return PreparedQuery(query, dialect)


class _Best:
    """The `k` best so far and all that are as good as the last of them, in no order."""

    def __init__(self, k: int) -> None:
        self._k = k
        self._ids: list[str] = []
        self._scores = np.empty(0, np.float32)
        self._created_at = np.empty(0, np.int64)

    def add(self, block: Block, scores: NDArray[np.float32], places: NDArray[np.intp]) -> None:
        """Those of a block that are at `places`; `scores` are of all of it."""
        places = places[_best(scores[places], self._k)]
        ids = self._ids + [block.ids[place] for place in places.tolist()]
        together = np.concatenate((self._scores, scores[places]))
        kept = _best(together, self._k)
        self._ids = [ids[place] for place in kept.tolist()]
        self._scores = together[kept]
        self._created_at = np.concatenate((self._created_at, block.created_at[places]))[kept]

    def hits(self, matches: dict[str, int] | None) -> list[VectorHit]:
        """Best first; of equally good ones newer first."""
        found = zip(self._ids, self._scores.tolist(), self._created_at.tolist(), strict=True)
        hits = [
            VectorHit(id, score, created_at, matches[id] if matches is not None else 0)
            for id, score, created_at in found
        ]
        return sorted(hits, key=lambda hit: (-hit.score, -hit.created_at, hit.id))[: self._k]


def _best(scores: NDArray[np.float32], k: int) -> NDArray[np.intp]:
    """Places of the `k` highest and of all that are as high as the last of them."""
    if len(scores) <= k:
        return np.arange(len(scores))
    return np.flatnonzero(scores >= np.partition(scores, len(scores) - k)[len(scores) - k])


def scan(
    connection: Connection,
    cache: VectorCache,
    key: Key,
    unit: NDArray[np.float32],
    k: int,
    filter: VectorFilter,
) -> list[VectorHit]:
    """The `k` nearest to `unit` of the vectors of `key`, from `cache` or the database."""
    matches = _matching(connection, key, filter.labels) if filter.labels else None
    if matches == {}:
        return []
    best = _Best(k)
    for block in _blocks(connection, cache, key):
        best.add(block, block.matrix @ unit, _wanted(block, filter, matches))
    return best.hits(matches)


def _matching(connection: Connection, key: Key, labels: frozenset[tuple[str, str]]) -> dict[str, int]:
    """How many of `labels` each vector has that has any."""
    uid, kind, _, _ = key
    table = vector_labels
    query = (
        select(table.c.id, func.count().label("matched"))
        .where(table.c.uid == uid, table.c.kind == kind, tuple_(table.c.what, table.c.label).in_(labels))
        .group_by(table.c.id)
    )
    return {row.id: row.matched for row in connection.execute(query)}


def _blocks(connection: Connection, cache: VectorCache, key: Key) -> Iterator[Block]:
    """All vectors of `key`, from the cache or the database; kept in the cache if they fit."""
    uid, kind, _, _ = key
    rows = _version(connection.dialect).rows(connection, {"uid": uid, "kind": kind})
    if not rows:
        return
    version = rows[0][0]
    kept = cache.get(key, version)
    if kept is not None:
        yield from kept
        return
    read: list[Block] = []
    size = 0
    for block in _read(connection, key):
        yield block
        size += block.size
        if size > cache.limit:
            read.clear()
        else:
            read.append(block)
    cache.put(key, version, [_joined(read)] if read else read, size)


def _joined(blocks: Sequence[Block]) -> Block:
    """One block of all: each that is looked at takes a fifth of a millisecond."""
    return Block(
        [id for block in blocks for id in block.ids],
        np.concatenate([block.created_at for block in blocks]),
        np.concatenate([block.matrix for block in blocks]),
    )


def _read(connection: Connection, key: Key) -> Iterator[Block]:
    uid, kind, model, dimensions = key
    query = select(vectors.c.id, vectors.c.created_at, vectors.c.vector).where(
        vectors.c.uid == uid,
        vectors.c.kind == kind,
        vectors.c.model == model,
        func.length(vectors.c.vector) == 2 * dimensions,
    )
    for rows in connection.execute(query.execution_options(yield_per=BLOCK)).partitions():
        ids, created_at, packed = zip(*rows, strict=True)
        halves = np.frombuffer(b"".join(packed), "<f2").reshape(len(ids), dimensions)
        yield Block(list(ids), np.array(created_at, np.int64), halves.astype(np.float32))


def _wanted(block: Block, filter: VectorFilter, matches: dict[str, int] | None) -> NDArray[np.intp]:
    """Places of the vectors that the filter lets through."""
    wanted = np.ones(len(block.ids), np.bool_)
    if filter.start is not None:
        wanted &= block.created_at >= filter.start
    if filter.end is not None:
        wanted &= block.created_at <= filter.end
    if matches is not None:
        wanted &= np.fromiter((id in matches for id in block.ids), np.bool_, len(wanted))
    return np.flatnonzero(wanted)
