"""Search over a real store, by words and with the real embedding model by meaning."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trio
from numpy.typing import NDArray

from engine.conversation.embedding.minilm import MiniLm
from engine.conversation.llm.port import LlmUnavailable
from engine.conversation.search import Search, _near
from engine.conversation.vector_search import search_by_meaning
from engine.off_loop import worker_threads
from engine.store import ConversationRow, SegmentsChanged, Store, VectorFilter, VectorKind, VectorRow, texts
from engine.store.errors import DatabaseUnavailable
from engine.store.user_records import ActionItemRow, MemoryRow
from engine.store.vector_records import VectorHit
from engine.wire import Segment
from tests.databases import migrated

SECOND = 1_000_000
TALKS = {
    "boat": "We meet at the harbour on Saturday and Marta brings the sails.",
    "tax": "The quarterly tax return is due on Monday, says the office.",
    "pie": "Marta has a recipe for apple pie with cinnamon.",
}
TOPICS = {"boat": ["boats"], "tax": ["money"], "pie": ["cooking"]}
PEOPLE = {"boat": ["Marta"], "tax": [], "pie": ["Marta"], "with-anna": ["Anna"], "with-ben": ["Ben"]}


class Silent:
    """A model that does not answer."""

    model = "silent"
    dimensions = 4

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        raise LlmUnavailable("no connection", "unreachable")


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
    for number, (id, said) in enumerate(TALKS.items()):
        await keep(store, embedder, id, said, at=number * SECOND)
    await keep(store, embedder, "theirs", TALKS["boat"], uid="u2")
    yield store
    await store.close()


async def keep(
    store: Store, embedder: MiniLm, id: str, said: str, *, uid: str = "u1", at: int = 0, **fields: Any
) -> None:
    people, topics = PEOPLE.get(id, []), TOPICS.get(id, [])
    row = ConversationRow(
        uid=uid,
        id=id,
        status="completed",
        created_at=at,
        started_at=at,
        finished_at=at,
        last_speech_at=at,
        timeout_seconds=120,
        labels={"people": people, "topics": topics},
        **fields,
    )
    await store.conversations.create(row)
    segment = Segment(id=f"{uid}-{id}", text=said, start=0, end=1)
    await store.conversations.apply([SegmentsChanged(uid, id, (segment,), at, at)])
    await store.texts.index(uid, id)
    await keep_vector(store, embedder, "conversation", id, said, uid, at, people, topics)


async def keep_vector(
    store: Store,
    embedder: MiniLm,
    kind: VectorKind,
    id: str,
    text: str,
    uid: str = "u1",
    at: int = 0,
    people: Sequence[str] = (),
    topics: Sequence[str] = (),
) -> None:
    (vector,) = await embedder.embed([text])
    row = VectorRow(
        uid=uid,
        kind=kind,
        id=id,
        model=embedder.model,
        created_at=at,
        vector=vector,
        people=tuple(people),
        topics=tuple(topics),
    )
    await store.vectors.upsert_vector(row)


async def ids(search: Search, text: str, uid: str = "u1", **how: Any) -> list[str]:
    return [found.row.id for found in await search.search_conversations(uid, text, **how)]


async def test_a_database_that_is_away_is_told_as_such(
    store: Store, embedder: MiniLm, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object, **__: object) -> None:
        raise DatabaseUnavailable("it is away")

    monkeypatch.setattr(store.texts, "search", away)
    with pytest.raises(DatabaseUnavailable, match="it is away"):
        await Search(store, lambda: embedder).search_conversations("u1", "harbour")


async def test_words_that_are_in_none_find_the_right_one_by_meaning(store: Store, embedder: MiniLm) -> None:
    search = Search(store, lambda: embedder)
    for question, id in (
        ("yachting weekend", "boat"),
        ("what do I owe the state?", "tax"),
        ("baking a dessert", "pie"),
    ):
        assert (await ids(search, question))[0] == id


async def test_what_is_first_by_words_and_by_meaning_is_first(store: Store, embedder: MiniLm) -> None:
    found = await Search(store, lambda: embedder).search_conversations("u1", "apple pie")
    assert found[0].row.id == "pie"
    assert found[0].score == pytest.approx(2 / 61)


async def test_meaning_decides_among_those_that_all_have_the_words(
    store: Store, embedder: MiniLm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(texts, "RANKED", 1)
    assert await ids(Search(store, lambda: None), "marta") == ["pie", "boat"]  # newest first
    hits = await search_by_meaning(store.vectors, embedder, "u1", "marta")
    near = [hit.id for hit in hits if hit.id != "tax"]
    assert (await ids(Search(store, lambda: embedder), "marta"))[:2] == near


def test_of_what_is_found_by_meaning_the_best_is_near_even_where_it_is_far() -> None:
    hits = [VectorHit("a", -0.1, 0, 0), VectorHit("b", -0.14, 0, 0), VectorHit("c", -0.2, 0, 0)]
    assert _near(hits) == ["a", "b"]
    assert _near([VectorHit("a", 0.8, 0, 0), VectorHit("b", 0.39, 0, 0)]) == ["a"]
    assert _near([]) == []


async def test_without_a_model_words_find_all_of_them_first_and_then_any(store: Store) -> None:
    search = Search(store, lambda: None)
    assert await ids(search, "recipe marta") == ["pie"]
    assert set(await ids(search, "marta and her submarine")) == {"boat", "pie"}
    assert await ids(search, "yachting") == []


async def test_a_model_that_does_not_answer_leaves_the_words(store: Store) -> None:
    assert await ids(Search(store, Silent), "recipe marta") == ["pie"]


async def test_only_what_comes_near_is_found_by_meaning(store: Store, embedder: MiniLm) -> None:
    assert await ids(Search(store, lambda: embedder), "quarterly tax return") == ["tax"]


async def test_people_topics_and_times_bound_what_is_found(store: Store, embedder: MiniLm) -> None:
    for search in (Search(store, lambda: embedder), Search(store, lambda: None)):
        for filter, expected in (
            (VectorFilter(topics=("Cooking",)), ["pie"]),
            (VectorFilter(end=0), ["boat"]),
            (VectorFilter(start=SECOND), ["pie"]),
            (VectorFilter(people=("Nobody",), end=0), ["boat"]),
        ):
            assert await ids(search, "marta", filter=filter) == expected


async def test_what_is_locked_discarded_or_somebody_elses_is_not_found(
    store: Store, embedder: MiniLm
) -> None:
    await keep(store, embedder, "locked", TALKS["boat"], is_locked=True)
    await keep(store, embedder, "dull", TALKS["boat"], discarded=True)
    for search in (Search(store, lambda: embedder), Search(store, lambda: None)):
        assert await ids(search, "harbour sails") == ["boat"]
        assert set(await ids(search, "harbour sails", include_discarded=True)) == {"boat", "dull"}
        assert await ids(search, "harbour sails", uid="u2") == ["theirs"]


async def test_the_limit_is_of_what_is_found(store: Store, embedder: MiniLm) -> None:
    assert len(await ids(Search(store, lambda: embedder), "marta", limit=1)) == 1


async def test_memories_and_action_items_are_found_by_meaning_or_by_their_words(
    store: Store, embedder: MiniLm
) -> None:
    said = {"m1": "Anna is allergic to shellfish", "m2": "Anna works as a nurse", "m3": "Anna eats lobster"}
    for number, (id, content) in enumerate(said.items()):
        wrong = False if id == "m3" else None
        row = MemoryRow(
            uid="u1", id=id, content=content, user_review=wrong, created_at=number, updated_at=number
        )
        await store.memories.put(row)
        await keep_vector(store, embedder, "memory", id, content, at=number)
    item = ActionItemRow(uid="u1", id="i1", description="Repaint the hull", created_at=5, updated_at=5)
    await store.action_items.put(item)
    await keep_vector(store, embedder, "action_item", "i1", item.description, at=5)

    meaning, words = Search(store, lambda: embedder), Search(store, lambda: None)
    first, *_ = await meaning.search_memories("u1", "which seafood is dangerous")
    assert first.row.id == "m1"
    assert [f.row.id for f in await words.search_memories("u1", "anna NURSE!")] == ["m2", "m1"]
    assert [f.row.id for f in await words.search_memories("u1", "anna", filter=VectorFilter(end=0))] == ["m1"]
    for search in (meaning, words):
        assert [f.row for f in await search.search_action_items("u1", "paint the hull")] == [item]
        assert await search.search_memories("u2", "anna") == []
    for search in (meaning, words):
        await store.memories.change("u1", "m2", {"is_locked": True})
        await store.action_items.change("u1", "i1", {"is_locked": True})
        assert "m2" not in [f.row.id for f in await search.search_memories("u1", "anna the nurse")]
        assert await search.search_action_items("u1", "paint the hull") == []


async def test_memories_and_action_items_are_those_of_a_time_and_of_the_people_spoken_with(
    store: Store, embedder: MiniLm
) -> None:
    for place, name in enumerate(("anna", "ben"), start=1):
        await keep(store, embedder, f"with-{name}", "A talk.")
        of: dict[str, Any] = {"uid": "u1", "conversation_id": f"with-{name}", "updated_at": place}
        fact = MemoryRow(id=f"m-{name}", content=f"Sails with {name}", created_at=place, **of)
        await store.memories.put(fact)
        to_do = ActionItemRow(
            id=f"i-{name}",
            description=f"Sail with {name}",
            created_at=9,
            due_at=10 * place,
            **of,
        )
        await store.action_items.put(to_do)
        await keep_vector(store, embedder, "memory", fact.id, fact.content, at=place, people=(name,))
        await keep_vector(store, embedder, "action_item", to_do.id, to_do.description, at=9, people=(name,))
    loose = ActionItemRow(uid="u1", id="loose", description="Sail alone", created_at=9, updated_at=9)
    await store.action_items.put(loose)
    await keep_vector(store, embedder, "action_item", "loose", loose.description, at=9)

    for search in (Search(store, lambda: embedder), Search(store, lambda: None)):

        async def found(text: str, **asked: Any) -> set[str]:
            filter = VectorFilter(**asked)
            items = await search.search_action_items("u1", text, filter=filter)  # noqa: B023
            facts = await search.search_memories("u1", text, filter=filter)  # noqa: B023
            return {one.row.id for one in items} | {one.row.id for one in facts}

        assert await found("sail sails", end=10) == {"i-anna", "loose", "m-anna", "m-ben"}
        assert await found("sail sails", start=2, end=9) == {"loose", "m-ben"}
        assert await found("sail sails", people=("ANNA",)) == {"i-anna", "m-anna"}
        assert await found("sail sails", people=("Nobody",)) == {
            "i-anna",
            "i-ben",
            "loose",
            "m-anna",
            "m-ben",
        }
        due = await search.search_action_items("u1", "", filter=VectorFilter(start=9, end=20))
        assert [one.row.id for one in due] == ["loose", "i-anna", "i-ben"]
