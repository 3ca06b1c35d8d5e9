"""Vectors in the database, and exact search among them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.store import Store, VectorFilter, VectorHit, VectorRow, Vectors
from engine.store import _vector_scan as module

from .conftest import on_sqlite
from .making import NOW

MODEL = "m"
HALF = 2e-3
"""What half precision may change a score by, twice."""


def vector(*numbers: float) -> NDArray[np.float32]:
    return np.array(numbers, np.float32)


def row(id: str, *numbers: float, **changes: Any) -> VectorRow:
    values: dict[str, Any] = {
        "uid": "u1",
        "kind": "conversation",
        "model": MODEL,
        "created_at": NOW,
    } | changes
    return VectorRow(id=id, vector=vector(*(numbers or (1.0, 0.0))), **values)


async def found(store: Store, *numbers: float, k: int = 10, **changes: Any) -> list[str]:
    """Ids nearest to a vector, of u1's conversations unless `changes` say otherwise."""
    of = {"uid": "u1", "kind": "conversation", "model": MODEL} | {
        name: changes.pop(name) for name in ("uid", "kind", "model") if name in changes
    }
    filter = VectorFilter(**changes)
    hits = await store.vectors.query_vectors(
        **of, vector=vector(*(numbers or (1.0, 0.0))), k=k, filter=filter
    )
    return [hit.id for hit in hits]


async def test_the_nearest_come_first_with_their_cosine(store: Store) -> None:
    await store.vectors.upsert_vectors(
        [row("far", 0, 3), row("near", 5, 0), row("between", 1, 1), row("other", -1, 0)]
    )
    hits = await store.vectors.query_vectors("u1", "conversation", MODEL, vector(2, 0), 3)
    assert [hit.id for hit in hits] == ["near", "between", "far"]
    assert [hit.score for hit in hits] == pytest.approx([1, 0.7071, 0], abs=1e-3)
    assert hits[0] == VectorHit("near", hits[0].score, NOW, 0)


async def test_a_vector_takes_the_place_of_the_one_before_with_its_labels(store: Store) -> None:
    await store.vectors.upsert_vector(row("a", 1, 0, people=("Marta", "MARTA"), topics=("boats",)))
    await store.vectors.upsert_vectors([row("a", 0, 1), row("a", 0, -1, people=("Bob",), created_at=NOW + 5)])
    (hit,) = await store.vectors.query_vectors("u1", "conversation", MODEL, vector(0, -1), 9)
    assert hit.score == pytest.approx(1)
    assert hit.created_at == NOW + 5
    assert await found(store, people=("Marta",)) == []
    assert await found(store, people=("bob",)) == ["a"]


async def test_users_kinds_models_and_lengths_are_searched_apart(store: Store) -> None:
    await store.vectors.upsert_vectors(
        [
            row("mine"),
            row("theirs", uid="u2"),
            row("memory", kind="memory"),
            row("older", model="before"),
            row("longer", 1, 0, 0),
        ]
    )
    assert await found(store) == ["mine"]
    assert await found(store, uid="u2") == ["theirs"]
    assert await found(store, kind="memory") == ["memory"]
    assert await found(store, model="before") == ["older"]
    assert await found(store, 1, 0, 0) == ["longer"]
    assert await found(store, uid="nobody") == []


async def test_filters_are_any_of_the_labels_and_all_of_the_time(store: Store) -> None:
    await store.vectors.upsert_vectors(
        [
            row("a", people=("Marta",), topics=("boats",), created_at=NOW),
            row("b", 1, 0.1, people=("Bob",), entities=("Boats",), created_at=NOW + 10),
            row("c", 1, 0.2, topics=("taxes",), created_at=NOW + 20),
        ]
    )
    assert await found(store, topics=("BOATS",)) == ["a"]
    assert await found(store, people=("marta", "bob")) == ["a", "b"]
    assert await found(store, people=("marta",), topics=("taxes",)) == ["a", "c"]
    assert await found(store, start=NOW + 10) == ["b", "c"]
    assert await found(store, end=NOW + 10) == ["a", "b"]
    assert await found(store, start=NOW + 1, end=NOW + 19) == ["b"]
    assert await found(store, start=NOW + 1, people=("marta",)) == []
    assert await found(store, people=("nobody",)) == []
    filter = VectorFilter(people=("Marta",), topics=("boats", "taxes"))
    hits = await store.vectors.query_vectors("u1", "conversation", MODEL, vector(1, 0), 9, filter)
    assert {hit.id: hit.matches for hit in hits} == {"a": 2, "c": 1}


async def test_what_is_deleted_is_found_no_more(store: Store) -> None:
    await store.vectors.upsert_vectors([row("a", people=("Bob",)), row("b"), row("a", uid="u2")])
    assert await found(store) == ["a", "b"]
    assert await store.vectors.delete_vector("u1", "conversation", ["a", "never there"]) == 1
    assert await found(store) == ["b"]
    assert await found(store, people=("Bob",)) == []
    assert await found(store, uid="u2") == ["a"]
    await store.vectors.delete_user("u2")
    assert await found(store, uid="u2") == []


async def test_of_equally_near_ones_newer_come_first(store: Store) -> None:
    await store.vectors.upsert_vectors([row(f"{n}", created_at=NOW + n % 3) for n in range(6)])
    assert await found(store, k=4) == ["2", "5", "1", "4"]


@pytest.mark.parametrize("numbers", [(), (0.0, 0.0), (float("nan"), 1.0), (float("inf"), 1.0)])
async def test_vectors_that_point_nowhere_are_refused(store: Store, numbers: tuple[float, ...]) -> None:
    bad = VectorRow(
        uid="u1", kind="memory", id="a", model=MODEL, created_at=NOW, vector=np.array(numbers, np.float32)
    )
    with pytest.raises(ValueError, match="one row of finite numbers"):
        await store.vectors.upsert_vector(bad)
    with pytest.raises(ValueError, match="one row of finite numbers"):
        await store.vectors.query_vectors("u1", "memory", MODEL, bad.vector, 1)


async def test_bounds_are_named(store: Store) -> None:
    with pytest.raises(ValueError, match="k: 0 given, 1 to 1000"):
        await found(store, k=0)
    with pytest.raises(ValueError, match="1001 people"):
        await found(store, people=tuple(map(str, range(1001))))


# The cache, which PostgreSQL does not need: it searches where the vectors are.


@on_sqlite
async def test_a_second_search_reads_no_vectors_and_a_write_anywhere_is_seen(
    store: Store, tmp_path: Path, clock: Callable[[], int], database_url: str
) -> None:
    await store.vectors.upsert_vector(row("a"))
    assert await found(store) == await found(store) == ["a"]
    statistics = store.vectors.statistics()
    assert (statistics.misses, statistics.hits, statistics.entries) == (1, 1, 1)
    # As another process would.
    other = await Store.open(tmp_path, trio.to_thread.run_sync, url=database_url, now=clock)
    await other.vectors.upsert_vector(row("b", 1, 0.1))
    assert await found(store) == ["a", "b"]
    await other.vectors.delete_user("u1")
    assert await found(store) == []
    await other.vectors.upsert_vector(row("c"))
    await other.close()
    assert await found(store) == ["c"]


@on_sqlite
async def test_memory_stays_within_its_limit(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK", 4)
    rng = np.random.default_rng(1)
    rows = [
        row(f"{n}", *rng.standard_normal(32), uid=f"u{user}")
        for user in range(3)
        for n in range(10 + 30 * (user == 2))
    ]
    await store.vectors.upsert_vectors(rows)
    one = 10 * (32 * 4 + 8 + 120)
    small = Vectors(store._database, cache_limit=2 * one)
    for uid, kept, refused in (("u0", 1, 0), ("u1", 2, 0), ("u0", 2, 0), ("u2", 2, 1)):
        hits = await small.query_vectors(uid, "conversation", MODEL, rows[0].vector, 40)
        assert len(hits) == (40 if uid == "u2" else 10)
        statistics = small.statistics()
        assert (statistics.entries, statistics.refused) == (kept, refused)
        assert statistics.size == kept * one <= small._cache.limit
    none = Vectors(store._database, cache_limit=0)
    assert len(await none.query_vectors("u0", "conversation", MODEL, rows[0].vector, 5)) == 5
    assert none.statistics().size == 0


@on_sqlite
async def test_those_searched_longest_ago_leave_first(store: Store) -> None:
    await store.vectors.upsert_vectors([row("a", uid=f"u{n}") for n in range(3)])
    small = Vectors(store._database, cache_limit=2 * (8 + 8 + 120))
    for uid in ("u0", "u1", "u0", "u2", "u0", "u1"):
        await small.query_vectors(uid, "conversation", MODEL, vector(1, 0), 1)
    assert (small.statistics().hits, small.statistics().misses) == (2, 4)


async def test_postgresql_searches_by_itself_and_nothing_is_kept_in_memory(
    store: Store, database_url: str
) -> None:
    await store.vectors.upsert_vector(row("a"))
    assert await found(store) == ["a"]
    statistics = store.vectors.statistics()
    assert statistics.misses == (0 if database_url else 1)
    assert (statistics.size == 0) == bool(database_url)


# Against a slow and obvious model.

coordinates = st.tuples(*[st.integers(-3, 3)] * 3).filter(any)
labels = st.lists(st.sampled_from(["anna", "Bob", "boats", "BOATS"]), max_size=2).map(tuple)
rows = st.builds(
    lambda id, numbers, at, people, topics: row(id, *numbers, created_at=at, people=people, topics=topics),
    st.sampled_from("abcdefgh"),
    coordinates,
    st.integers(0, 5),
    labels,
    labels,
)
writes = st.lists(st.lists(rows, max_size=6) | st.sets(st.sampled_from("abcdefgh"), max_size=3), max_size=6)
filters = st.builds(
    VectorFilter,
    start=st.none() | st.integers(0, 5),
    end=st.none() | st.integers(0, 5),
    people=labels,
    topics=labels,
)


def slowly(kept: dict[str, VectorRow], numbers: tuple[int, ...], filter: VectorFilter) -> dict[str, float]:
    """Scores of all that the filter lets through."""
    scores = {}
    wanted = {("people", name.lower()) for name in filter.people} | {
        ("topics", t.lower()) for t in filter.topics
    }
    for id, one in kept.items():
        has = {("people", name.lower()) for name in one.people} | {("topics", t.lower()) for t in one.topics}
        within = (filter.start is None or one.created_at >= filter.start) and (
            filter.end is None or one.created_at <= filter.end
        )
        if within and (not wanted or wanted & has):
            exact = one.vector.astype(float)
            scores[id] = float(exact @ numbers / np.linalg.norm(exact) / np.linalg.norm(numbers))
    return scores


@settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    deadline=None,
)
@given(writes, coordinates, filters, st.integers(1, 5), st.sampled_from([0, 1 << 20]))
async def test_search_is_what_looking_at_every_vector_gives(
    store: Store,
    writes: list[Any],
    numbers: tuple[int, ...],
    filter: VectorFilter,
    k: int,
    limit: int,
) -> None:
    await store.vectors.delete_user("u1")
    searched = Vectors(store._database, cache_limit=limit)
    kept: dict[str, VectorRow] = {}
    for write in [*writes, []]:
        if isinstance(write, set):
            assert await searched.delete_vector("u1", "conversation", write) == len(write & kept.keys())
            kept = {id: one for id, one in kept.items() if id not in write}
        else:
            await searched.upsert_vectors(write)
            kept |= {one.id: one for one in write}
        hits = await searched.query_vectors("u1", "conversation", MODEL, vector(*numbers), k, filter)
        scores = slowly(kept, numbers, filter)
        assert len(hits) == min(k, len(scores))
        assert all(abs(hit.score - scores[hit.id]) < HALF for hit in hits)
        left = [score for id, score in scores.items() if id not in {hit.id for hit in hits}]
        assert not left or max(left) <= min(hit.score for hit in hits) + HALF
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


async def test_blocks_join_to_one_answer(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK", 7)
    rng = np.random.default_rng(2)
    many = [row(f"{n}", *rng.standard_normal(8)) for n in range(40)]
    await store.vectors.upsert_vectors(many)
    question = rng.standard_normal(8).astype(np.float32)
    hits = await store.vectors.query_vectors("u1", "conversation", MODEL, question, 12)
    unit = {one.id: one.vector / np.linalg.norm(one.vector) for one in many}
    best = sorted(unit, key=lambda id: -float(unit[id] @ question))[:12]
    assert [hit.id for hit in hits] == best
