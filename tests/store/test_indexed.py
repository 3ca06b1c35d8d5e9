"""What is found by its meaning: each change of a text has its vector made anew, and a vector goes with its row."""

import numpy as np

from engine.store import Job, Store, VectorRow
from engine.store.indexed import INDEX, IndexText

from .making import NOW, Clock, action_item, conversation, memory


async def claimed(store: Store) -> list[Job]:
    return await store.jobs.claim("one", [INDEX], 60, 10)


def vector(id: str = "m1", uid: str = "u1", at: int = 0) -> VectorRow:
    numbers = np.zeros(4, np.float32)
    numbers[at] = 1
    return VectorRow(uid=uid, kind="memory", id=id, model="test", created_at=NOW, vector=numbers)


async def found(store: Store, uid: str = "u1") -> list[str]:
    hits = await store.vectors.query_vectors(uid, "memory", "test", vector().vector, 10)
    return [hit.id for hit in hits]


async def test_what_is_put_and_what_changes_its_text_has_a_vector_made(store: Store, clock: Clock) -> None:
    await store.memories.put(memory(), memory("m2"))
    jobs = await claimed(store)
    assert {(job.payload["what"], job.payload["id"]) for job in jobs} == {("memory", "m1"), ("memory", "m2")}
    clock.now += 1
    await store.memories.change("u1", "m1", {"content": "New.", "updated_at": NOW + 1})
    await store.memories.change("u1", "m2", {"visibility": "public"})
    await store.action_items.put(action_item())
    later = await claimed(store)
    assert {(job.payload["what"], job.payload["id"]) for job in later} == {
        ("memory", "m1"),
        ("action_item", "a1"),
    }


async def test_a_vector_is_kept_for_the_text_it_was_made_of_and_ends_its_job(
    store: Store, clock: Clock
) -> None:
    await store.memories.put(memory())
    (job,) = await claimed(store)
    text = await store.indexing.text("u1", "memory", "m1")
    assert text == IndexText(text="Fact m1.", created_at=NOW)
    clock.now += 1
    await store.memories.change("u1", "m1", {"content": "New.", "updated_at": NOW + 1})
    assert await store.indexing.keep(job, vector(), "Fact m1.")
    assert await found(store) == []
    (newer,) = await claimed(store)
    assert await store.indexing.keep(newer, vector(), "New.")
    assert await found(store) == ["m1"]
    assert not await store.indexing.keep(newer, vector(), "New.")


async def test_a_text_that_was_drawn_from_a_conversation_is_found_by_its_people_and_topics(
    store: Store,
) -> None:
    labels = {"people": ["Anna"], "topics": ["boats"]}
    await store.conversations.create(conversation("c1", labels=labels))
    await store.conversations.create(conversation("c1", uid="u2", labels={"people": ["Ben"]}))
    await store.memories.put(memory(conversation_id="c1"), memory("m2", conversation_id="gone"))
    found = await store.indexing.text("u1", "memory", "m1")
    assert found == IndexText(text="Fact m1.", created_at=NOW, labels=labels)
    assert await store.indexing.text("u1", "memory", "m2") == IndexText(text="Fact m2.", created_at=NOW)


async def test_a_row_that_is_gone_has_no_text_and_gets_no_vector(store: Store) -> None:
    await store.memories.put(memory())
    (job,) = await claimed(store)
    await store.memories.delete("u1", "m1")
    assert await store.indexing.text("u1", "memory", "m1") is None
    assert await store.indexing.keep(job, vector(), "Fact m1.")
    assert await found(store) == []


async def test_vectors_go_with_their_rows_and_nobody_elses(store: Store) -> None:
    await store.memories.put(memory("m1"), memory("m2"), memory("m1", uid="u2"))
    await store.vectors.upsert_vectors([vector("m1"), vector("m2"), vector("m1", uid="u2")])
    assert await store.memories.delete("u1", "m1")
    assert await found(store) == ["m2"]
    assert await store.memories.delete_all("u1") == 1
    assert await found(store) == []
    assert await found(store, "u2") == ["m1"]
