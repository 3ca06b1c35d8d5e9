"""Questions put to vectors, with the local model and a real database."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from engine.conversation.embedding.minilm import MiniLm
from engine.conversation.vector_search import already_kept, search_by_meaning
from engine.off_loop import worker_threads
from engine.store import Store, VectorFilter, VectorRow
from tests.databases import migrated

TEXTS = {
    "boat": ("Boat trip: they will meet at the harbour on Saturday.", ("Marta",), ("boats",)),
    "tax": ("The quarterly tax return is due on Monday.", ("Bob",), ("money",)),
    "pie": ("A recipe for apple pie with cinnamon.", ("Marta",), ("cooking",)),
}


@pytest.fixture(scope="module")
def minilm() -> MiniLm:
    return trio.run(MiniLm.open, worker_threads(1))


@pytest.fixture
async def embedder(minilm: MiniLm) -> MiniLm:
    """The same network with threads of this test's run."""
    return MiniLm(minilm._network, worker_threads(1))


@pytest.fixture
async def store(tmp_path: Path, embedder: MiniLm) -> AsyncIterator[Store]:
    store = await Store.open(migrated(tmp_path), trio.to_thread.run_sync)
    vectors = await embedder.embed([text for text, _, _ in TEXTS.values()])
    await store.vectors.upsert_vectors(
        [
            VectorRow(
                uid="u1",
                kind="conversation",
                id=id,
                model=embedder.model,
                created_at=number,
                vector=vector,
                people=people,
                topics=topics,
            )
            for number, ((id, (_, people, topics)), vector) in enumerate(
                zip(TEXTS.items(), vectors, strict=True)
            )
        ]
    )
    yield store
    await store.close()


async def test_the_right_one_is_found_by_words_that_are_not_in_it(store: Store, embedder: MiniLm) -> None:
    for question, id in (
        ("sailing excursion", "boat"),
        ("what do I owe the state?", "tax"),
        ("baking a dessert", "pie"),
    ):
        hits = await search_by_meaning(store.vectors, embedder, "u1", question, k=2)
        assert [hits[0].id, len(hits)] == [id, 2]
        assert hits[0].score > hits[1].score + 0.1


async def test_more_of_the_people_and_topics_asked_for_come_first(store: Store, embedder: MiniLm) -> None:
    asked = VectorFilter(people=("marta",), topics=("cooking",))
    hits = await search_by_meaning(store.vectors, embedder, "u1", "sailing excursion", filter=asked)
    assert [(hit.id, hit.matches) for hit in hits] == [("pie", 2), ("boat", 1)]


async def test_people_nobody_spoke_of_do_not_hide_what_there_is(store: Store, embedder: MiniLm) -> None:
    asked = VectorFilter(people=("Zaphod",), start=1)
    hits = await search_by_meaning(store.vectors, embedder, "u1", "sailing excursion", filter=asked)
    assert sorted(hit.id for hit in hits) == ["pie", "tax"]


async def test_a_memory_that_says_the_same_is_known(store: Store, embedder: MiniLm) -> None:
    texts = ["Anna is allergic to shellfish", "Anna has a shellfish allergy", "Anna works as a nurse"]
    first, same, other = await embedder.embed(texts)
    memory = VectorRow(uid="u1", kind="memory", id="m1", model=embedder.model, created_at=0, vector=first)
    assert await already_kept(store.vectors, embedder, "u1", same) is None
    await store.vectors.upsert_vector(memory)
    assert await already_kept(store.vectors, embedder, "u1", same) == "m1"
    assert await already_kept(store.vectors, embedder, "u1", other) is None
    assert await already_kept(store.vectors, embedder, "u2", same) is None
