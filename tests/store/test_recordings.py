"""Recordings of conversations, over both databases: what goes takes its blobs along, in the end."""

from pathlib import Path

import pytest
import trio
from msgspec.structs import replace

from engine.store import COMPLETED, PROCESSING, Store
from engine.store.blob_erasures import ERASE_BLOBS
from engine.store.errors import ClaimLost
from engine.store.processing import Processed
from engine.store.recordings import blob_of
from engine.store.user_records import RecordingRow
from tests.databases import migrated

from .making import NOW, Clock, conversation

MINUTE = 60 * 16_000


def piece(number: int = 0, *, uid: str = "u1", conversation_id: str = "c1", size: int = 100) -> RecordingRow:
    return RecordingRow(
        uid=uid,
        id=f"s1-{number}",
        conversation_id=conversation_id,
        base_at=NOW,
        start=number * MINUTE,
        samples=MINUTE,
        bytes=size,
        created_at=NOW + number,
    )


async def talk(store: Store, *ids: str, uid: str = "u1") -> None:
    for id in ids:
        await store.conversations.create(conversation(id, uid, status=COMPLETED))


async def keep(store: Store, *pieces: RecordingRow, quota: int = 0) -> None:
    for row in pieces:
        assert await store.recordings.add(row, quota=quota)
        await store.blobs.put(row.uid, blob_of(row.id), b"x" * row.bytes)


async def blobs(store: Store, uid: str = "u1") -> list[str]:
    return [blob.name for blob in await store.blobs.list(uid)]


async def erase(store: Store) -> int:
    """Do the job that erases blobs; how many there were."""
    (job,) = await store.jobs.claim("me", [ERASE_BLOBS], 10, 5)
    return await store.blob_erasures.erase(job)


async def test_the_pieces_of_a_conversation_are_in_the_order_of_time(store: Store) -> None:
    await talk(store, "c1", "c2")
    await keep(store, piece(2), piece(0), piece(1), piece(7, conversation_id="c2"))
    assert await store.recordings.of_conversation("u1", "c1") == [piece(0), piece(1), piece(2)]
    assert await store.recordings.of_conversation("u2", "c1") == []


async def test_a_piece_of_no_conversation_is_not_kept(store: Store) -> None:
    assert not await store.recordings.add(piece(), quota=0)
    await talk(store, "c1")
    await store.conversations.delete("u1", "c1", delay=60)
    assert not await store.recordings.add(piece(), quota=0)
    assert await store.recordings.of_conversation("u1", "c1") == []


async def test_a_piece_that_is_added_twice_is_there_once(store: Store) -> None:
    await talk(store, "c1")
    await keep(store, piece(), replace(piece(), bytes=50))
    assert await store.recordings.of_conversation("u1", "c1") == [replace(piece(), bytes=50)]


async def test_what_was_recorded_is_summed_by_conversation_latest_first(store: Store) -> None:
    await talk(store, "c1", "c2")
    await talk(store, "c1", uid="u2")
    await keep(store, piece(0), piece(1), piece(2, conversation_id="c2"), piece(uid="u2"))
    found = await store.recordings.sums("u1", limit=10)
    assert [(each.conversation_id, each.pieces, each.samples, each.bytes) for each in found] == [
        ("c2", 1, MINUTE, 100),
        ("c1", 2, 2 * MINUTE, 200),
    ]
    assert [each.conversation_id for each in await store.recordings.sums("u1", limit=1, offset=1)] == ["c1"]
    await store.conversations.delete("u1", "c2", delay=60)
    assert [each.conversation_id for each in await store.recordings.sums("u1", limit=10)] == ["c1"]


async def test_over_the_quota_the_oldest_go_and_their_blobs_with_them(store: Store) -> None:
    await talk(store, "c1", "c2")
    await talk(store, "c1", uid="u2")
    await keep(store, piece(0, conversation_id="c2"), piece(1), piece(9, uid="u2", size=5000))
    await keep(store, piece(2), piece(3), quota=250)
    assert await store.recordings.of_conversation("u1", "c2") == []
    assert await store.recordings.of_conversation("u1", "c1") == [piece(2), piece(3)]
    assert len(await store.recordings.of_conversation("u2", "c1")) == 1
    assert await erase(store) == 2
    assert await blobs(store) == [blob_of("s1-2"), blob_of("s1-3")]


async def test_old_pieces_of_all_users_go(store: Store) -> None:
    for uid in ("u1", "u2"):
        await talk(store, "c1", uid=uid)
        await keep(store, piece(0, uid=uid), piece(1, uid=uid))
    assert await store.recordings.expire(NOW + 1) == 2
    assert await store.recordings.expire(NOW + 1) == 0
    for uid in ("u1", "u2"):
        assert [row.id for row in await store.recordings.of_conversation(uid, "c1")] == ["s1-1"]
    for job in await store.jobs.claim("me", [ERASE_BLOBS], 10, 5):
        await store.blob_erasures.erase(job)
    assert await blobs(store, "u1") == await blobs(store, "u2") == [blob_of("s1-1")]


async def test_a_recording_may_be_dropped_without_its_conversation(store: Store) -> None:
    await talk(store, "c1", "c2")
    await keep(store, piece(0), piece(1), piece(2, conversation_id="c2"))
    assert await store.recordings.drop("u1", "c1")
    assert not await store.recordings.drop("u1", "c1")
    assert not await store.recordings.drop("u2", "c2")
    assert await erase(store) == 2
    assert await blobs(store) == [blob_of("s1-2")]
    assert await store.conversations.get("u1", "c1") is not None


async def test_a_piece_that_could_not_be_put_is_forgotten(store: Store) -> None:
    await talk(store, "c1")
    await keep(store, piece())
    await store.recordings.forget("u1", "s1-0")
    assert await store.recordings.of_conversation("u1", "c1") == []
    await erase(store)
    assert await blobs(store) == []


async def test_a_deleted_conversation_takes_its_recording_along_when_it_is_erased(
    store: Store, clock: Clock
) -> None:
    await talk(store, "c1", "c2")
    await keep(store, piece(0), piece(1, conversation_id="c2"))
    await store.conversations.delete("u1", "c1", delay=60)
    assert await store.jobs.next_due([ERASE_BLOBS]) is None
    clock.now += 61_000_000
    (job,) = await store.jobs.claim("me", ["erase"], 10, 1)
    await store.processing.erase_due(job)
    await erase(store)
    assert await blobs(store) == [blob_of("s1-1")]
    await store.conversations.delete("u1", "c2")
    await erase(store)
    assert await blobs(store) == []


async def test_what_was_merged_has_the_recordings_of_all(store: Store) -> None:
    await talk(store, "c1", "c2")
    await keep(store, piece(0), piece(1, conversation_id="c2"))
    whole = conversation("c3", status=PROCESSING)
    assert await store.processing.merge(whole, [], {}, ["c1", "c2"], [COMPLETED])
    (job,) = await store.jobs.claim("me", ["process"], 10, 1)
    assert await store.processing.finish(job, Processed(version=1, changes={}), source_delay=0)
    assert [row.id for row in await store.recordings.of_conversation("u1", "c3")] == ["s1-0", "s1-1"]
    assert await store.jobs.next_due([ERASE_BLOBS]) is None
    assert len(await blobs(store)) == 2


async def test_an_erasure_ends_once_and_what_comes_meanwhile_has_a_job_of_its_own(store: Store) -> None:
    await talk(store, "c1", "c2")
    await keep(store, piece(0), piece(1, conversation_id="c2"))
    await store.recordings.drop("u1", "c1")
    (job,) = await store.jobs.claim("me", [ERASE_BLOBS], 10, 1)
    await store.recordings.drop("u1", "c2")  # while the job runs: it may have looked already
    assert await store.blob_erasures.erase(job) == 2
    with pytest.raises(ClaimLost):
        await store.blob_erasures.erase(job)
    assert await store.jobs.next_due([ERASE_BLOBS]) is None
    assert await blobs(store) == []


async def test_more_than_one_job_takes_are_left_to_the_next(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.store.blob_erasures.AT_ONCE", 2)
    await talk(store, "c1")
    await keep(store, *map(piece, range(5)))
    await store.recordings.drop("u1", "c1")
    assert [await erase(store) for _ in range(3)] == [2, 2, 1]
    assert await blobs(store) == []
    assert await store.jobs.next_due([ERASE_BLOBS]) is None


async def test_a_conversation_deleted_while_pieces_come_leaves_no_blob(tmp_path: Path) -> None:
    """Of two users at once, so that jobs and rows of one are not the other's."""
    store = await Store.open(migrated(tmp_path), trio.to_thread.run_sync)
    for uid in ("u1", "u2"):
        await talk(store, "c1", uid=uid)

    async def record(uid: str) -> None:
        for number in range(20):
            row = piece(number, uid=uid)
            if await store.recordings.add(row, quota=0):
                await store.blobs.put(uid, blob_of(row.id), b"x")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(record, "u1")
        nursery.start_soon(record, "u2")
    await store.conversations.delete("u1", "c1")
    for job in await store.jobs.claim("me", [ERASE_BLOBS], 10, 5):
        await store.blob_erasures.erase(job)
    assert await blobs(store, "u1") == []
    assert len(await blobs(store, "u2")) == 20
    await store.close()
