"""Deleted conversations are hidden from everybody at once, and erased at once or later, over both databases."""

from engine.store import COMPLETED, PROCESSING, Store
from engine.store.jobs import ERASE, PROCESS
from engine.store.texts import words_of
from engine.store.user_records import PhotoRow

from .making import NOW, Clock, action_item, changed, conversation, memory, opened, segment


async def talk(store: Store) -> None:
    """A conversation with all that may be made of one."""
    await store.conversations.apply([opened(status=COMPLETED), changed(segment(text="Tulips."))])
    await store.action_items.put(action_item(conversation_id="c1"))
    await store.memories.put(memory(conversation_id="c1"))
    await store.photos.put(PhotoRow(uid="u1", conversation_id="c1", id="p1", image=b"p", created_at=NOW))
    await store.texts.index("u1", "c1")


async def seen(store: Store) -> list[object]:
    """What a reader finds of it, one way or another."""
    table = store.conversations
    return [
        await table.get("u1", "c1"),
        *await table.list("u1"),
        *await table.segments("u1", "c1"),
        await table.latest_completed("u1"),
        await table.count("u1") or None,
        await store.wholes.get("u1", "c1"),
        *await store.texts.search("u1", words_of("tulips")),
        *await store.action_items.list("u1"),
    ]


async def test_what_is_deleted_is_seen_by_nobody_and_erased_when_it_is_time(
    store: Store, clock: Clock
) -> None:
    await talk(store)
    assert None not in await seen(store)
    assert await store.conversations.delete("u1", "c1", delay=60)
    assert not any(await seen(store))
    assert not await store.conversations.delete("u1", "c1", delay=60)
    assert await store.photos.of_conversation("u1", "c1") != [], "the rows are there for a while"
    assert await store.jobs.claim("me", [ERASE], 10, 1) == []
    clock.now += 61_000_000
    (job,) = await store.jobs.claim("me", [ERASE], 10, 1)
    await store.processing.erase_due(job)
    assert await store.photos.of_conversation("u1", "c1") == []
    await store.conversations.apply([opened(), changed(segment())])
    assert not any(await seen(store)), "no journal brings it back"


async def test_without_delay_it_is_erased_at_once(store: Store) -> None:
    await talk(store)
    assert await store.conversations.delete("u1", "c1")
    assert await store.jobs.next_due([ERASE]) is None
    assert await store.photos.of_conversation("u1", "c1") == []


async def test_memories_stay_unless_they_go_with_it(store: Store) -> None:
    await talk(store)
    await store.conversations.delete("u1", "c1")
    assert len(await store.memories.list("u1")) == 1
    await store.conversations.create(conversation("c2", status=COMPLETED))
    await store.memories.put(memory("m2", conversation_id="c2"))
    await store.conversations.delete("u1", "c2", cascade=True)
    assert [row.id for row in await store.memories.list("u1")] == ["m1"]


async def test_what_is_being_processed_is_not_any_more(store: Store) -> None:
    await store.processing.begin(conversation(status=PROCESSING), [segment()], {})
    await store.conversations.delete("u1", "c1", delay=60)
    assert await store.jobs.find("u1", PROCESS, "c1") is None
    assert await store.processing.sweep() == 0
    assert await store.processing.again("u1", "c1", {}, [PROCESSING, COMPLETED]) is None


async def test_nobody_deletes_what_is_somebody_elses(store: Store) -> None:
    await talk(store)
    assert not await store.conversations.delete("u2", "c1", cascade=True)
    assert None not in await seen(store)
