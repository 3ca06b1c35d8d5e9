"""Vectors follow the texts of memories and action items, whoever changes them."""

from pathlib import Path
from typing import Any

import trio.testing
from trio.testing import MockClock

from engine.store.indexed import INDEX
from engine.store.user_records import ActionItemRow, MemoryRow
from engine.store.vector_records import VectorKind
from tests.conversation.processing import Letters, Site, site

NOW = 1_750_000_000_000_000


def memory(id: str, content: str, **fields: Any) -> MemoryRow:
    return MemoryRow(uid="ada", id=id, content=content, created_at=NOW, updated_at=NOW, **fields)


async def nearest(it: Site, text: str, kind: VectorKind = "memory") -> list[str]:
    """What is nearest to `text`, once nothing is left to be done."""
    it.processor.wake()
    await trio.testing.wait_all_tasks_blocked()
    assert await it.store.jobs.next_due([INDEX]) is None
    (vector,) = await Letters().embed([text])
    hits = await it.store.vectors.query_vectors("ada", kind, "letters", vector, 10)
    return [hit.id for hit in hits]


async def test_what_is_written_is_found_and_what_is_changed_is_found_anew(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with site(tmp_path, embedder=Letters()) as it:
        await it.store.memories.put(memory("tea", "tea tea"), memory("zoo", "zoo zoo"))
        await it.store.action_items.put(
            ActionItemRow(uid="ada", id="call", description="call", created_at=NOW, updated_at=NOW)
        )
        assert await nearest(it, "tea") == ["tea", "zoo"]
        assert await nearest(it, "call", "action_item") == ["call"]
        await it.store.memories.change("ada", "tea", {"content": "bbb"})
        await it.store.memories.change("ada", "zoo", {"content": "tea"})
        assert await nearest(it, "tea") == ["zoo", "tea"]
        await it.store.memories.delete("ada", "zoo")
        assert await nearest(it, "tea") == ["tea"]


async def test_a_change_wakes_whoever_computes_vectors(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with site(tmp_path, embedder=Letters()) as it:
        it.store.memories.when_text_changes(it.processor.wake)
        began = trio.current_time()
        await it.store.memories.put(memory("tea", "tea"))
        await trio.testing.wait_all_tasks_blocked()
        assert await it.store.jobs.next_due([INDEX]) is None
        assert trio.current_time() == began


async def test_a_service_that_is_down_is_asked_again(tmp_path: Path, autojump_clock: MockClock) -> None:
    embedder = Letters()
    embedder.failures = 2
    async with site(tmp_path, embedder=embedder) as it:
        await it.store.memories.put(memory("tea", "tea"))
        await trio.sleep(600)  # of virtual time: longer than two pauses between tries
        assert await nearest(it, "tea") == ["tea"]


async def test_without_an_embedder_nothing_waits_for_one(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with site(tmp_path) as it:
        await it.store.memories.put(memory("tea", "tea"))
        assert await nearest(it, "tea") == []
        assert await it.store.jobs.list_failed() == []


async def test_a_row_that_is_gone_meanwhile_leaves_nothing(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with site(tmp_path, embedder=Letters()) as it:
        await it.store.memories.put(memory("tea", "tea"))
        await it.store.memories.delete("ada", "tea")
        assert await nearest(it, "tea") == []
        assert await it.store.jobs.list_failed() == []
