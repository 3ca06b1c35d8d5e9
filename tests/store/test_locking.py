"""What was locked is unlocked as a whole, for one user."""

from engine.store import Store

from .making import action_item, conversation, memory


async def test_all_that_is_locked_of_a_user_is_unlocked(store: Store) -> None:
    for id, uid in (("c1", "u1"), ("c2", "u1"), ("c1", "u2")):
        await store.conversations.create(conversation(id, uid, is_locked=id == "c1"))
        await store.memories.put(memory("m1", uid, is_locked=True))
        await store.action_items.put(action_item("a1", uid, is_locked=True))
    assert await store.locking.unlock("u1") == 1
    assert await store.locking.unlock("u1") == 0
    for uid, locked in (("u1", False), ("u2", True)):
        row = await store.conversations.get(uid, "c1")
        kept = await store.memories.get(uid, "m1"), await store.action_items.get(uid, "a1")
        assert row is not None
        assert row.is_locked is locked
        assert [one is not None and one.is_locked for one in kept] == [locked, locked]
