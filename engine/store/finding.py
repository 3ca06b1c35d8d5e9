"""Which of a user's conversations are nearest in meaning, less those that no search may show, in one snapshot.

Operations: `among` gives what `engine.store.vectors` gives of conversations, but for what is hidden, locked, deleted or
outside a `TextFilter`; in the same turn it reads those whole that are chosen, and has something made of them.
Bounded: at most `WHOLE_LIMIT` are read whole. Cost: one read transaction where one after the other takes three.
"""

from collections.abc import Callable, Sequence
from typing import Generic, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from engine.store.database import Database
from engine.store.texts import TextFilter, hidden
from engine.store.vector_records import VectorFilter, VectorHit, VectorKind
from engine.store.vectors import Vectors
from engine.store.whole import Whole, some_wholes

__all__ = ["Choose", "Finding", "VisibleVectors"]

T = TypeVar("T")

Choose: TypeAlias = Callable[[Sequence[VectorHit]], Sequence[str]]
"""The ids of those to be read whole, hits or others; called in a thread."""


class VisibleVectors(Generic[T]):
    """The vectors of conversations that a search may show; `made` is made of those that its last query chose.

    There is none before the first query.
    """

    made: T

    def __init__(
        self,
        database: Database,
        vectors: Vectors,
        scope: TextFilter,
        choose: Choose,
        make: Callable[[Sequence[Whole]], T],
    ) -> None:
        self._database = database
        self._vectors = vectors
        self._scope = scope
        self._choose = choose
        self._make = make

    async def query_vectors(
        self,
        uid: str,
        kind: VectorKind,
        model: str,
        vector: NDArray[np.float32],
        k: int,
        filter: VectorFilter | None = None,
    ) -> list[VectorHit]:
        """As `Vectors.query_vectors`, of the `k` nearest only what may be shown.

        Raises `ValueError` also when more than `WHOLE_LIMIT` are chosen.
        """
        asked = uid, kind, model, vector, k, filter or VectorFilter()
        hits, self.made = await self._database.read(self._query, *asked)
        return hits

    def _query(
        self,
        connection: Connection,
        uid: str,
        kind: VectorKind,
        model: str,
        vector: NDArray[np.float32],
        k: int,
        filter: VectorFilter,
    ) -> tuple[list[VectorHit], T]:
        hits = self._vectors.nearest(connection, uid, kind, model, vector, k, filter)
        if (self._scope.start, self._scope.end) != (None, None):
            hits = [hit for hit in hits if self._in_time(hit)]
        unseen = hidden(connection, uid, [hit.id for hit in hits], self._scope.include_discarded)
        hits = [hit for hit in hits if hit.id not in unseen]
        chosen = self._choose(hits)
        return hits, self._make(some_wholes(connection, uid, chosen) if chosen else [])

    def _in_time(self, hit: VectorHit) -> bool:
        start, end = self._scope.start, self._scope.end
        return (start is None or hit.created_at >= start) and (end is None or hit.created_at <= end)


class Finding:
    """All users' conversations, by meaning."""

    def __init__(self, database: Database, vectors: Vectors) -> None:
        self._database = database
        self._vectors = vectors

    def among(
        self,
        scope: TextFilter,
        choose: Choose,
        make: Callable[[Sequence[Whole]], T],
    ) -> VisibleVectors[T]:
        """Those that `scope` lets through. Make one for each search.

        `make` is called in the thread that reads what was chosen: it must not block.
        """
        return VisibleVectors(self._database, self._vectors, scope, choose, make)
