"""Photos of conversations: their bytes as they came, oldest first."""

from typing import Any

import pytest

from engine.store import Store
from engine.store import photos as module
from engine.store.photos import DESCRIBE
from engine.store.user_records import PhotoRow

from .making import NOW, conversation


def photo(id: str, uid: str = "u1", conversation: str = "c1", at: int = NOW, **more: Any) -> PhotoRow:
    return PhotoRow(
        uid=uid, conversation_id=conversation, id=id, image=bytes(range(256)), created_at=at, **more
    )


async def test_photos_of_several_conversations_come_oldest_first(store: Store) -> None:
    first, second, other = photo("b"), photo("a", at=NOW + 1), photo("c", conversation="c2")
    await store.photos.put(second, first, other, photo("x", uid="u2"))
    found = await store.photos.of_conversations([("u1", "c1"), ("u1", "c2")])
    assert found == {("u1", "c1"): [first, second], ("u1", "c2"): [other]}
    assert await store.photos.of_conversation("u2", "c2") == []


async def test_a_description_is_added_to_what_is_kept(store: Store) -> None:
    await store.photos.put(photo("a"))
    changed = await store.photos.change("u1", "a", {"description": "A cat.", "discarded": False})
    assert changed == photo("a", description="A cat.")


async def test_a_picture_is_kept_only_where_its_conversation_is(store: Store) -> None:
    await store.conversations.create(conversation("c1"))
    assert await store.photos.add(photo("a"), describe=True)
    assert not await store.photos.add(photo("b", conversation="c2"), describe=True)
    assert not await store.photos.add(photo("c", uid="u2"), describe=True)
    await store.conversations.delete("u1", "c1")
    assert not await store.photos.add(photo("d"), describe=True)
    assert await store.photos.count("u2") == 0


async def test_a_description_and_the_end_of_its_job_are_one(store: Store) -> None:
    await store.conversations.create(conversation("c1"))
    await store.photos.add(photo("a"), describe=True)
    (job,) = await store.jobs.claim("one", [DESCRIBE], 60, 10)
    assert await store.photos.described(job, "A cat.", True)
    assert await store.photos.get("u1", "a") == photo("a", description="A cat.", discarded=True)
    assert not await store.photos.described(job, "A dog.", False)
    assert await store.photos.get("u1", "a") == photo("a", description="A cat.", discarded=True)


async def test_a_conversation_has_only_so_many(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_PHOTOS", 2)
    for id in ("c1", "c2"):
        await store.conversations.create(conversation(id))
    kept = [await store.photos.add(photo(f"a{n}"), describe=False) for n in range(3)]
    assert kept == [True, True, False]
    assert await store.photos.add(photo("b", conversation="c2"), describe=False)
