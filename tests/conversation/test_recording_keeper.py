"""What was heard becomes recordings of the conversations it belongs to, or stays where it is until it can."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import trio

from engine._config_blobs import Recordings as Settings
from engine.audio.flac import decode_flac
from engine.conversation.recording_keeper import Keeper
from engine.conversation.recording_spool import Part, Spool, Track
from engine.store import COMPLETED, ConversationRow, Store
from engine.store.blob_erasures import ERASE_BLOBS
from engine.store.errors import BlobsUnavailable, DatabaseUnavailable
from engine.store.recordings import blob_of
from engine.store.user_records import RecordingRow

NOW = 1_750_000_000_000_000
DAY = 86_400_000_000


class Away:
    """Blobs that cannot be put so many times, and then go where they belong."""

    def __init__(self, store: Store, times: int) -> None:
        self._store = store
        self._times = times

    async def put(self, uid: str, name: str, data: bytes) -> None:
        if self._times:
            self._times -= 1
            raise BlobsUnavailable("the bucket is away")
        await self._store.blobs.put(uid, name, data)

    async def delete(self, uid: str, *names: str) -> None:
        await self._store.blobs.delete(uid, *names)


async def yes(uid: str) -> bool:
    return True


@dataclass
class Desk:
    store: Store
    root: Path
    flushed: int = 0

    def keeper(self, away: int = 0, **settings: float) -> Keeper:
        async def flush() -> None:
            self.flushed += 1

        return Keeper(
            self.store.recordings,
            Away(self.store, away),
            Settings(keep=True, **settings),
            flush,
            trio.to_thread.run_sync,
            lambda: NOW,
        )

    async def talk(self, *ids: str) -> None:
        for id in ids:
            await self.store.conversations.create(
                ConversationRow(
                    uid="ada",
                    id=id,
                    status=COMPLETED,
                    created_at=NOW,
                    started_at=NOW,
                    finished_at=NOW,
                    last_speech_at=NOW,
                    timeout_seconds=120,
                    source="omi",
                )
            )

    async def rows(self, id: str) -> list[tuple[int, int, int]]:
        """Where its pieces are: base, start and samples."""
        found = await self.store.recordings.of_conversation("ada", id)
        return [(row.base_at, row.start, row.samples) for row in found]

    async def sound(self, id: str) -> list[int]:
        row: RecordingRow
        (row,) = await self.store.recordings.of_conversation("ada", id)
        samples, _ = decode_flac(await self.store.blobs.get("ada", blob_of(row.id)))
        return list(samples)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    store = await Store.open(tmp_path / "data", trio.to_thread.run_sync, now=lambda: NOW)
    yield Desk(store, tmp_path / "spool")
    await store.close()


def spooled(root: Path, *parts: Part, count: int = 100) -> tuple[Track, Spool]:
    """A track with one file, of samples 0 to `count`."""
    track = Track(uid="ada", session_id="s1", channel=0, parts=parts)
    spool = Spool.create(root, track, 1_000_000)
    spool.append(0, np.arange(count).astype("<i2").tobytes())
    spool.roll()
    return track, spool


async def test_a_piece_is_cut_where_conversations_meet_and_those_without_a_word_have_none(desk: Desk) -> None:
    await desk.talk("c1", "c2", "c3")
    parts = Part("c1", 0, NOW), Part("c2", 30), Part("c3", 60, NOW + 5), Part("c4", 100)
    track, spool = spooled(desk.root, *parts)
    assert await desk.keeper().keep(track, spool.closed[0]) == 70
    assert await desk.rows("c1") == [(NOW, 0, 30)]
    assert await desk.rows("c2") == []
    assert await desk.rows("c3") == [(NOW + 5, 60, 40)]
    assert await desk.sound("c1") == list(range(30))
    assert await desk.sound("c3") == list(range(60, 100))
    spool.close()


async def test_keeping_twice_keeps_once(desk: Desk) -> None:
    await desk.talk("c1")
    track, spool = spooled(desk.root, Part("c1", 0, NOW))
    for _ in range(2):
        assert await desk.keeper().keep(track, spool.closed[0]) == 100
    assert await desk.rows("c1") == [(NOW, 0, 100)]
    assert len(await desk.store.blobs.list("ada")) == 1
    spool.close()


async def test_of_a_conversation_that_is_not_there_nothing_is_kept(desk: Desk) -> None:
    track, spool = spooled(desk.root, Part("c1", 0, NOW))
    assert await desk.keeper().keep(track, spool.closed[0]) == 0
    assert desk.flushed == 1, "it might only not be in the database yet"
    assert await desk.store.blobs.list("ada") == []
    spool.close()


async def test_while_the_blobs_are_away_nothing_is_there_and_all_waits(desk: Desk) -> None:
    await desk.talk("c1")
    _, spool = spooled(desk.root, Part("c1", 0, NOW))
    spool.close()
    keeper = desk.keeper(away=1)
    assert await keeper.keep_abandoned(desk.root, yes) == 0
    assert await desk.rows("c1") == []
    assert await keeper.keep_abandoned(desk.root, yes) == 100
    assert await desk.rows("c1") == [(NOW, 0, 100)]
    assert not await trio.Path(desk.root / "ada").exists()
    assert await keeper.keep_abandoned(desk.root, yes) == 0


async def test_what_was_left_is_dropped_if_its_user_does_not_allow_it_and_waits_while_nobody_knows(
    desk: Desk,
) -> None:
    await desk.talk("c1")
    _, spool = spooled(desk.root, Part("c1", 0, NOW))
    spool.close()

    async def unknown(uid: str) -> bool:
        raise DatabaseUnavailable("locked")

    async def no(uid: str) -> bool:
        return False

    assert await desk.keeper().keep_abandoned(desk.root, unknown) == 0
    assert await trio.Path(spool.folder).exists()
    assert await desk.keeper().keep_abandoned(desk.root, no) == 0
    assert not await trio.Path(desk.root / "ada").exists()
    assert await desk.rows("c1") == []


async def test_what_is_erased_while_it_is_put_leaves_no_blob(desk: Desk) -> None:
    await desk.talk("c1")
    track, spool = spooled(desk.root, Part("c1", 0, NOW))
    keeper = desk.keeper()

    class Late(Away):
        """The conversation is deleted, and its blobs are erased, just before there is one."""

        async def put(self, uid: str, name: str, data: bytes) -> None:
            await desk.store.conversations.delete(uid, "c1")
            (job,) = await desk.store.jobs.claim("me", [ERASE_BLOBS], 10, 1)
            await desk.store.blob_erasures.erase(job)
            await super().put(uid, name, data)

    keeper._blobs = Late(desk.store, 0)
    assert await keeper.keep(track, spool.closed[0]) == 0
    assert await desk.store.blobs.list("ada") == []
    spool.close()


async def test_what_is_older_than_it_may_be_is_removed(desk: Desk) -> None:
    await desk.talk("c1")
    track, spool = spooled(desk.root, Part("c1", 0, NOW))
    await desk.keeper().keep(track, spool.closed[0])
    assert await desk.keeper(retention_days=0).expire() == 0
    assert await desk.keeper(retention_days=1).expire() == 0
    later = desk.keeper(retention_days=1)
    later._now = lambda: NOW + DAY + 1
    assert await later.expire() == 1
    assert await desk.rows("c1") == []
    spool.close()


async def test_no_more_of_a_user_is_kept_than_the_quota(desk: Desk) -> None:
    await desk.talk("c1")
    track, spool = spooled(desk.root, Part("c1", 0, NOW), count=1000)
    await desk.keeper(quota_mib=1).keep(track, spool.closed[0])
    assert len(await desk.rows("c1")) == 1
    await desk.keeper(quota_mib=0.0001).keep(track, spool.closed[0])
    assert await desk.rows("c1") == []
    spool.close()
