"""The steps of processing, each one transaction, over both databases."""

import numpy as np
import pytest

from engine.store import (
    COMPLETED,
    FAILED,
    IN_PROGRESS,
    MERGING,
    PROCESSING,
    ConversationClosed,
    ConversationRow,
    Store,
    VectorRow,
)
from engine.store.errors import ClaimLost
from engine.store.jobs import PROCESS, TELL, Job
from engine.store.processing import Processed
from engine.store.texts import words_of

from .making import NOW, Clock, action_item, changed, conversation, memory, opened, segment

DONE = (COMPLETED, FAILED)


def vector(kind: str, id: str) -> VectorRow:
    numbers = np.array([1.0, 2.0], np.float32)
    return VectorRow(uid="u1", kind=kind, id=id, model="m", created_at=NOW, vector=numbers)  # type: ignore[arg-type]


def result(version: int = 1, **changes: object) -> Processed:
    """An item, a memory and all their vectors."""
    item, fact = f"a{version}", f"m{version}"
    values: dict[str, object] = {
        "version": version,
        "changes": {"structured": {"title": "Garden"}, "discarded": False},
        "action_items": [action_item(item, conversation_id="c1", description="Water the garden.")],
        "memories": [memory(fact, conversation_id="c1", content=f"Likes gardens {version}.")],
        "vectors": [vector("conversation", "c1"), vector("action_item", item), vector("memory", fact)],
    }
    return Processed(**(values | changes))  # type: ignore[arg-type]


async def claimed(store: Store, owner: str = "me") -> Job:
    (job,) = await store.jobs.claim(owner, [PROCESS], 10, 1)
    return job


async def begun(store: Store, id: str = "c1", status: str = PROCESSING) -> ConversationRow:
    row = conversation(id, status=status)
    assert await store.processing.begin(row, [segment(f"{id}-s1", text="The garden needs water.")], {})
    return row


async def status_of(store: Store, id: str = "c1") -> str:
    row = await store.conversations.get("u1", id)
    assert row is not None
    return row.status


async def indexed(store: Store) -> set[str]:
    numbers = np.array([1.0, 2.0], np.float32)
    found = set()
    for kind in ("conversation", "action_item", "memory"):
        hits = await store.vectors.query_vectors("u1", kind, "m", numbers, 10)
        found |= {hit.id for hit in hits}
    return found


async def test_a_conversation_that_ends_has_a_job_from_that_moment(store: Store) -> None:
    closed = ConversationClosed("u1", "c1", PROCESSING, NOW, forced=True)
    await store.conversations.apply([opened(), changed(segment()), closed])
    job = await claimed(store)
    assert (job.uid, job.key, job.payload) == ("u1", "c1", {"force": True})
    assert await store.processing.finish(job, result(), source_delay=0)
    # An older journal, replayed, begins nothing anew.
    await store.conversations.apply([opened(), changed(segment()), closed])
    assert await store.jobs.find("u1", PROCESS, "c1") is None
    assert await status_of(store) == COMPLETED


async def test_what_was_made_is_kept_with_the_end_of_the_job(store: Store) -> None:
    await begun(store)
    job = await claimed(store)
    assert await store.processing.finish(job, result(), source_delay=0)
    row = await store.conversations.get("u1", "c1")
    assert row is not None
    assert (row.status, row.processing_version, row.structured) == (COMPLETED, 1, {"title": "Garden"})
    assert await indexed(store) == {"c1", "a1", "m1"}
    assert [hit.id for hit in await store.texts.search("u1", words_of("garden water"))] == ["c1"]
    (hour,) = await store.usage.read("u1")
    assert hour.conversations == 1
    with pytest.raises(ClaimLost):
        await store.processing.finish(job, result(2), source_delay=0)
    assert await status_of(store) == COMPLETED


async def test_a_second_processing_replaces_the_first_and_is_not_counted(store: Store) -> None:
    await begun(store)
    await store.processing.finish(await claimed(store), result(), source_delay=0)
    assert await store.processing.again("u1", "c1", {}, DONE) is not None
    assert await store.processing.again("u1", "c1", {}, DONE) is None, "it is going on"
    await store.processing.finish(await claimed(store), result(2), source_delay=0)
    assert await indexed(store) == {"c1", "a2", "m2"}
    assert [item.id for item in await store.action_items.list("u1")] == ["a2"]
    (hour,) = await store.usage.read("u1")
    assert hour.conversations == 1


async def test_who_lost_the_claim_writes_nothing(store: Store) -> None:
    await begun(store)
    (slow,) = await store.jobs.claim("slow", [PROCESS], -1, 1)
    quick = await claimed(store, "quick")
    with pytest.raises(ClaimLost):
        await store.processing.finish(slow, result(), source_delay=0)
    with pytest.raises(ClaimLost):
        await store.processing.fail(slow, "too slow")
    assert (await status_of(store), await store.action_items.list("u1")) == (PROCESSING, [])
    assert await store.processing.finish(quick, result(), source_delay=0)


async def test_what_has_failed_keeps_reason_and_job_until_it_is_tried_anew(store: Store) -> None:
    await begun(store)
    await store.processing.fail(await claimed(store), "no such model")
    row = await store.conversations.get("u1", "c1")
    assert row is not None
    assert (row.status, row.failure) == (FAILED, "no such model")
    assert await store.jobs.counts([PROCESS]) == (0, 1)
    again = await store.processing.again("u1", "c1", {"force": True}, DONE)
    assert again is not None
    assert (again.status, again.failure) == (PROCESSING, None)
    assert await store.jobs.counts([PROCESS]) == (1, 0)


async def test_a_memory_in_the_same_words_is_kept_once(store: Store) -> None:
    await store.memories.put(memory("old", content="Likes gardens 1."))
    await begun(store)
    await store.processing.finish(await claimed(store), result(), source_delay=0)
    assert [row.id for row in await store.memories.list("u1")] == ["old"]
    assert "m1" not in await indexed(store)


async def test_without_vectors_its_own_and_those_of_its_parts_can_be_made_later(store: Store) -> None:
    await begun(store)
    done = result(vectors=None, vectors_later=True)
    await store.processing.finish(await claimed(store), done, source_delay=0)
    assert await store.jobs.counts(["index"]) == (3, 0)
    found = await store.indexing.text("u1", "conversation", "c1")
    assert found is not None
    assert found.structured == {"title": "Garden", "action_items": [{"description": "Water the garden."}]}
    (job, *_) = [
        job
        for job in await store.jobs.claim("one", ["index"], 60, 10)
        if job.payload["what"] == "conversation"
    ]
    assert await store.processing.again("u1", "c1", {"force": True}, DONE)
    await store.processing.finish(await claimed(store), result(2, vectors=None), source_delay=0)
    assert await store.indexing.keep(job, vector("conversation", "c1"), found.text), "of an earlier version"
    assert "c1" not in await indexed(store)


async def test_what_the_owner_does_stays_meanwhile_and_whenever_it_is_processed_again(
    store: Store, clock: Clock
) -> None:
    await begun(store)
    await store.processing.finish(await claimed(store), result(), source_delay=0)
    assert await store.processing.again("u1", "c1", {"force": True}, DONE)
    job = await claimed(store)
    clock.now += 1
    await store.edits.set_title("u1", "c1", "The owner's")
    await store.action_items.change("u1", "a1", {"completed": True, "updated_at": clock.now})
    await store.action_items.put(
        action_item("mine", conversation_id="c1", description="Buy seeds.", by_owner=True)
    )
    await store.processing.finish(job, result(2), source_delay=0)
    row = await store.conversations.get("u1", "c1")
    assert row is not None
    assert row.structured["title"] == "The owner's"
    for version in (3, 4):
        items = await store.action_items.of_conversation("u1", "c1")
        assert {item.id: item.completed for item in items} == {"a1": True, "mine": False}
        assert await indexed(store) == {"c1", "a1", f"m{version - 1}"}
        assert await store.processing.again("u1", "c1", {"force": True}, DONE)
        await store.processing.finish(await claimed(store), result(version), source_delay=0)


async def test_what_the_owner_deletes_or_rewrites_does_not_come_back(store: Store, clock: Clock) -> None:
    await begun(store)
    said = ("Water the garden.", "Buy seeds.", "Mow the lawn.", "Call Anna on Friday.")

    def made(version: int, *said: str) -> Processed:
        items = [
            action_item(f"a{version}-{n}", conversation_id="c1", description=text, ordinal=n)
            for n, text in enumerate(said)
        ]
        facts = [memory(f"m{version}", conversation_id="c1", content="Has a garden in Kiel.")]
        return result(version, action_items=items, memories=facts, vectors=())

    await store.processing.finish(await claimed(store), made(1, *said), source_delay=0)
    assert await store.edits.delete_items("u1", "c1", "Call Anna on Friday.") == 1
    assert await store.processing.again("u1", "c1", {"force": True}, DONE)
    job = await claimed(store)
    assert await store.action_items.delete("u1", "a1-0")
    assert await store.edits.delete_items("u1", "c1", "Buy seeds.") == 1
    assert await store.edits.describe_item("u1", "c1", "Mow the lawn.", "Have the lawn mown.")
    assert await store.memories.delete("u1", "m1")
    again = ("Water the garden.", "Buy the seeds.", "Mow the lawn.", "Call Bob on Friday.")
    await store.processing.finish(job, made(2, *again), source_delay=0)
    items = await store.action_items.of_conversation("u1", "c1")
    assert {item.description for item in items} == {"Have the lawn mown.", "Call Bob on Friday."}
    assert await store.memories.list("u1") == []
    assert await store.processing.again("u1", "c1", {"force": True}, DONE)
    await store.processing.finish(await claimed(store), made(3, *said), source_delay=0)
    items = await store.action_items.of_conversation("u1", "c1")
    assert [item.description for item in items] == ["Have the lawn mown."]
    assert await store.memories.list("u1") == []


async def test_a_memory_that_its_owner_judged_is_not_joined_by_one_that_says_the_same(store: Store) -> None:
    await begun(store)
    await store.processing.finish(await claimed(store), result(vectors=None), source_delay=0)
    await store.memories.change("u1", "m1", {"reviewed": True, "user_review": False})
    assert await store.processing.again("u1", "c1", {}, DONE) is not None
    facts = [memory("m2", conversation_id="c1", content="Likes gardens 1.")]
    await store.processing.finish(
        await claimed(store), result(2, memories=facts, vectors=None), source_delay=0
    )
    assert [row.id for row in await store.memories.list("u1")] == ["m1"]


async def test_an_event_that_is_in_the_calendar_stays_marked(store: Store) -> None:
    await begun(store)

    def made(version: int, *starts: str) -> Processed:
        events = [{"title": f"Event {version}", "start": start, "created": False} for start in starts]
        return result(version, changes={"structured": {"title": "Garden", "events": events}})

    monday, friday = "2026-11-23T09:00:00Z", "2026-11-27T09:00:00Z"
    await store.processing.finish(await claimed(store), made(1, monday, friday), source_delay=0)
    assert await store.processing.again("u1", "c1", {}, DONE) is not None
    job = await claimed(store)
    await store.edits.set_events("u1", "c1", {1: True})
    for version in (2, 3):
        await store.processing.finish(job, made(version, friday, monday), source_delay=0)
        row = await store.conversations.get("u1", "c1")
        assert row is not None
        assert [(event["title"], event["created"]) for event in row.structured["events"]] == [
            (f"Event {version}", True),
            (f"Event {version}", False),
        ]
        assert await store.processing.again("u1", "c1", {}, DONE) is not None
        job = await claimed(store)


async def test_what_the_owner_did_to_what_is_merged_is_done_to_the_new_one(store: Store) -> None:
    for id in ("c1", "c2"):
        await begun(store, id, COMPLETED)
        await store.jobs.discard("u1", PROCESS, id)
    await store.action_items.put(
        action_item("done", conversation_id="c1", description="Order seeds."),
        action_item("gone", conversation_id="c2", description="Buy a rake."),
        action_item("left", conversation_id="c2", description="Oil the gate."),
    )
    await store.action_items.change("u1", "done", {"completed": True})
    await store.action_items.delete("u1", "gone")
    row = conversation("both", status=PROCESSING)
    assert await store.processing.merge(row, [segment("s1")], {}, ["c1", "c2"], DONE)
    for version in (1, 2):
        items = [
            action_item(f"b{version}-{n}", conversation_id="both", description=text)
            for n, text in enumerate(("Order seeds.", "Buy a rake.", "Oil the gate."))
        ]
        done = result(version, action_items=items, memories=(), vectors=())
        await store.processing.finish(await claimed(store), done, source_delay=0)
        found = await store.action_items.of_conversation("u1", "both")
        assert {item.id: item.completed for item in found} == {"done": True, f"b{version}-2": False}
        assert await store.processing.again("u1", "both", {}, DONE) is not None


async def test_merged_ones_are_gone_once_the_new_one_is_done(store: Store) -> None:
    for id in ("c1", "c2"):
        await begun(store, id, COMPLETED)
        await store.jobs.discard("u1", PROCESS, id)
        await store.memories.put(memory(f"of-{id}", conversation_id=id))
        reasons = {one: {"verdict": f"{one} of {id}"} for one in (f"s{id[1]}", "s3", "gone")}
        await store.voices.decided("u1", id, reasons, 1)
    row = conversation("both", status=PROCESSING)
    merge = store.processing.merge
    assert not await merge(row, [], {}, ["c1", "none"], DONE)
    assert await status_of(store, "c1") == COMPLETED
    assert await merge(row, [segment("s1"), segment("s2"), segment("s3")], {}, ["c1", "c2"], DONE)
    assert not await merge(conversation("other", status=PROCESSING), [], {}, ["c1", "c2"], DONE)
    assert (await status_of(store, "c1"), await status_of(store, "c2")) == (MERGING, MERGING)
    assert await store.processing.finish(await claimed(store), result(), source_delay=60)
    assert [row.id for row in await store.conversations.list("u1")] == ["both"]
    assert {row.conversation_id for row in await store.memories.list("u1")} == {"both"}
    reasons = await store.voices.decisions("u1", "both")
    assert {one: why["verdict"] for one, why in reasons.items()} == {
        "s1": "s1 of c1",
        "s2": "s2 of c2",
        "s3": "s3 of c1",
    }
    assert await store.usage.read("u1") == [], "nothing was said a second time"
    assert await store.jobs.counts(["erase"]) == (2, 0)


async def test_what_is_not_merged_after_all_is_as_it_was(store: Store) -> None:
    for id in ("c1", "c2"):
        await begun(store, id, COMPLETED)
        await store.jobs.discard("u1", PROCESS, id)
    row = conversation("both", status=PROCESSING)
    assert await store.processing.merge(row, [], {}, ["c1", "c2"], DONE)
    await store.processing.fail(await claimed(store), "no such model")
    assert (await status_of(store, "c1"), await status_of(store, "both")) == (COMPLETED, FAILED)


async def test_only_what_is_processing_without_a_job_is_swept_up(store: Store) -> None:
    await begun(store)
    await begun(store, "c2")
    await store.jobs.discard("u1", PROCESS, "c2")
    await store.conversations.create(conversation("c3", status=IN_PROGRESS))
    assert await store.processing.sweep() == 1
    assert await store.processing.sweep() == 0
    assert await store.jobs.find("u1", PROCESS, "c2") is not None


async def test_a_conversation_is_begun_once(store: Store) -> None:
    row = await begun(store)
    assert not await store.processing.begin(row, [], {})
    assert len(await store.conversations.segments("u1", "c1")) == 1


async def test_the_first_time_a_job_to_tell_others_is_left_and_never_again(store: Store) -> None:
    await begun(store)
    assert await store.jobs.claim("me", [TELL], 10, 9) == []
    await store.processing.finish(await claimed(store), result(), source_delay=0)
    (tell,) = await store.jobs.claim("me", [TELL], 10, 9)
    assert (tell.uid, tell.key) == ("u1", "c1")
    assert await store.jobs.done(tell)
    assert await store.processing.again("u1", "c1", {}, DONE) is not None
    await store.processing.finish(await claimed(store), result(2), source_delay=0)
    assert await store.jobs.claim("me", [TELL], 10, 9) == []


async def test_who_failed_tells_nobody_until_it_works(store: Store) -> None:
    await begun(store)
    await store.processing.fail(await claimed(store), "no model")
    assert await store.jobs.claim("me", [TELL], 10, 9) == []
    assert await store.processing.again("u1", "c1", {}, DONE) is not None
    await store.processing.finish(await claimed(store), result(), source_delay=0)
    assert len(await store.jobs.claim("me", [TELL], 10, 9)) == 1
