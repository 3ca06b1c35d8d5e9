"""Search among a user's vectors by looking at each with numpy, where the database has no such search."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, bindparam, func, select, tuple_

from engine.store._vector_cache import Block, Key, VectorCache
from engine.store.tables import vector_labels, vector_versions, vectors
from engine.store.vector_records import VectorFilter, VectorHit

__all__ = ["scan"]

BLOCK = 4096

# Made once: each search begins with it, and building it takes longer than running it.
_VERSION = select(vector_versions.c.version).where(
    vector_versions.c.uid == bindparam("uid"), vector_versions.c.kind == bindparam("kind")
)


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
    hits: list[VectorHit] = []
    for block in _blocks(connection, cache, key):
        hits += _nearest(block, unit, k, filter, matches)
        hits = sorted(hits, key=lambda hit: (-hit.score, -hit.created_at, hit.id))[:k]
    return hits


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
    version = connection.execute(_VERSION, {"uid": uid, "kind": kind}).scalar()
    if version is None:
        return
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
    cache.put(key, version, read, size)


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


def _nearest(
    block: Block, unit: NDArray[np.float32], k: int, filter: VectorFilter, matches: dict[str, int] | None
) -> Iterator[VectorHit]:
    """The `k` best of a block and all that are as good as the last of them, in no order."""
    scores = block.matrix @ unit
    places = _wanted(block, filter, matches)
    if len(places) > k:
        wanted = scores[places]
        places = places[wanted >= np.partition(wanted, len(wanted) - k)[len(wanted) - k]]
    for place in places:
        id = block.ids[place]
        found = matches[id] if matches is not None else 0
        yield VectorHit(id, float(scores[place]), int(block.created_at[place]), found)


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
