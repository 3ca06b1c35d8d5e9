"""Files survive what fails, and are erased by age and by size, the oldest first, with their bytes."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio

from engine._config_receiver import Receiver
from engine.moments import DAY
from engine.store import Store
from engine.store.errors import BlobMissing, BlobsUnavailable
from engine.store.received_records import AUDIO, ReceivedFileRow, ReceivedMessageRow
from engine.webhooks.receiver.archive import Archive
from engine.webhooks.receiver.feed import Feed
from engine.webhooks.receiver.files import Layout, SavedAudio
from engine.webhooks.receiver.joining import Began
from engine.webhooks.receiver.keeping import MIB, Keeper
from tests.patience import PATIENCE
from tests.webhooks.receiver.chunks import RATE, audio, tone

NOW = 1_800_000_000_000_000


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await Store.open(tmp_path, trio.to_thread.run_sync, now=lambda: NOW)
    yield store
    await store.close()


class Failing:
    """A blob store that fails a few times before it works."""

    def __init__(self, store: Store, failures: int) -> None:
        self.left = failures
        self._blobs = store.received_blobs

    async def put(self, uid: str, name: str, data: bytes) -> None:
        if self.left:
            self.left -= 1
            raise BlobsUnavailable("the bucket is away")
        await self._blobs.put(uid, name, data)

    async def delete(self, uid: str, *names: str) -> None:
        await self._blobs.delete(uid, *names)


def archive(store: Store, blobs: Any = None, **settings: Any) -> Archive:
    quick = Receiver(**{"retry_initial": 0.001, "retry_limit": 0.001, **settings})
    return Archive(store.received_spool, blobs or store.received_blobs, store.received.files, quick)


def keeper(store: Store, **settings: Any) -> Keeper:
    chosen = Receiver(**{"retention_days": 0.0, "user_quota_mib": 0.0, **settings})
    return Keeper(
        store.received, store.received_events, store.received_blobs, archive(store), chosen, lambda: NOW
    )


async def add(store: Store, id: str, *, uid: str = "ann", age: float = 0.0, size: int = 100) -> None:
    name = f"received/{id}.wav"
    row = ReceivedFileRow(
        uid=uid,
        id=id,
        kind=AUDIO,
        name=name,
        session_id="s",
        session_began_at=0,
        position=0,
        samples=1,
        sample_rate=RATE,
        size=size,
        created_at=NOW - round(age * DAY),
    )
    await store.received.files.put(row)
    await store.received_blobs.put(uid, name, b"x" * 10)


async def left(store: Store, uid: str = "ann") -> set[str]:
    """Ids of the files whose row and bytes are both there; neither is without the other."""
    rows = {row.id for row in await store.received.files.list(uid, limit=100)}
    blobs = {Path(blob.name).stem for blob in await store.received_blobs.list(uid, "received")}
    assert rows == blobs
    return rows


def session(save: str = "session") -> Began:
    return Began(id="s1", uid="ann", sample_rate=RATE, began_at=NOW, interval=1.0)


async def consume(store: Store, save: str, minutes: float, *pieces: bytes, blobs: Any = None) -> list[bytes]:
    """Save audio, and give the PCM of the files that became of it, in their order."""
    layout = Layout(Receiver(save=save, file_minutes=minutes), lambda: NOW)  # type: ignore[arg-type]
    feed, at = Feed(10**9, lossless=True), 0
    for pcm in pieces:
        await feed.put(audio(at, pcm))
        at += len(pcm) // 2
    feed.finish()
    with trio.fail_after(PATIENCE):
        saved = SavedAudio(layout, archive(store, blobs), store.received_inbox)
        await saved.consume(session(), feed)
    rows = sorted(await store.received.files.list("ann", limit=100), key=lambda row: row.position)
    assert len({row.name for row in rows}) == len(rows)
    assert await store.received_spool.abandoned() == []
    files = [await store.received_blobs.get("ann", row.name) for row in rows]
    assert [(row.size, row.samples) for row in rows] == [(len(one), len(one) // 2 - 22) for one in files]
    return [one[44:] for one in files]


async def test_a_long_session_is_cut_into_files_that_are_its_samples(store: Store) -> None:
    pcm = tone(10 * RATE)
    files = await consume(store, "session", 3 / 60, pcm[:1000], pcm[1000 : 7 * RATE], pcm[7 * RATE :])
    assert [len(one) for one in files] == [6 * RATE, 6 * RATE, 6 * RATE, 2 * RATE]
    assert b"".join(files) == pcm


async def test_each_request_has_its_own_file(store: Store) -> None:
    assert await consume(store, "request", 1, tone(10), tone(20, 10)) == [tone(10), tone(20, 10)]


async def test_files_wait_for_a_blob_store_that_is_away(store: Store) -> None:
    blobs = Failing(store, 3)
    assert await consume(store, "request", 1, tone(10), blobs=blobs) == [tone(10)]
    assert blobs.left == 0


async def test_what_a_process_left_is_finished_by_the_next_one(store: Store) -> None:
    layout = Layout(Receiver(save="session"), lambda: NOW)
    part = await archive(store).begin(layout.row(session(), 0, AUDIO))
    await part.write(tone(50) + b"x")  # half a sample was written when it died
    part.close()
    await keeper(store).sweep()
    (row,) = await store.received.files.list("ann", limit=10)
    assert row.samples == 50
    assert (await store.received_blobs.get("ann", row.name))[44:] == tone(50)
    assert await store.received_spool.abandoned() == []


async def test_what_is_too_old_is_erased_with_its_bytes(store: Store) -> None:
    await add(store, "old", age=10.1)
    await add(store, "young", age=9.9)
    await store.received.messages.add(
        ReceivedMessageRow(
            uid="ann", id="m", trigger="day_summary", body=b"{}", size=2, created_at=NOW - 11 * DAY
        )
    )
    one = keeper(store, retention_days=10.0)
    await one.sweep()
    assert await left(store) == {"young"}
    assert await store.received.messages.get("ann", "m") is None
    assert one.erased == {"age": 2}
    assert (one.totals.files, one.totals.bytes) == (1, 100)


async def test_over_a_users_quota_the_oldest_of_that_user_is_erased(store: Store) -> None:
    for number in range(4):
        await add(store, f"a{number}", age=4 - number, size=MIB)
    await add(store, "b", uid="bob", age=9, size=MIB)
    one = keeper(store, user_quota_mib=2.5)
    await one.sweep()
    assert await left(store) == {"a2", "a3"}
    assert await left(store, "bob") == {"b"}
    assert one.erased == {"quota": 2}
    assert one.erased_bytes == 2 * MIB


async def test_over_the_quota_of_all_the_oldest_of_all_is_erased(store: Store) -> None:
    for number in range(3):
        await add(store, f"a{number}", age=3 - number, size=MIB)
    await add(store, "b", uid="bob", age=9, size=MIB)
    await keeper(store, quota_mib=2.0).sweep()
    assert await left(store, "bob") == set()
    assert await left(store) == {"a1", "a2"}


async def test_without_limits_everything_stays(store: Store) -> None:
    await add(store, "a", age=10_000, size=10**12)
    await keeper(store).sweep()
    assert await left(store) == {"a"}


async def test_erasing_a_user_takes_what_was_received_and_what_was_still_being_written(store: Store) -> None:
    await add(store, "a")
    part = await archive(store).begin(Layout(Receiver(), lambda: NOW).row(session(), 0, AUDIO))
    await part.write(tone(10))
    part.close()
    await store.user_data.erase("ann", serving=False, scrub=False)
    assert await store.received_spool.abandoned() == []
    assert await store.received.totals("ann") == await store.received.totals("nobody")
    with pytest.raises(BlobMissing):
        await store.received_blobs.get("ann", "received/a.wav")
