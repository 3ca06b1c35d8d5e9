"""What an owner removed of a conversation, and which of what is made again is left out for it."""

from pathlib import Path

import msgspec
import trio
from alembic import command
from alembic.config import Config
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import column, insert, select, table

from engine.store import Store, migration
from engine.store.database import open_engine
from engine.store.jobs import ERASE
from engine.store.tables import unwanted
from engine.store.unwanted import unsaid, unwanted_of

from .making import NOW, Clock, action_item, conversation, memory

SAID = st.lists(st.text("abc ", max_size=12), max_size=6)


def unsaid_texts(rows: list[str], said: list[str]) -> list[str]:
    return unsaid(rows, str, said)


async def of(store: Store, id: str = "c1", uid: str = "u1") -> set[str]:
    return set(await store.action_items._database.read(unwanted_of, uid, id))


def test_what_is_said_again_in_nearly_the_same_words_is_left_out() -> None:
    rows = ["Buy the seeds.", "Call Bob on Friday."]
    assert unsaid_texts(rows, ["buy seeds", "Call Anna on Friday."]) == ["Call Bob on Friday."]


def test_each_text_stands_for_the_one_that_is_most_like_it() -> None:
    rows = ["Call Anna at 3 pm.", "Call Anna at 5 pm."]
    assert unsaid_texts(rows, ["Call Anna at 5 pm."]) == ["Call Anna at 3 pm."]
    assert unsaid_texts(["Buy milk.", "Buy milk."], ["Buy milk."]) == ["Buy milk."]


def test_texts_without_words_are_compared_as_they_are() -> None:
    assert unsaid_texts(["!", "?"], ["?"]) == ["!"]


@given(SAID, SAID)
def test_what_is_left_keeps_its_order_and_no_text_takes_two(rows: list[str], said: list[str]) -> None:
    left = unsaid_texts(rows, said)
    remaining = iter(rows)
    assert all(any(row == other for other in remaining) for row in left)
    assert len(left) >= len(rows) - len(said)
    assert unsaid_texts(rows, rows) == []


async def test_the_words_that_were_made_are_kept_however_often_they_are_changed(store: Store) -> None:
    await store.conversations.create(conversation())
    await store.action_items.put(action_item(conversation_id="c1", description="Made."))
    await store.action_items.change("u1", "a1", {"description": "Theirs."})
    await store.action_items.change("u1", "a1", {"description": "Theirs, again."})
    await store.action_items.delete("u1", "a1")
    assert await of(store) == {"Made."}
    assert await of(store, uid="u2") == set()


async def test_all_memories_that_go_at_once_are_among_them(store: Store) -> None:
    await store.conversations.create(conversation())
    await store.memories.put(memory("m1", conversation_id="c1"), memory("by hand"))
    assert await store.memories.delete_all("u1") == 2
    assert await of(store) == {"Fact m1."}


async def test_nothing_is_kept_of_what_belongs_to_no_conversation_any_more(
    store: Store, clock: Clock
) -> None:
    await store.conversations.create(conversation())
    await store.memories.put(memory("m1", conversation_id="c1"), memory("m2", conversation_id="c1"))
    await store.memories.delete("u1", "m1")
    await store.conversations.delete("u1", "c1", delay=60.0)
    await store.memories.delete("u1", "m2")
    assert await of(store) == {"Fact m1."}
    clock.now += 60_000_000
    (job,) = await store.jobs.claim("one", [ERASE], 60, 1)
    await store.processing.erase_due(job)
    query = select(unwanted)
    assert await store.memories._database.read(lambda connection: connection.execute(query).all()) == []


async def test_what_owners_did_before_this_was_kept_is_known_from_its_time(
    tmp_path: Path, database_url: str
) -> None:
    engine = open_engine(tmp_path, 5.0, database_url)
    config = Config()
    config.set_main_option("script_location", str(Path(migration.__file__).with_name("migrations")))
    rows = [
        action_item("made", conversation_id="c1"),
        action_item("changed", conversation_id="c1", updated_at=NOW + 1),
        action_item("written"),
    ]
    old = [
        {name: value for name, value in msgspec.structs.asdict(row).items() if name != "by_owner"}
        for row in rows
    ]
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0011")
        connection.execute(insert(table("action_items", *map(column, old[0]))), old)
    engine.dispose()
    store = await Store.open(tmp_path, trio.to_thread.run_sync, url=database_url)
    found = {row.id: row.by_owner for row in await store.action_items.list("u1")}
    assert found == {"made": False, "changed": True, "written": True}
    await store.close()
