"""Search among a user's vectors where PostgreSQL keeps them: pgvector looks at each and gives the nearest."""

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Double, Label, func, literal, select, tuple_

from engine.store._half_vector import HalfVector
from engine.store._vector_cache import Key
from engine.store.tables import vector_labels, vectors
from engine.store.vector_records import VectorFilter, VectorHit

__all__ = ["search"]


def search(
    connection: Connection, key: Key, unit: NDArray[np.float32], k: int, filter: VectorFilter
) -> list[VectorHit]:
    """The `k` nearest to `unit` of the vectors of `key`. There is no index to make it less than exact."""
    uid, kind, model, dimensions = key
    of, labels = vectors.c, vector_labels.c
    score: Label[float] = (-of.vector.op("<#>", return_type=Double())(literal(unit, HalfVector))).label(
        "score"
    )
    terms = [
        of.uid == uid,
        of.kind == kind,
        of.model == model,
        func.vector_dims(of.vector) == dimensions,
    ]
    if filter.start is not None:
        terms.append(of.created_at >= filter.start)
    if filter.end is not None:
        terms.append(of.created_at <= filter.end)
    query = select(of.id, score, of.created_at, literal(0).label("matches"))
    if filter.labels:
        wanted = tuple_(labels.what, labels.label).in_(filter.labels)
        matching = (
            select(labels.id, func.count().label("matches"))
            .where(labels.uid == uid, labels.kind == kind, wanted)
            .group_by(labels.id)
            .subquery()
        )
        query = select(of.id, score, of.created_at, matching.c.matches).join(matching, matching.c.id == of.id)
    nearest = query.where(*terms).order_by(score.desc(), of.created_at.desc(), of.id).limit(k)
    return [VectorHit(*row) for row in connection.execute(nearest)]
