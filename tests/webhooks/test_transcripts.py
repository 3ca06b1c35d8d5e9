"""Who wants to read along is sent new and changed segments, gathered for a second, in order."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
from trio.testing import MockClock

from engine.store.errors import DatabaseUnavailable
from engine.stt.vendor import SAMPLE_RATE
from engine.testing import ScriptedVendor, script_of
from engine.transcript.words import Word
from engine.webhooks.triggers import REALTIME_TRANSCRIPT
from engine.wire.messages import Segment
from tests.listen.harness import MemorySocket, frames, silence
from tests.webhooks.telling import Told, telling


def words(*said: tuple[str, float]) -> ScriptedVendor:
    return ScriptedVendor(
        script_of([Word(text, round(at * SAMPLE_RATE), round((at + 0.3) * SAMPLE_RATE)) for text, at in said])
    )


async def talk(socket: MemorySocket, seconds: float) -> None:
    """In real time."""
    began = trio.current_time()
    for n, frame in enumerate(frames(silence(seconds))):
        await trio.sleep_until(began + n * 0.02)
        await socket.say(frame)


async def bodies(told: Told, uid: str = "ada") -> list[dict[str, Any]]:
    rows = await told.deliveries(uid, trigger=REALTIME_TRANSCRIPT)
    return [msgspec.json.decode(row.body) for row in rows if row.body is not None]


async def test_new_and_changed_segments_are_sent_as_the_client_saw_them(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    vendor = words(("One", 0.2), ("two.", 0.7), ("Three", 4.0), ("four.", 6.5), ("Five.", 20.0))
    async with telling(tmp_path, vendor) as told:
        await told.wants(REALTIME_TRANSCRIPT)
        socket = await told.it.connect()
        await talk(socket, 22)
        await socket.leave()
        await told.it.idle()
        await told.transcripts.drained()
        sent = await bodies(told)
        rows = await told.deliveries()
    session = socket.events("conversation_session")[0]["recording_session_id"]
    assert [list(body) for body in sent] == [["segments", "session_id", "delivery_id"]] * len(sent)
    assert {row.query["session_id"] for row in rows} == {body["session_id"] for body in sent} == {session}
    assert [body["delivery_id"] for body in sent] == [row.id for row in rows]
    said = [segment for body in sent for segment in body["segments"]]
    revisions = [(segment["id"], segment["revision"]) for segment in said]
    assert len(set(revisions)) == len(revisions)
    last = {segment["id"]: segment for segment in said}
    assert last == socket.segments()
    assert len(sent) >= 3
    msgspec.convert(said, list[Segment])


async def test_what_comes_within_a_second_is_one_request(tmp_path: Path, autojump_clock: MockClock) -> None:
    vendor = words(*[(f"w{n}", 0.1 * n) for n in range(9)])
    async with telling(tmp_path, vendor, transcript_batch=5.0) as told:
        await told.wants(REALTIME_TRANSCRIPT)
        socket = await told.it.connect()
        await talk(socket, 4)
        await trio.sleep(2)
        assert len(await bodies(told)) == 1
        await socket.leave()
        await told.it.idle()
        await told.transcripts.drained()


async def test_nobody_who_has_not_asked_is_told(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with telling(tmp_path, words(("One.", 0.2))) as told:
        await told.wants(REALTIME_TRANSCRIPT, uid="bob")
        socket = await told.it.connect()
        await talk(socket, 3)
        await socket.leave()
        await told.it.idle()
        await told.transcripts.drained()
        assert await bodies(told) == await bodies(told, "bob") == []


async def test_while_the_database_is_away_segments_wait_within_bounds_and_what_is_dropped_is_counted(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = [(f"w{n}.", 4.0 * n) for n in range(20)]
    async with telling(tmp_path, words(*said), transcript_segments=3, transcript_age=1000.0) as told:
        await told.wants(REALTIME_TRANSCRIPT)
        away = True

        def refusing(call: Callable[..., Awaitable[int]]) -> Callable[..., Awaitable[int]]:
            async def refuse(*args: object, **options: object) -> int:
                if away:
                    raise DatabaseUnavailable("gone")
                return await call(*args, **options)

            return refuse

        monkeypatch.setattr(told.queue, "offer", refusing(told.queue.offer))
        monkeypatch.setattr(told.queue, "lost", refusing(told.queue.lost))
        socket = await told.it.connect()
        await talk(socket, 82)
        away = False
        await socket.leave()
        await told.it.idle()
        await told.transcripts.drained()
        sent = [segment["text"] for body in await bodies(told) for segment in body["segments"]]
        dropped = told.transcripts.statistics().dropped
        (lost,) = await told.deliveries(states=("lost",))
    assert f"{dropped} segments were not kept" in (lost.reason or "")
    assert len(socket.segments()) == 20
    assert dropped == 20 - len(sent) > 0
    assert sent[-3:] == ["w17.", "w18.", "w19."]
