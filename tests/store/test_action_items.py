"""Action items of conversations: in their order, those of several in one query, replaced by processing."""

from typing import Any

from sqlalchemy import Connection

from engine.store import Store
from engine.store.action_items import ItemFilter, replace_action_items
from engine.store.user_records import ActionItemRow

from .making import NOW, action_item, conversation


def of(conversation_id: str, id: str, ordinal: int, uid: str = "u1") -> ActionItemRow:
    return action_item(id, uid, conversation_id=conversation_id, ordinal=ordinal)


async def test_those_of_several_conversations_come_in_their_order(store: Store) -> None:
    first, second, other = of("c1", "b", 0), of("c1", "a", 1), of("c2", "c", 0)
    await store.action_items.put(second, other, first, of("c1", "d", 0, uid="u2"), action_item("loose"))
    found = await store.action_items.of_conversations([("u1", "c1"), ("u1", "c2"), ("u1", "c3")])
    assert found == {("u1", "c1"): [first, second], ("u1", "c2"): [other]}
    assert await store.action_items.of_conversation("u1", "c1") == [first, second]
    assert await store.action_items.of_conversation("u1", "c3") == []


async def test_processing_again_replaces_those_of_the_conversation_alone(store: Store) -> None:
    await store.action_items.put(of("c1", "old", 0), of("c2", "other", 0), of("c1", "theirs", 0, uid="u2"))

    def work(connection: Connection) -> list[ActionItemRow]:
        return replace_action_items(connection, "u1", "c1", [of("c1", "new", 0)])

    assert await store.action_items._database.write(work) == [of("c1", "new", 0)]
    assert {row.id for row in await store.action_items.list("u1")} == {"new", "other"}
    assert await store.action_items.count("u2") == 1


async def test_a_conversation_is_found_by_the_words_of_its_action_items_as_they_are(store: Store) -> None:
    await store.conversations.create(conversation("c1", status="completed"))

    async def found(*words: str) -> bool:
        return [hit.id for hit in await store.texts.search("u1", words)] == ["c1"]

    await store.action_items.put(action_item(description="Varnish boat", conversation_id="c1"))
    assert await found("varnish")
    await store.action_items.change("u1", "a1", {"description": "Repaint hull"})
    assert not await found("varnish")
    assert await found("repaint")
    await store.action_items.delete("u1", "a1")
    assert not await found("repaint")


async def test_action_items_are_found_by_what_is_asked_for(store: Store) -> None:
    await store.action_items.put(
        action_item("done", completed=True),
        action_item("due", due_at=NOW + 10, created_at=NOW + 1),
        action_item("later", due_at=NOW + 20, created_at=NOW + 2, conversation_id="c1"),
        action_item("theirs", uid="u2"),
    )

    async def found(**asked: Any) -> list[str]:
        return [row.id for row in await store.action_items.find("u1", ItemFilter(**asked), limit=10)]

    assert await found() == ["later", "due", "done"]
    assert await found(completed=True) == ["done"]
    assert await found(completed=False) == ["later", "due"]
    assert await found(conversation_id="c1") == ["later"]
    assert await found(start=NOW + 1, end=NOW + 1) == ["due"]
    assert await found(due_start=NOW + 10, due_end=NOW + 19) == ["due"]
