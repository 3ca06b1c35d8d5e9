"""Conversations that have ended are processed: by a job that is done once, whatever goes wrong."""

from pathlib import Path

import trio
import trio.testing
from trio.testing import MockClock

from engine.config import Quota
from engine.conversation.llm.port import LlmRefused, LlmUnavailable
from engine.conversation.process import PLACE_AGE
from engine.conversation.structured import Extraction, Memory, Structured
from engine.store import Store, UsageRow, hour_of
from engine.store.jobs import PROCESS
from engine.store.vector_records import VectorFilter
from tests.conversation.processing import (
    Fixed,
    Held,
    Letters,
    Planned,
    Rhymes,
    Silent,
    TestModels,
    left,
    site,
)
from tests.databases import migrated
from tests.listen.harness import inline, wall_clock


async def test_a_conversation_becomes_title_overview_items_memories_and_vectors(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with site(tmp_path, embedder=Letters()) as it:
        row = await it.given()
        assert row.status == "processing"
        done = await it.finished(row)
        assert (done.status, done.processing_version, done.discarded) == ("completed", 1, False)
        assert done.structured["title"]
        assert done.structured["overview"]
        assert "action_items" not in done.structured
        items = await it.store.action_items.of_conversation("ada", row.id)
        assert any("caterer" in item.description for item in items)
        assert any(item.due_at is not None for item in items)
        (memory,) = await it.store.memories.list("ada")
        assert "peanuts" in memory.content
        assert memory.conversation_id == row.id
        (vector,) = await Letters().embed(["caterer wedding"])
        for kind, ids in (
            ("conversation", {row.id}),
            ("memory", {memory.id}),
            ("action_item", {item.id for item in items}),
        ):
            hits = await it.store.vectors.query_vectors("ada", kind, "letters", vector, 10)  # type: ignore[arg-type]
            assert {hit.id for hit in hits} == ids
            about = VectorFilter(topics=(done.labels["topics"][0],))
            hits = await it.store.vectors.query_vectors("ada", kind, "letters", vector, 10, about)  # type: ignore[arg-type]
            assert {hit.id for hit in hits} == ids
        assert await it.store.jobs.find("ada", PROCESS, row.id) is None
        assert it.done == [("ada", row.id)]
        (hour,) = await it.store.usage.read("ada")
        assert hour.conversations == 1


async def test_what_is_made_of_a_user_over_the_quota_is_locked_until_it_is_unlocked(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with site(tmp_path, quota=Quota(audio_minutes=1)) as it:
        within = await it.finished(await it.given())
        used = UsageRow(uid="ada", hour=hour_of(wall_clock()), audio_seconds=60.0)
        await it.store.usage.add("used", used)
        over = await it.finished(await it.given())
        others = await it.finished(await it.given("ben"))
        assert [row.is_locked for row in (within, over, others)] == [False, True, False]
        items = await it.store.action_items.list("ada")
        assert {item.conversation_id: item.is_locked for item in items} == {within.id: False, over.id: True}
        await it.store.locking.unlock("ada")
        await it.store.processing.again("ada", over.id, {"force": True}, ["completed"])
        assert not (await it.finished(over)).is_locked


async def test_without_an_embedder_it_is_completed_without_vectors(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with site(tmp_path) as it:
        done = await it.finished(await it.given())
        assert done.status == "completed"
        assert await it.store.jobs.next_due(["process", "index"]) is None


async def test_what_a_service_that_is_away_does_not_do_is_tried_again_later(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    away = LlmUnavailable("nobody there", "connect", retry_after=7.0)
    planned = Planned(TestModels().plain, away, away, RuntimeError("never mind what was said"))
    async with site(tmp_path, planned, claim_time=3.0, retry_limit=60.0) as it:
        began = trio.current_time()
        done = await it.finished(await it.given())
        assert done.status == "completed"
        assert planned.asked == 4
        assert trio.current_time() - began >= 14
        assert len(it.done) == 1


async def test_a_service_that_wants_to_be_left_alone_for_years_is_asked_again_after_the_longest_pause(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    away = LlmUnavailable("too many requests", "rate_limit", retry_after=999_999_999.0)
    planned = Planned(TestModels().plain, away)
    async with site(tmp_path, planned, claim_time=3.0, retry_limit=60.0) as it:
        began = trio.current_time()
        assert (await it.finished(await it.given())).status == "completed"
        assert trio.current_time() - began < 70


async def test_what_never_works_has_failed_with_a_reason_and_can_be_processed_again(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    planned = Planned(TestModels().plain, LlmRefused("the key is not accepted", "auth"))
    async with site(tmp_path, planned) as it:
        failed = await it.finished(await it.given())
        assert (failed.status, failed.failure) == ("failed", "the key is not accepted")
        assert it.processor.statistics().failed == 1
        (job,) = await it.store.jobs.list_failed("ada")
        assert job.key == failed.id
        again = await it.store.processing.again("ada", failed.id, {"force": True}, ["completed", "failed"])
        assert again is not None
        done = await it.finished(again)
        assert (done.status, done.failure, done.processing_version) == ("completed", None, 1)
        assert await it.store.jobs.list_failed("ada") == []


async def test_an_error_nobody_foresaw_is_no_reason_to_show_what_was_said(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    planned = Planned(TestModels().plain, *[RuntimeError("a secret")] * 2)
    async with site(tmp_path, planned, tries=2) as it:
        failed = await it.finished(await it.given())
        assert (failed.status, failed.failure) == ("failed", "internal error: RuntimeError")


async def test_vectors_that_cannot_be_had_are_left_out_at_the_last_try(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    letters = Letters()
    letters.failures = 2
    async with site(tmp_path, embedder=letters, tries=2) as it:
        done = await it.finished(await it.given())
        assert done.status == "completed"
        items = await it.store.action_items.of_conversation("ada", done.id)
        (vector,) = await Letters().embed(["caterer"])
        hits = await it.store.vectors.query_vectors("ada", "action_item", "letters", vector, 10)
        assert {hit.id for hit in hits} == {item.id for item in items}, "those that can be made later, are"
        assert items
        hits = await it.store.vectors.query_vectors("ada", "conversation", "letters", vector, 10)
        assert [hit.id for hit in hits] == [done.id]


async def test_a_second_processing_takes_the_place_of_the_first(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with site(tmp_path, embedder=Letters()) as it:
        done = await it.finished(await it.given())
        items = {item.id for item in await it.store.action_items.of_conversation("ada", done.id)}
        again = await it.store.processing.again("ada", done.id, {"force": True}, ["completed"])
        assert again is not None
        assert again.status == "processing"
        second = await it.finished(again)
        assert (second.status, second.processing_version) == ("completed", 2)
        replaced = {item.id for item in await it.store.action_items.of_conversation("ada", done.id)}
        assert len(replaced) == len(items)
        assert replaced.isdisjoint(items)
        assert len(await it.store.memories.list("ada")) == 1
        (hour,) = await it.store.usage.read("ada")
        assert hour.conversations == 1
        (vector,) = await Letters().embed(["caterer"])
        hits = await it.store.vectors.query_vectors("ada", "action_item", "letters", vector, 10)
        assert {hit.id for hit in hits} == replaced


async def test_a_memory_that_is_known_is_not_kept_again(tmp_path: Path, autojump_clock: MockClock) -> None:
    known = (Memory(content="Ada plays the cello."), Memory(content="Ada plays a cello"))
    fixed = Fixed(Extraction(structured=Structured(title="Music"), memories=known))
    async with site(tmp_path, fixed, Letters()) as it:
        for _ in range(3):
            await it.finished(await it.given())
        (memory,) = await it.store.memories.list("ada")
        assert memory.content == "Ada plays the cello."
        await it.finished(await it.given(uid="bob"))
        assert len(await it.store.memories.list("bob")) == 1


async def test_nothing_worth_keeping_is_discarded_unless_its_owner_wants_it(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with site(tmp_path, Fixed(Extraction(structured=Structured())), Letters()) as it:
        row = await it.finished(await it.given())
        assert (row.status, row.discarded, row.structured["emoji"]) == ("completed", True, "🧠")
        assert await it.store.action_items.of_conversation("ada", row.id) == []
        again = await it.store.processing.again("ada", row.id, {"force": True}, ["completed"])
        assert again is not None
        kept = await it.finished(again)
        assert not kept.discarded
        assert kept.structured["title"]


async def test_more_than_a_hundred_words_are_always_kept(tmp_path: Path, autojump_clock: MockClock) -> None:
    text = " ".join(["The garden needs water every morning."] * 20)
    async with site(tmp_path, Fixed(Extraction(structured=Structured()))) as it:
        row = await it.requests.from_text("ada", text)
        done = await it.finished(row)
        assert not done.discarded
        assert done.structured["title"]


async def test_what_a_process_that_died_had_begun_is_done_by_the_next(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    store = await Store.open(migrated(tmp_path), inline, now=wall_clock)
    row = await left(store)
    (job,) = await store.jobs.claim("dead", [PROCESS], 5.0, 1)
    await store.close()
    async with site(tmp_path, claim_time=5.0) as it:
        began = trio.current_time()
        done = await it.finished(row)
        assert done.status == "completed"
        assert trio.current_time() - began >= 4.9
        assert not await it.store.jobs.done(job)


async def test_a_conversation_that_kills_every_process_has_failed_in_the_end(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    store = await Store.open(migrated(tmp_path), inline, now=wall_clock)
    row = await left(store)
    for n in range(3):
        assert await store.jobs.claim(f"dead{n}", [PROCESS], 1.0, 1)
        await trio.sleep(1.1)
    await store.close()
    async with site(tmp_path, tries=3) as it:
        failed = await it.finished(row)
        assert failed.status == "failed"
        assert failed.failure == "begun 3 times without an end: the process died, or the database was away"


async def test_a_conversation_that_is_deleted_while_it_is_processed_stays_deleted(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with site(tmp_path) as it:
        row = await it.given()
        held = Held(TestModels().plain)
        it.processor._models._extractor = held  # type: ignore[attr-defined]
        it.processor.wake()
        await held.begun.wait()
        assert await it.store.conversations.delete("ada", row.id)
        held.go.set()
        await trio.testing.wait_all_tasks_blocked()
        assert await it.store.conversations.get("ada", row.id) is None
        assert await it.store.action_items.list("ada") == []
        assert it.done == []


async def test_a_conversation_left_in_processing_without_a_job_gets_one(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    store = await Store.open(migrated(tmp_path), inline, now=wall_clock)
    row = await left(store)
    assert await store.jobs.discard("ada", PROCESS, row.id)
    await store.close()
    async with site(tmp_path) as it:
        await trio.testing.wait_all_tasks_blocked()
        assert (await it.finished(row)).status == "completed"


async def test_a_conversation_was_where_its_owner_was_when_it_ended(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with site(tmp_path) as it:
        place = {"latitude": 52.5, "longitude": 13.4, "address": "Berlin"}
        for age, expected in ((PLACE_AGE + 1, None), (PLACE_AGE // 2, place)):
            row = await it.given()
            await it.store.users.change("ada", {"geolocation": place | {"at": row.finished_at - age}})
            assert (await it.finished(row)).geolocation == expected


async def test_deleted_ones_are_hidden_at_once_and_erased_later(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with site(tmp_path) as it:
        row = await it.finished(await it.given())
        assert await it.store.conversations.delete("ada", row.id, delay=60.0)
        it.processor.wake()
        assert await it.store.conversations.get("ada", row.id) is None
        assert await it.store.conversations.segments("ada", row.id) == []
        assert await it.store.conversations.list("ada") == []
        assert not await it.store.conversations.delete("ada", row.id)
        assert await it.store.jobs.find("ada", "erase", row.id) is not None
        await trio.sleep(61)
        await trio.testing.wait_all_tasks_blocked()
        assert await it.store.jobs.find("ada", "erase", row.id) is None
        assert len(await it.store.memories.list("ada")) == 1


async def test_an_app_that_is_asked_says_what_it_makes_of_a_conversation(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with site(tmp_path, TestModels().plain) as it:
        done = await it.finished(await it.given())
        assert done.apps_results == []
        it.models.llm = Rhymes()  # type: ignore[assignment]
        for _ in range(2):
            done = await it.requests.reprocess("ada", done.id, app_id="poet")
        (result,) = done.apps_results
        assert result["app_id"] == "poet"
        assert "caterer" in result["content"]
        done = await it.requests.reprocess("ada", done.id, app_id="another")
        assert done.apps_results == [result]


async def test_apps_that_are_asked_always_say_what_they_make_of_each_conversation(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with site(tmp_path, TestModels().plain) as it:
        it.poet.asked_always = True
        it.models.llm = Rhymes()  # type: ignore[assignment]
        done = await it.finished(await it.given())
        (result,) = done.apps_results
        assert result["app_id"] == "poet"
        assert "caterer" in result["content"]
        done = await it.requests.reprocess("ada", done.id)
        assert [one["app_id"] for one in done.apps_results] == ["poet"]


async def test_an_app_that_fails_keeps_no_conversation_from_being_completed(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with site(tmp_path, TestModels().plain) as it:
        it.poet.asked_always = True
        it.models.llm = Silent()  # type: ignore[assignment]
        done = await it.finished(await it.given())
        assert (done.status, done.apps_results) == ("completed", [])
