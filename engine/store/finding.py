"""Which of a user's conversations are nearest in meaning, less those that no search may show, in one snapshot.

Operations: `among` gives what `engine.store.vectors` gives of conversations, but for what is hidden, locked, deleted or
outside a `TextFilter`. Cost: one read transaction where asking one after the other takes two.
"""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from engine.store.database import Database
from engine.store.texts import TextFilter, visible
from engine.store.vector_records import VectorFilter, VectorHit, VectorKind
from engine.store.vectors import Vectors

__all__ = ["Finding", "VisibleVectors"]


class VisibleVectors(msgspec.Struct, frozen=True):
    """The vectors of conversations that a search may show."""

    database: Database
    vectors: Vectors
    scope: TextFilter

    async def query_vectors(
        self,
        uid: str,
        kind: VectorKind,
        model: str,
        vector: NDArray[np.float32],
        k: int,
        filter: VectorFilter | None = None,
    ) -> list[VectorHit]:
        """As `Vectors.query_vectors`, of the `k` nearest only what may be shown."""
        return await self.database.read(self._query, uid, kind, model, vector, k, filter or VectorFilter())

    def _query(
        self,
        connection: Connection,
        uid: str,
        kind: VectorKind,
        model: str,
        vector: NDArray[np.float32],
        k: int,
        filter: VectorFilter,
    ) -> list[VectorHit]:
        hits: Sequence[VectorHit] = self.vectors.nearest(connection, uid, kind, model, vector, k, filter)
        seen = visible(connection, uid, [hit.id for hit in hits], self.scope) if hits else set()
        return [hit for hit in hits if hit.id in seen]


class Finding:
    """All users' conversations, by meaning."""

    def __init__(self, database: Database, vectors: Vectors) -> None:
        self._database = database
        self._vectors = vectors

    def among(self, scope: TextFilter) -> VisibleVectors:
        """Those that `scope` lets through."""
        return VisibleVectors(self._database, self._vectors, scope)
