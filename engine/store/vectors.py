"""Vectors of conversations, memories and action items, and exact search among one user's.

Operations: `upsert_vector`, `upsert_vectors`, `delete_vector`, `delete_user`, `query_vectors`.
Invariants: every statement names the owner. A search compares vectors of one kind and one model only, sees one
snapshot, and looks at every vector: its answer is exact but for the rounding of what is kept (half precision: an
inner product is off by less than 0.001). PostgreSQL searches by itself, with pgvector; else numpy does.
Bounded: memory by twice the cache's limit and one block of vectors per search; whoever has more vectors than the cache
may hold is searched block by block from the database each time. An answer has at most `QUERY_LIMIT` hits.
Cancellation: a cancelled write may still take effect; calling again does no harm.
Cost: 768 bytes a vector of 384 numbers on disk, twice that in the cache. A search takes a read transaction, and 2 ms
for 10,000 cached vectors; the first after a write reads them again (`python -m bench vectors` gives the figures).
Known doubts: two searches of one user at the same moment, both after a write, read the vectors twice.
"""

import secrets
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Table, delete, insert

from engine.store._pgvector import search
from engine.store._vector_cache import CacheStatistics, VectorCache
from engine.store._vector_scan import scan
from engine.store.database import Database, upsert
from engine.store.tables import vector_labels, vector_versions, vectors
from engine.store.vector_records import VectorFilter, VectorHit, VectorKind, VectorRow

__all__ = [
    "CACHE_LIMIT",
    "QUERY_LIMIT",
    "VectorFilter",
    "VectorHit",
    "VectorKind",
    "VectorRow",
    "Vectors",
    "delete_vectors",
    "put_vectors",
]

QUERY_LIMIT = 1000
AT_ONCE = 4096
"""Ids in one DELETE."""
CACHE_LIMIT = 64 * 1024 * 1024


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
        await self._database.write(put_vectors, rows)

    async def delete_vector(self, uid: str, kind: VectorKind, ids: Collection[str]) -> int:
        """Remove these of a user's vectors; how many there were."""
        return await self._database.write(delete_vectors, uid, kind, tuple(ids))

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
        return await self._database.read(self.nearest, uid, kind, model, vector, k, filter or VectorFilter())

    def nearest(
        self,
        connection: Connection,
        uid: str,
        kind: VectorKind,
        model: str,
        vector: NDArray[np.float32],
        k: int,
        filter: VectorFilter,
    ) -> list[VectorHit]:
        """As `query_vectors`. For use in another's transaction."""
        if not 1 <= k <= QUERY_LIMIT:
            raise ValueError(f"k: {k} given, 1 to {QUERY_LIMIT} accepted")
        if len(filter.labels) > QUERY_LIMIT:
            raise ValueError(
                f"filter: {len(filter.labels)} people, topics and entities given, at most {QUERY_LIMIT} accepted"
            )
        unit = _unit(vector)
        key = (uid, kind, model, len(unit))
        if connection.dialect.name == "postgresql":
            return search(connection, key, unit, k, filter)
        return scan(connection, self._cache, key, unit, k, filter)


def _unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    given = np.asarray(vector, np.float64)
    norm = float(np.linalg.norm(given)) if given.ndim == 1 else 0.0
    if not (np.isfinite(norm) and norm > 0):
        raise ValueError(
            f"vector: shape {given.shape}, length {norm:g} given; one row of finite numbers, not all 0, accepted"
        )
    unit: NDArray[np.float32] = (given / norm).astype(np.float32)
    return unit


def put_vectors(connection: Connection, rows: Sequence[VectorRow]) -> None:
    """As `Vectors.upsert_vectors`. For use in another's transaction."""
    kept = {(row.uid, row.kind, row.id): (row, _unit(row.vector)) for row in rows}
    if kept:
        _upsert(connection, list(kept.values()))


def _upsert(connection: Connection, rows: Sequence[tuple[VectorRow, NDArray[np.float32]]]) -> None:
    values = [
        {
            "uid": row.uid,
            "kind": row.kind,
            "id": row.id,
            "model": row.model,
            "created_at": row.created_at,
            "vector": unit,
        }
        for row, unit in rows
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
        for what, label in row.labels
    ]
    if labels:
        connection.execute(insert(vector_labels), labels)


def delete_vectors(connection: Connection, uid: str, kind: VectorKind, ids: Sequence[str]) -> int:
    """As `Vectors.delete_vector`. For use in another's transaction."""
    _forget(connection, vector_labels, uid, kind, ids)
    removed = _forget(connection, vectors, uid, kind, ids)
    if removed:
        _change_version(connection, uid, kind)
    return removed


def _forget(connection: Connection, table: Table, uid: str, kind: str, ids: Sequence[str]) -> int:
    removed = 0
    for start in range(0, len(ids), AT_ONCE):
        some = ids[start : start + AT_ONCE]
        there = (table.c.uid == uid, table.c.kind == kind, table.c.id.in_(some))
        removed += connection.execute(delete(table).where(*there)).rowcount
    return removed


def _delete_user(connection: Connection, uid: str) -> None:
    for table in (vectors, vector_labels, vector_versions):
        connection.execute(delete(table).where(table.c.uid == uid))


def _change_version(connection: Connection, uid: str, kind: str) -> None:
    if connection.dialect.name == "postgresql":
        return  # nothing is kept in memory, and writers would wait for each other
    # Drawn, not counted: after a user's erasure no number may come again under which somebody kept vectors.
    version = secrets.randbits(62) + 1
    statement = upsert(connection.dialect.name, vector_versions).values(uid=uid, kind=kind, version=version)
    changed = statement.on_conflict_do_update(index_elements=["uid", "kind"], set_={"version": version})
    connection.execute(changed)
