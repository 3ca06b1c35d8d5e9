"""Folders: in the user's order, with what is in them."""

from engine.store import Store
from engine.store.user_records import FolderRow

from .making import NOW, conversation


def folder(id: str, uid: str = "u1", place: int = 0) -> FolderRow:
    return FolderRow(uid=uid, id=id, name=id.upper(), place=place, created_at=NOW, updated_at=NOW)


async def test_folders_are_added_behind_the_others_up_to_the_limit(store: Store) -> None:
    for id in ("a", "b"):
        assert await store.folders.add(folder(id), limit=2) is not None
    assert await store.folders.add(folder("c"), limit=2) is None
    assert await store.folders.add(folder("c", uid="u2"), limit=2) == folder("c", uid="u2")
    assert await store.folders.ordered("u1") == [folder("a", place=0), folder("b", place=1)]


async def test_the_order_is_the_users(store: Store) -> None:
    await store.folders.put(folder("a", place=0), folder("b", place=1), folder("a", uid="u2", place=0))
    await store.folders.reorder("u1", {"b": 0, "a": 1})
    assert [row.id for row in await store.folders.ordered("u1")] == ["b", "a"]
    assert (await store.folders.ordered("u2"))[0].place == 0


async def test_conversations_move_and_are_counted_where_they_are(store: Store) -> None:
    await store.folders.put(folder("a"), folder("b"))
    for id, uid in (("c1", "u1"), ("c2", "u1"), ("c3", "u2")):
        await store.conversations.create(conversation(id, uid))
    assert await store.folders.move("u1", ["c1", "c2", "c3"], "a") == 2
    assert await store.folders.counts("u1") == {"a": 2}
    assert await store.folders.remove("u1", "a", move_to="b")
    assert await store.folders.counts("u1") == {"b": 2}
    assert await store.folders.remove("u1", "b", move_to=None)
    assert await store.folders.counts("u1") == {}
    assert not await store.folders.remove("u1", "b", move_to=None)
    assert await store.folders.counts("u2") == {}
