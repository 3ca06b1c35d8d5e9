"""Vectors of conversations, memories and action items, and exact search among one user's.

Operations: `upsert_vector`, `upsert_vectors`, `delete_vector`, `delete_user`, `query_vectors`.
Invariants: every statement names the owner. A search compares vectors of one kind and one model only, sees one
snapshot, and looks at every vector: its answer is exact but for the rounding of what is kept (half precision: an
inner product is off by less than 0.001).
Bounded: memory by the cache's limit and one block of `BLOCK` vectors per search; whoever has more vectors than the
cache may hold is searched block by block from the database each time. An answer has at most `QUERY_LIMIT` hits.
Cancellation: a cancelled write may still take effect; calling again does no harm.
Cost: 768 bytes a vector of 384 numbers on disk, twice that in the cache. A search takes a read transaction, and 2 ms
for 10,000 cached vectors; the first after a write reads them again (`python -m bench vectors` gives the figures).
Known doubts: two searches of one user at the same moment, both after a write, read the vectors twice.
"""

import secrets
from collections.abc import Collection, Iterator, Sequence
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Table, bindparam, delete, func, insert, select, tuple_

from engine.store._vector_cache import Block, CacheStatistics, Key, VectorCache
from engine.store.database import Database, upsert
from engine.store.tables import vector_labels, vector_versions, vectors

__all__ = ["QUERY_LIMIT", "VectorFilter", "VectorHit", "VectorKind", "VectorRow", "Vectors"]

VectorKind = Literal["conversation", "memory", "action_item"]

QUERY_LIMIT = 1000
BLOCK = 4096
CACHE_LIMIT = 64 * 1024 * 1024

_LABELS = ("people", "topics", "entities")

# Made once: each search begins with it, and building it takes longer than running it.
_VERSION = select(vector_versions.c.version).where(
    vector_versions.c.uid == bindparam("uid"), vector_versions.c.kind == bindparam("kind")
)


class VectorRow(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A vector and what it is found by. `vector` may have any length above 0; it is kept with length 1.

    `created_at`: µs since the epoch, of what the vector stands for.
    """

    uid: str
    kind: VectorKind
    id: str
    model: str
    created_at: int
    vector: NDArray[np.float32]
    people: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    entities: tuple[str, ...] = ()


class VectorFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which vectors a search looks at.

    `start` and `end` (µs, both inclusive) bound `created_at`. Of people, topics and entities one at least must be the
    vector's, in whatever case; with none given there is no such condition.
    """

    start: int | None = None
    end: int | None = None
    people: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    entities: tuple[str, ...] = ()

    @property
    def labels(self) -> frozenset[tuple[str, str]]:
        """The wanted labels as they are kept: what they are, and in small letters."""
        return _labels(self)


class VectorHit(msgspec.Struct, frozen=True):
    """One found. `score` is the cosine; `matches` counts the filter's people, topics and entities that it has."""

    id: str
    score: float
    created_at: int
    matches: int


class Vectors:
    """All vectors of all users. `cache_limit`: bytes for the vectors of those who search."""

    def __init__(self, database: Database, cache_limit: int = CACHE_LIMIT) -> None:
        self._database = database
        self._cache = VectorCache(cache_limit)

    def statistics(self) -> CacheStatistics:
        """Of the cache."""
        return self._cache.statistics()

    async def upsert_vector(self, row: VectorRow) -> None:
        """Keep a vector in the place of the one with its owner, kind and id, its labels likewise.

        Raises `ValueError` for a vector that is empty, zero or not finite.
        """
        await self.upsert_vectors([row])

    async def upsert_vectors(self, rows: Sequence[VectorRow]) -> None:
        """As `upsert_vector`, all in one transaction; of several rows of one id the last is kept."""
        kept = {(row.uid, row.kind, row.id): (row, _packed(row)) for row in rows}
        if kept:
            await self._database.write(_upsert, list(kept.values()))

    async def delete_vector(self, uid: str, kind: VectorKind, ids: Collection[str]) -> int:
        """Remove these of a user's vectors; how many there were."""
        return await self._database.write(_delete, uid, kind, tuple(ids))

    async def delete_user(self, uid: str) -> None:
        """Remove all that is here of a user."""
        await self._database.write(_delete_user, uid)

    async def query_vectors(
        self,
        uid: str,
        kind: VectorKind,
        model: str,
        vector: NDArray[np.float32],
        k: int,
        filter: VectorFilter | None = None,
    ) -> list[VectorHit]:
        """The `k` of a user's vectors nearest to `vector`, nearest first; of equally near ones newer first.

        Raises `ValueError` for a `k` outside 1 to `QUERY_LIMIT`, for more labels, and for a vector as
        `upsert_vector` does.
        """
        if not 1 <= k <= QUERY_LIMIT:
            raise ValueError(f"k: {k} given, 1 to {QUERY_LIMIT} accepted")
        filter = filter or VectorFilter()
        if len(filter.labels) > QUERY_LIMIT:
            raise ValueError(
                f"filter: {len(filter.labels)} people, topics and entities given, at most {QUERY_LIMIT} accepted"
            )
        unit = _unit(vector)
        key = (uid, kind, model, len(unit))
        return await self._database.read(_query, self._cache, key, unit, k, filter)


def _unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    given = np.asarray(vector, np.float64)
    norm = float(np.linalg.norm(given)) if given.ndim == 1 else 0.0
    if not (np.isfinite(norm) and norm > 0):
        raise ValueError(
            f"vector: shape {given.shape}, length {norm:g} given; one row of finite numbers, not all 0, accepted"
        )
    unit: NDArray[np.float32] = (given / norm).astype(np.float32)
    return unit


def _packed(row: VectorRow) -> bytes:
    return _unit(row.vector).astype("<f2").tobytes()


def _labels(of: VectorRow | VectorFilter) -> frozenset[tuple[str, str]]:
    return frozenset((what, label.casefold()) for what in _LABELS for label in getattr(of, what))


def _upsert(connection: Connection, rows: Sequence[tuple[VectorRow, bytes]]) -> None:
    values = [
        {
            "uid": row.uid,
            "kind": row.kind,
            "id": row.id,
            "model": row.model,
            "created_at": row.created_at,
            "vector": packed,
        }
        for row, packed in rows
    ]
    statement = upsert(connection.dialect.name, vectors)
    new = {name: statement.excluded[name] for name in ("model", "created_at", "vector")}
    connection.execute(
        statement.on_conflict_do_update(index_elements=["uid", "kind", "id"], set_=new), values
    )
    owners: dict[tuple[str, str], list[str]] = {}
    for row, _ in rows:
        owners.setdefault((row.uid, row.kind), []).append(row.id)
    for (uid, kind), ids in owners.items():
        _forget(connection, vector_labels, uid, kind, ids)
        _change_version(connection, uid, kind)
    labels = [
        {"uid": row.uid, "kind": row.kind, "id": row.id, "what": what, "label": label}
        for row, _ in rows
        for what, label in _labels(row)
    ]
    if labels:
        connection.execute(insert(vector_labels), labels)


def _delete(connection: Connection, uid: str, kind: str, ids: Sequence[str]) -> int:
    _forget(connection, vector_labels, uid, kind, ids)
    removed = _forget(connection, vectors, uid, kind, ids)
    if removed:
        _change_version(connection, uid, kind)
    return removed


def _forget(connection: Connection, table: Table, uid: str, kind: str, ids: Sequence[str]) -> int:
    removed = 0
    for start in range(0, len(ids), BLOCK):
        some = ids[start : start + BLOCK]
        there = (table.c.uid == uid, table.c.kind == kind, table.c.id.in_(some))
        removed += connection.execute(delete(table).where(*there)).rowcount
    return removed


def _delete_user(connection: Connection, uid: str) -> None:
    for table in (vectors, vector_labels, vector_versions):
        connection.execute(delete(table).where(table.c.uid == uid))


def _change_version(connection: Connection, uid: str, kind: str) -> None:
    # Drawn, not counted: after a user's erasure no number may come again under which somebody kept vectors.
    version = secrets.randbits(62) + 1
    statement = upsert(connection.dialect.name, vector_versions).values(uid=uid, kind=kind, version=version)
    changed = statement.on_conflict_do_update(index_elements=["uid", "kind"], set_={"version": version})
    connection.execute(changed)


def _query(
    connection: Connection,
    cache: VectorCache,
    key: Key,
    unit: NDArray[np.float32],
    k: int,
    filter: VectorFilter,
) -> list[VectorHit]:
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
