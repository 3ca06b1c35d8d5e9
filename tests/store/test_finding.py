"""Conversations near in meaning that a search may show, over both databases."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from engine.store import Store, VectorFilter, VectorRow
from engine.store.texts import TextFilter
from engine.store.vector_records import VectorHit

from .making import NOW, opened

MODEL = "m"


def nothing(hits: Sequence[VectorHit]) -> Sequence[str]:
    """None is read whole."""
    return ()


async def keep(store: Store, id: str, *numbers: float, uid: str = "u1", **fields: Any) -> None:
    created_at = fields.pop("created_at", NOW)
    row = opened(id, uid, status="completed", created_at=created_at, **fields)
    await store.conversations.apply([row])
    vector = np.array(numbers, np.float32)
    await store.vectors.upsert_vector(
        VectorRow(
            uid=uid,
            kind="conversation",
            id=id,
            model=MODEL,
            created_at=created_at,
            vector=vector,
            people=("Marta",),
        )
    )


async def found(store: Store, filter: VectorFilter | None = None, uid: str = "u1", **scope: Any) -> list[str]:
    among = store.finding.among(TextFilter(**scope), nothing, list)
    vector = np.array((1, 0), np.float32)
    hits = await among.query_vectors(uid, "conversation", MODEL, vector, 10, filter)
    return [hit.id for hit in hits]


async def test_what_no_search_shows_is_left_out_and_the_order_stays(store: Store) -> None:
    await keep(store, "best", 1.0, 0.1)
    await keep(store, "locked", 1.0, 0.0, is_locked=True)
    await keep(store, "gone", 1.0, 0.0)
    await keep(store, "second", 1.0, 0.5)
    await keep(store, "bobs", 1.0, 0.0, uid="u2")
    await store.conversations.delete("u1", "gone")
    assert await found(store) == ["best", "second"]
    assert await found(store, VectorFilter(people=("marta",))) == ["best", "second"]
    assert await found(store, uid="u2") == ["bobs"]
    assert await found(store, uid="u3") == []


async def test_discarded_ones_and_other_times_are_left_out_where_that_is_asked_for(store: Store) -> None:
    await keep(store, "talk", 1.0, 0.1)
    await keep(store, "noise", 1.0, 0.2, discarded=True)
    await keep(store, "later", 1.0, 0.3, created_at=NOW + 10)
    assert await found(store) == ["talk", "noise", "later"]
    assert await found(store, include_discarded=False) == ["talk", "later"]
    assert await found(store, start=NOW + 5) == ["later"]
    assert await found(store, end=NOW) == ["talk", "noise"]


async def test_those_that_are_chosen_of_the_hits_are_read_whole_in_the_order_of_the_choice(
    store: Store,
) -> None:
    await keep(store, "first", 1.0, 0.1)
    await keep(store, "second", 1.0, 0.2)
    await keep(store, "by words", 0.0, 1.0)

    def choose(hits: Sequence[VectorHit]) -> Sequence[str]:
        return ["by words", hits[1].id, "nowhere"]

    among = store.finding.among(TextFilter(), choose, list)
    vector = np.array((1, 0), np.float32)
    await among.query_vectors("u1", "conversation", MODEL, vector, 2)
    assert [whole.row.id for whole in among.made] == ["by words", "second"]


async def test_a_wrong_vector_is_refused(store: Store) -> None:
    zero = np.zeros(2, np.float32)
    with pytest.raises(ValueError, match="vector"):
        await store.finding.among(TextFilter(), nothing, list).query_vectors(
            "u1", "conversation", MODEL, zero, 10
        )
