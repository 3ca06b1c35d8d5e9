"""Rows known by their owner and an id: what is one user's is never another's."""

import pytest

from engine.store import Store
from engine.store.owned import PAGE_LIMIT
from engine.store.tables import memories

from .making import NOW, memory


async def test_a_row_is_read_as_it_was_put(store: Store) -> None:
    row = memory(tags=["a", "ü"], user_review=False, conversation_id="c1")
    await store.memories.put(row)
    assert await store.memories.get("u1", "m1") == row


async def test_put_replaces_what_has_the_same_owner_and_id_and_nothing_else(store: Store) -> None:
    await store.memories.put(memory(), memory(uid="u2"))
    await store.memories.put(memory(content="Other."))
    assert [row.content for row in await store.memories.list("u1")] == ["Other."]
    assert [row.content for row in await store.memories.list("u2")] == ["Fact m1."]


async def test_a_page_is_newest_first_and_pages_meet(store: Store) -> None:
    await store.memories.put(*(memory(f"m{n}", created_at=NOW + n // 2) for n in range(6)))
    whole = [row.id for row in await store.memories.list("u1")]
    assert whole == ["m5", "m4", "m3", "m2", "m1", "m0"]
    pages = [await store.memories.list("u1", limit=4, offset=offset) for offset in (0, 4)]
    assert [row.id for page in pages for row in page] == whole


async def test_a_list_and_its_count_take_the_same_conditions(store: Store) -> None:
    await store.memories.put(memory("m1", category="manual"), memory("m2"), memory("m3", uid="u2"))
    manual = memories.c.category == "manual"
    assert [row.id for row in await store.memories.list("u1", manual)] == ["m1"]
    assert await store.memories.count("u1", manual) == 1
    assert await store.memories.count("u1") == 2


async def test_change_sets_columns_of_the_owners_row_only(store: Store) -> None:
    await store.memories.put(memory(), memory(uid="u2"))
    changed = await store.memories.change("u1", "m1", {"content": "New.", "edited": True})
    assert changed == memory(content="New.", edited=True)
    assert await store.memories.get("u2", "m1") == memory(uid="u2")
    assert await store.memories.change("u3", "m1", {"content": "Stolen."}) is None


async def test_delete_says_whether_there_was_one(store: Store) -> None:
    await store.memories.put(memory(), memory("m2"), memory(uid="u2"))
    assert await store.memories.delete("u1", "m1")
    assert not await store.memories.delete("u1", "m1")
    assert await store.memories.delete_all("u1") == 1
    assert await store.memories.count("u2") == 1


@pytest.mark.parametrize(
    ("limit", "offset", "name"), [(0, 0, "limit"), (PAGE_LIMIT + 1, 0, "limit"), (1, -1, "offset")]
)
async def test_a_page_that_cannot_be_is_refused(store: Store, limit: int, offset: int, name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name}: "):
        await store.memories.list("u1", limit=limit, offset=offset)
