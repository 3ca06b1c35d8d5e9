"""Memories found in a conversation take the place of those found before, but for what the owner had a hand in."""

from sqlalchemy import Connection

from engine.store import Store
from engine.store.database import Database
from engine.store.memories import replace_memories
from engine.store.user_records import MemoryRow

from .making import memory


async def replace(store: Store, *rows: MemoryRow, uid: str = "u1") -> list[MemoryRow]:
    database: Database = store.memories._database

    def work(connection: Connection) -> list[MemoryRow]:
        return replace_memories(connection, uid, "c1", rows)

    return await database.write(work)


async def test_what_is_found_anew_replaces_what_was_found(store: Store) -> None:
    await replace(store, memory("m1", conversation_id="c1"), memory("m2", conversation_id="c1"))
    anew = [memory("m2", conversation_id="c1"), memory("m3", conversation_id="c1")]
    assert await replace(store, *anew) == anew
    assert {row.id for row in await store.memories.list("u1")} == {"m2", "m3"}


async def test_what_the_owner_wrote_changed_or_judged_stays(store: Store) -> None:
    kept = [
        memory("mine", conversation_id="c1", manually_added=True),
        memory("edited", conversation_id="c1", edited=True),
        memory("judged", conversation_id="c1", reviewed=True),
    ]
    await store.memories.put(*kept, memory("found", conversation_id="c1"))
    again = memory("again", conversation_id="c1", content="Fact judged")
    assert await replace(store, again) == []
    assert {row.id for row in await store.memories.list("u1")} == {"mine", "edited", "judged"}


async def test_other_conversations_and_users_keep_theirs(store: Store) -> None:
    others = [memory("m1", conversation_id="c2"), memory("m2"), memory("m3", uid="u2", conversation_id="c1")]
    await store.memories.put(*others)
    assert await replace(store) == []
    assert await store.memories.count("u1") == 2
    assert await store.memories.count("u2") == 1


async def test_what_its_owner_said_is_wrong_is_not_shown(store: Store) -> None:
    await store.memories.put(
        memory("m1"), memory("m2", user_review=False), memory("m3", user_review=True), memory("m4", uid="u2")
    )
    assert {row.id for row in await store.memories.shown("u1", limit=10)} == {"m1", "m3"}
