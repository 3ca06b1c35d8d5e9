"""Action items of conversations: in their order, those of several in one query, replaced by processing."""

from sqlalchemy import Connection

from engine.store import Store
from engine.store.action_items import replace_action_items
from engine.store.user_records import ActionItemRow

from .making import action_item


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

    def work(connection: Connection) -> list[str]:
        return replace_action_items(connection, "u1", "c1", [of("c1", "new", 0)])

    assert await store.action_items._database.write(work) == ["old"]
    assert {row.id for row in await store.action_items.list("u1")} == {"new", "other"}
    assert await store.action_items.count("u2") == 1


async def test_those_of_a_conversation_are_removed_with_their_ids_told(store: Store) -> None:
    await store.action_items.put(of("c1", "a", 0), of("c1", "b", 1), of("c2", "c", 0))
    assert set(await store.action_items.delete_of_conversation("u1", "c1")) == {"a", "b"}
    assert await store.action_items.delete_of_conversation("u2", "c2") == []
    assert await store.action_items.count("u1") == 1
