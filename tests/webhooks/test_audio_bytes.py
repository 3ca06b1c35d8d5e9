"""Whoever wants a user's audio gets all of it, in chunks of exact length, the tail at the end, and each only once."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from engine.listen.mixing import mix
from engine.store.errors import DatabaseUnavailable
from engine.stt.vendor import SAMPLE_RATE
from engine.testing import ScriptedVendor, counted_words
from engine.webhooks.marks import Marks
from engine.webhooks.spooled import Place
from tests.listen.harness import MemorySocket, frames, parameters, tone
from tests.webhooks.telling import Told, telling

SECOND = 2 * SAMPLE_RATE
"""Bytes."""


def vendor() -> ScriptedVendor:
    return ScriptedVendor(counted_words(0.5))


async def say(socket: MemorySocket, sound: bytes) -> None:
    for frame in frames(sound):
        await socket.say(frame)


def chunks_of(sound: bytes) -> list[bytes]:
    return [sound[at : at + 5 * SECOND] for at in range(0, len(sound), 5 * SECOND)]


async def heard(told: Told, sound: bytes, uid: str = "ada") -> None:
    """One session from its beginning to its end, all of it cut."""
    socket = await told.it.connect(uid=uid)
    await say(socket, sound)
    await socket.leave()
    await told.it.idle()
    await told.audio.drained()


@pytest.mark.parametrize("seconds", [0.5, 5.0, 12.34])
async def test_chunks_are_exact_and_together_are_what_was_decoded(
    tmp_path: Path, autojump_clock: MockClock, seconds: float
) -> None:
    sound = tone(seconds)
    async with telling(tmp_path, vendor()) as told:
        await told.wants(seconds=5)
        await heard(told, sound)
        chunks = await told.audio_of()
        rows = await told.deliveries()
    assert b"".join(chunks) == sound
    assert all(len(chunk) == 5 * SECOND for chunk in chunks[:-1])
    assert [row.size for row in rows] == [len(chunk) for chunk in chunks]
    assert {(row.content_type, tuple(row.query.items())) for row in rows} == {
        ("application/octet-stream", (("sample_rate", "16000"), ("uid", "ada")))
    }


async def test_each_endpoint_has_its_own_length(tmp_path: Path, autojump_clock: MockClock) -> None:
    sound = tone(23)
    async with telling(tmp_path, vendor()) as told:
        await told.wants(seconds=7)
        await heard(told, sound)
        await told.wants(seconds=3)
        await heard(told, sound)
        lengths = [len(chunk) // SECOND for chunk in await told.audio_of()]
    assert lengths == [7, 7, 7, 2, *[3] * 7, 2]


async def test_chunks_of_a_minute_are_written_as_they_come(tmp_path: Path, autojump_clock: MockClock) -> None:
    sound = tone(70)
    async with telling(tmp_path, vendor()) as told:
        await told.wants(seconds=60)
        socket = await told.it.connect()
        await say(socket, sound[: 30 * SECOND])
        await wait_all_tasks_blocked()
        assert told.spool.statistics().bytes >= 25 * SECOND
        await say(socket, sound[30 * SECOND :])
        await socket.leave()
        await told.it.idle()
        await told.audio.drained()
        chunks = await told.audio_of()
    assert [len(chunk) // SECOND for chunk in chunks] == [60, 10]
    assert b"".join(chunks) == sound


async def test_nobody_who_has_not_asked_is_told_and_nothing_is_written(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with telling(tmp_path, vendor()) as told:
        await told.wants(uid="bob")
        await heard(told, tone(12))
        assert await told.deliveries() == await told.deliveries("bob") == []
        assert told.spool.statistics().files == 0


async def test_a_webhook_that_is_turned_on_meanwhile_hears_what_follows(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with telling(tmp_path, vendor(), audio_look=5.0) as told:
        socket = await told.it.connect()
        await say(socket, tone(3))
        await wait_all_tasks_blocked()
        assert told.audio.statistics().idle == 1
        await told.wants()
        await trio.sleep(6)
        assert told.audio.statistics().heard == 1
        rest = tone(9)[SECOND:]
        await say(socket, rest)
        await socket.leave()
        await told.it.idle()
        await told.audio.drained()
        assert b"".join(await told.audio_of()) == rest


async def test_a_session_nobody_wanted_is_forgotten_at_its_end(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with telling(tmp_path, vendor(), audio_look=3600.0) as told:
        socket = await told.it.connect()
        await say(socket, tone(3))
        await wait_all_tasks_blocked()
        assert told.audio.statistics().idle == 1
        await socket.leave()
        await told.it.idle()
        assert told.audio.statistics().idle == 0


async def test_a_webhook_that_is_turned_off_hears_no_more(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with telling(tmp_path, vendor()) as told:
        await told.wants()
        socket = await told.it.connect()
        await say(socket, tone(6))
        await wait_all_tasks_blocked()
        await told.store.webhooks.disable("ada", "developer", "audio_bytes")
        told.directory.forget("ada")
        await say(socket, tone(20))
        await socket.leave()
        await told.it.idle()
        await told.audio.drained()
        assert len(await told.deliveries(states=("pending",))) <= 2
        assert told.audio.statistics().lost_samples == 0


async def test_a_session_that_transcribes_by_itself_is_heard_too(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    sound = tone(11)
    async with telling(tmp_path) as told:
        await told.wants()
        socket = await told.it.connect(parameters(custom_stt=True))
        await say(socket, sound)
        await socket.leave()
        await told.it.idle()
        await told.audio.drained()
        assert b"".join(await told.audio_of()) == sound


async def test_while_the_database_is_away_nothing_is_lost(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = tone(20)
    async with telling(tmp_path, vendor()) as told:
        await told.wants()
        offer, tries = told.queue.offer_file, 0

        async def refuse(*args: object, **options: object) -> bool:
            nonlocal tries
            tries += 1
            if tries < 5:
                raise DatabaseUnavailable("gone")
            return await offer(*args, **options)  # type: ignore[arg-type]

        monkeypatch.setattr(told.queue, "offer_file", refuse)
        await heard(told, sound)
        assert b"".join(await told.audio_of()) == sound
        assert (tries, told.audio.statistics().lost_samples) == (8, 0)


async def test_what_a_full_disk_refuses_is_shown_in_the_log(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    (tmp_path / "spool").write_bytes(b"in the way")
    async with telling(tmp_path, vendor()) as told:
        await told.wants()
        await heard(told, tone(12))
        rows = await told.deliveries(states=("lost",))
    assert sorted(row.size for row in rows) == [2 * SECOND, 5 * SECOND, 5 * SECOND]
    assert {row.reason for row in rows} == {"the spool could not be written: File exists"}


async def test_what_a_process_that_died_had_not_cut_is_shown_in_the_log_once(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    dead = Marks(tmp_path / "marks")
    dead.open("ada", "developer", "s1").set(cut=5 * SAMPLE_RATE, heard=8 * SAMPLE_RATE)
    dead.close()
    for _ in range(2):
        async with telling(tmp_path) as told:
            await wait_all_tasks_blocked()
            (row,) = await told.deliveries(states=("lost",))
    assert (row.size, row.reason) == (3 * SECOND, "the process died before this audio was cut")


async def test_what_was_cut_before_its_mark_had_moved_on_is_not_counted_as_lost(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with telling(tmp_path, vendor()) as told:
        await told.wants()
        await heard(told, tone(5))
        (row,) = await told.deliveries()
        session = row.file.partition("-")[0] if row.file else ""
    for end, lost in ((5, []), (6, [SECOND])):
        dead = Marks(tmp_path / "marks")
        dead.open("ada", "developer", session).set(cut=0, heard=end * SAMPLE_RATE)
        dead.close()
        async with telling(tmp_path) as told:
            await wait_all_tasks_blocked()
            assert [row.size for row in await told.deliveries(states=("lost",))] == lost


@pytest.mark.parametrize("seconds", [1, 4, 5, 13])
async def test_two_who_hear_the_same_have_it_on_the_disk_once(
    tmp_path: Path, autojump_clock: MockClock, seconds: int
) -> None:
    sound = tone(23)
    async with telling(tmp_path, vendor()) as told:
        await told.wants(seconds=seconds)
        told.apps.append("diary")
        await heard(told, sound)
        hers = await told.audio_of(endpoint="developer")
        its = await told.audio_of(endpoint="app:diary")
        assert told.spool.statistics().bytes == len(sound)
    assert [len(chunk) // SECOND for chunk in its] == [5, 5, 5, 5, 3]
    assert {len(chunk) for chunk in hers[:-1]} == {seconds * SECOND}
    assert b"".join(hers) == b"".join(its) == sound


async def test_a_session_marks_what_is_not_cut_yet(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with telling(tmp_path, vendor()) as told:
        await told.wants()
        socket = await told.it.connect()
        await say(socket, tone(7.5))
        await trio.sleep(1.5)
        (path,) = (tmp_path / "marks").iterdir()
        copy = tmp_path / "copy" / "dead.marks"
        copy.parent.mkdir()
        copy.write_bytes(path.read_bytes())
        reading = Marks(copy.parent)
        ((_, (left,)),) = reading.left_behind()
        reading.close()
        assert (left.uid, left.cut, left.heard) == ("ada", 5 * SAMPLE_RATE, round(7.5 * SAMPLE_RATE))
        await socket.leave()
        await told.it.idle()
        await told.audio.drained()


async def test_who_falls_behind_is_counted_and_nobody_waits(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = tone(60)
    async with telling(tmp_path, vendor(), audio_behind=10.0) as told:
        await told.wants()
        stuck, append = trio.Event(), told.spool.append

        async def slow(uid: str, pieces: Sequence[bytes]) -> Place:
            await stuck.wait()
            return await append(uid, pieces)

        monkeypatch.setattr(told.spool, "append", slow)
        socket = await told.it.connect()
        await say(socket, sound)
        await socket.leave()
        await told.it.idle()  # the session is over, and all its words are there
        assert len(socket.text().split()) == 120
        stuck.set()
        await told.audio.drained()
        lost = told.audio.statistics().lost_samples
        (row,) = await told.deliveries(states=("lost",))
        assert row.size == 2 * lost > 0
        assert len(b"".join(await told.audio_of())) == len(sound) - 2 * lost


async def test_both_sides_of_a_call_are_heard_as_one(tmp_path: Path, autojump_clock: MockClock) -> None:
    sound = tone(11)
    async with telling(tmp_path, vendor()) as told:
        await told.wants()
        socket = await told.it.connect(parameters(channels=2, multi_channel=True))
        for frame in frames(sound):
            await socket.say(b"\x00" + frame)
            await socket.say(b"\x01" + frame)
        await socket.leave()
        await told.it.idle()
        await told.audio.drained()
        chunks = await told.audio_of()
    assert [len(chunk) // SECOND for chunk in chunks] == [5, 5, 1]
    assert b"".join(chunks) == mix([sound, sound])
