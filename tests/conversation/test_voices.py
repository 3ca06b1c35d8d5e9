"""Voices that are kept: only of whom a user asks for, only as long, only with the user, and nowhere else."""

import io
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from msgspec.structs import replace
from trio.testing import MockClock

from engine._config_speaker import Speaker as Settings
from engine.audio.wav import encode_wav
from engine.conversation.voices import MOST_OWN, Voices
from engine.log import configure_logging
from engine.speaker.matching import OWNER
from engine.speaker.profile import BadProfile
from engine.store import Store
from engine.store.user_records import PersonRow
from engine.stt.vendor import SAMPLE_RATE
from tests.conversation.identifying import Counted, voice
from tests.databases import migrated
from tests.listen.harness import inline, wall_clock

ADA = encode_wav(voice("austen-0870"), SAMPLE_RATE)
GRACE = voice("beckett")


class Site:
    def __init__(self, store: Store, **settings: Any) -> None:
        self.store = store
        self.voices = Voices(
            kept=store.voices,
            blobs=store.profile_blobs,
            encoding=Counted(),
            settings=Settings(**settings),
            off_loop=inline,
            now=wall_clock,
        )

    async def files(self, uid: str = "ada") -> int:
        return len(await self.store.profile_blobs.list(uid))

    async def kept(self, uid: str = "ada") -> dict[str, int]:
        """Recordings by person."""
        rows = [*await self.voices.recordings(uid), *await self.voices.recordings(uid, "grace")]
        counts: dict[str, int] = {}
        for row in rows:
            counts[row.person_id] = counts.get(row.person_id, 0) + 1
        return counts

    async def known(self, uid: str = "ada") -> set[str]:
        return {one.id for one in await self.voices.known(uid)}


@asynccontextmanager
async def open_site(folder: Path, **settings: Any) -> AsyncIterator[Site]:
    store = await Store.open(migrated(folder), inline, now=wall_clock)
    for uid in ("ada", "bob"):
        await store.people.put(PersonRow(uid=uid, id="grace", name="Grace", created_at=1, updated_at=1))
    yield Site(store, **settings)
    await store.close()


async def test_nobody_is_kept_or_known_before_their_user_has_enrolled(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with open_site(tmp_path) as it:
        assert await it.voices.learn("ada", "grace", GRACE, {}) is None
        assert (await it.kept(), await it.files(), await it.known()) == ({}, 0, set())
        await it.voices.enrol("ada", ADA)
        assert await it.voices.learn("ada", "grace", GRACE, {}) is not None
        assert await it.known() == {OWNER, "grace"}
        assert (await it.kept("bob"), await it.files("bob"), await it.known("bob")) == ({}, 0, set())


async def test_who_forgets_their_own_voice_has_nobody_compared_any_more(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with open_site(tmp_path) as it:
        await it.voices.enrol("ada", ADA)
        await it.voices.learn("ada", "grace", GRACE, {})
        await it.voices.forget("ada")
        assert await it.known() == set()
        assert (await it.kept(), await it.files()) == ({"grace": 1}, 1)
        await it.voices.forget("ada", "grace")
        assert (await it.kept(), await it.files()) == ({}, 0)


async def test_all_of_it_is_erased_with_the_user(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with open_site(tmp_path) as it:
        for uid in ("ada", "bob"):
            await it.voices.enrol(uid, ADA)
            await it.voices.learn(uid, "grace", GRACE, {"conversation_id": "c", "segment_id": "s"})
            await it.store.voices.decided(uid, "c", {"s": {"person": "grace"}}, 1)
        await it.store.user_data.erase("ada", serving=False)
        assert (await it.kept(), await it.files()) == ({}, 0)
        assert await it.store.voices.decisions("ada", "c") == {}
        assert (await it.kept("bob"), await it.files("bob")) == ({OWNER: 1, "grace": 1}, 2)
        assert await it.store.voices.decisions("bob", "c") == {"s": {"person": "grace"}}


@pytest.mark.parametrize("days", [0, 1, 30])
async def test_recordings_go_when_they_are_older_than_is_configured(
    tmp_path: Path, autojump_clock: MockClock, days: int
) -> None:
    async with open_site(tmp_path, profile_days=days) as it, trio.open_nursery() as nursery:
        await it.voices.enrol("ada", ADA)
        await it.voices.learn("ada", "grace", GRACE, {})
        nursery.start_soon(it.voices.run)
        await trio.sleep((days or 100) * 86_400 - 3700)
        assert await it.kept() == {OWNER: 1, "grace": 1}
        await trio.sleep(3 * 3600)
        assert (await it.kept(), await it.files()) == (({}, 0) if days else ({OWNER: 1, "grace": 1}, 2))
        nursery.cancel_scope.cancel()


async def test_of_a_person_the_newest_samples_are_kept_and_none_where_none_are_wanted(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with open_site(tmp_path, samples_per_person=2) as it:
        await it.voices.enrol("ada", ADA)
        for number in range(3):
            await trio.sleep(1)
            await it.voices.learn("ada", "grace", GRACE, {"segment_id": str(number)})
        rows = await it.voices.recordings("ada", "grace")
        assert [row.source and row.source["segment_id"] for row in rows] == ["1", "2"]
        assert await it.files() == 3
    async with open_site(tmp_path / "none", samples_per_person=0) as it:
        await it.voices.enrol("ada", ADA)
        assert await it.voices.learn("ada", "grace", GRACE, {}) is None
        assert await it.files() == 1


async def test_there_is_an_end_to_what_a_user_may_add(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with open_site(tmp_path) as it:
        await it.voices.enrol("ada", ADA)
        (row,) = await it.voices.recordings("ada")
        for number in range(MOST_OWN - 1):
            await it.store.voices.put(replace(row, id=str(number)))
        with pytest.raises(BadProfile, match=f"{MOST_OWN} recordings"):
            await it.voices.extend("ada", ADA)
        assert await it.files() == 1


async def test_nothing_of_a_voice_is_in_the_log(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Not at the lowest level, not when something fails: no number of it, no file's name, nobody's name."""
    out = io.StringIO()
    root = logging.getLogger()
    before = root.handlers[:], root.level
    configure_logging("json", "debug", out)
    try:
        async with open_site(tmp_path) as it:
            await it.voices.enrol("ada", ADA)
            row = await it.voices.learn("ada", "grace", GRACE, {})
            assert row is not None
            await it.voices.known("ada")
            with pytest.raises(BadProfile):
                await it.voices.enrol("ada", encode_wav(voice("austen-0870")[: 4 * SAMPLE_RATE], SAMPLE_RATE))
            await it.voices.forget("ada", "grace")
    finally:
        root.handlers[:] = before[0]
        root.setLevel(before[1])
    logged = out.getvalue()
    assert "voices.learnt" in logged
    for secret in (row.name, row.vector.hex()[:16], "Grace", "voices/", str(list(row.vector[:4]))):
        assert secret not in logged
