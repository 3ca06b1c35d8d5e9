"""Search by meaning: the port to where vectors are kept, and how a question is put to it."""

from collections.abc import Collection, Sequence
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.conversation.embedding.port import Embedder
from engine.store.vector_records import VectorFilter, VectorHit, VectorKind, VectorRow
from engine.store.vectors import QUERY_LIMIT

__all__ = [
    "MEMORY_LIKENESS",
    "QUERY_LIMIT",
    "VectorQueries",
    "Vectors",
    "already_kept",
    "nearest_in_meaning",
    "search_by_meaning",
]

MEMORY_LIKENESS = 0.85
"""Cosine from which a memory says what another one says."""


class VectorQueries(Protocol):
    """Questions to vectors that are kept; every call names the owner. `engine.store.finding` implements it, too."""

    async def query_vectors(
        self,
        uid: str,
        kind: VectorKind,
        model: str,
        vector: NDArray[np.float32],
        k: int,
        filter: VectorFilter | None = None,
    ) -> list[VectorHit]:
        """The `k` of a user's vectors nearest to `vector`, nearest first."""
        ...


class Vectors(VectorQueries, Protocol):
    """Where vectors are kept; every call names the owner. `engine.store.vectors` implements it."""

    async def upsert_vector(self, row: VectorRow) -> None:
        """Keep a vector in the place of the one with its owner, kind and id, its labels likewise."""
        ...

    async def upsert_vectors(self, rows: Sequence[VectorRow]) -> None:
        """As `upsert_vector`, all in one transaction; of several rows of one id the last is kept."""
        ...

    async def delete_vector(self, uid: str, kind: VectorKind, ids: Collection[str]) -> int:
        """Remove these of a user's vectors; how many there were."""
        ...


async def search_by_meaning(
    vectors: VectorQueries,
    embedder: Embedder,
    uid: str,
    text: str,
    *,
    kind: VectorKind = "conversation",
    k: int = 5,
    filter: VectorFilter | None = None,
) -> list[VectorHit]:
    """The `k` of a user's that are nearest to `text` in meaning, best first.

    As `nearest_in_meaning`; raises also what `embedder` raises.
    """
    (vector,) = await embedder.embed([text])
    return await nearest_in_meaning(vectors, embedder.model, uid, vector, kind=kind, k=k, filter=filter)


async def nearest_in_meaning(
    vectors: VectorQueries,
    model: str,
    uid: str,
    vector: NDArray[np.float32],
    *,
    kind: VectorKind = "conversation",
    k: int = 5,
    filter: VectorFilter | None = None,
) -> list[VectorHit]:
    """The `k` of a user's that are nearest to what `model` made of a text, best first.

    With people, topics or entities in the filter, those that have more of them come first; when none has any, the
    search is made again without them. Raises `ValueError` as `query_vectors`.
    """
    filter = filter or VectorFilter()
    if filter.labels:
        found = await vectors.query_vectors(uid, kind, model, vector, QUERY_LIMIT, filter)
        if found:
            return sorted(found, key=lambda hit: (-hit.matches, -hit.score))[:k]
        filter = msgspec.structs.replace(filter, people=(), topics=(), entities=())
    return await vectors.query_vectors(uid, kind, model, vector, k, filter)


async def already_kept(
    vectors: Vectors, embedder: Embedder, uid: str, vector: NDArray[np.float32]
) -> str | None:
    """The id of a memory of the user that says the same as the one embedded as `vector`, or None."""
    nearest = await vectors.query_vectors(uid, "memory", embedder.model, vector, 1)
    return nearest[0].id if nearest and nearest[0].score >= MEMORY_LIKENESS else None
