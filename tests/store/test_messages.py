"""Chats: one of each user's for each app, and one without."""

from engine.store import Store
from engine.store.user_records import MessageRow

from .making import NOW


def message(id: str, uid: str = "u1", app_id: str | None = None, age: int = 0) -> MessageRow:
    return MessageRow(
        uid=uid, id=id, app_id=app_id, sender="ai", text=id, citations=["c1", "c2"], created_at=NOW - age
    )


async def test_each_chat_is_read_newest_first_and_in_pages(store: Store) -> None:
    await store.messages.put(message("a", age=2), message("b", age=1), message("c"))
    await store.messages.put(message("app", app_id="x"), message("other", uid="u2"))
    assert [row.id for row in await store.messages.history("u1", None, 10)] == ["c", "b", "a"]
    assert [row.id for row in await store.messages.history("u1", None, 1, 1)] == ["b"]
    assert await store.messages.history("u1", "x", 10) == [message("app", app_id="x")]


async def test_one_chat_is_forgotten_and_the_others_stay(store: Store) -> None:
    await store.messages.put(message("a"), message("app", app_id="x"), message("other", uid="u2"))
    assert await store.messages.clear("u1", None) == 1
    assert await store.messages.history("u1", None, 10) == []
    assert await store.messages.clear("u1", "x") == 1
    assert await store.messages.clear("u1", "x") == 0
    assert [row.id for row in await store.messages.history("u2", None, 10)] == ["other"]
