"""Who speaks, said by hand: on the socket, while people talk, and over REST when they have ended."""

import json
from pathlib import Path
from typing import Any

import pytest
from trio.testing import MockClock

from engine.store.jobs import LEARN
from engine.store.user_records import PersonRow
from engine.testing import ScriptedVendor, script_of
from engine.transcript.words import Word
from engine.wire.messages import Speaker
from tests.listen.harness import MemorySocket, Server, parameters, server
from tests.listen.test_session import talk, word

HEARD = [word("Good morning.", 0.1, 0.9), word("And a good evening.", 5.1, 5.9)]
OTHERS = [
    Word(text="Good morning.", start=1600, end=14_400, speaker=0),
    Word(text="Good evening.", start=81_600, end=94_400, speaker=1),
]


async def grace(it: Server, uid: str = "ada") -> str:
    await it.store.people.put(PersonRow(uid=uid, id="grace", name="Grace", created_at=1, updated_at=1))
    return "grace"


def assigned(segments: list[str], person_id: str, speaker_id: int = 0) -> str:
    return json.dumps(
        {
            "type": "speaker_assigned",
            "speaker_id": speaker_id,
            "person_id": person_id,
            "person_name": "Grace",
            "segment_ids": segments,
        }
    )


def shown(socket: MemorySocket) -> list[tuple[str, bool, str | None]]:
    segments = sorted(socket.segments().values(), key=lambda one: float(one["start"]))
    return [(one["text"], one["is_user"], one["person_id"]) for one in segments]


def notices(socket: MemorySocket) -> list[str]:
    return [str(one["status_text"]) for one in socket.statuses("notice")]


async def said_first(socket: MemorySocket) -> str:
    """Talk until the first segment is there; its id."""
    await talk(socket, 1.2)
    await socket.until(lambda s: s.segments())
    (segment,) = socket.segments()
    return segment


@pytest.mark.parametrize(
    ("person_id", "who"), [("grace", (False, "grace")), ("user", (True, None)), ("", (False, None))]
)
async def test_a_client_says_who_speaks_and_it_holds_for_what_they_say_next(
    tmp_path: Path, autojump_clock: MockClock, person_id: str, who: tuple[bool, str | None]
) -> None:
    async with server(tmp_path, ScriptedVendor(script_of(HEARD))) as it:
        await grace(it)
        socket = await it.connect()
        first = await said_first(socket)
        await socket.say(assigned([first], person_id))
        await socket.until(lambda s: s.segments()[first]["revision"] > 1)
        await talk(socket, 5)
        await socket.until(lambda s: len(s.segments()) == 2)
        assert shown(socket) == [("Good morning.", *who), ("And a good evening.", *who)]
        await socket.leave()
        await it.idle()
        ((row, segments),) = await it.conversations()
        assert [(one.is_user, one.person_id) for one in segments] == [who, who]
        why = await it.store.voices.decision("ada", row.id, first)
        assert why is not None
        assert (why["verdict"], why["person"]) == ("assigned", person_id or None)


async def test_another_speaker_is_not_named_with_them(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with server(tmp_path, ScriptedVendor(script_of(OTHERS))) as it:
        await grace(it)
        socket = await it.connect()
        first = await said_first(socket)
        await socket.say(assigned([first], "grace"))
        await talk(socket, 5.2)
        await socket.until(lambda s: len(s.segments()) == 2)
        assert shown(socket) == [("Good morning.", False, "grace"), ("Good evening.", False, None)]
        await socket.leave()
        await it.idle()


@pytest.mark.parametrize(
    ("segments", "person_id", "why"),
    [
        (["gone"], "grace", "segment_ids has none of this conversation"),
        ([], "grace", "segment_ids has none of this conversation"),
        (None, "nobody", "person_id=nobody is nobody you know"),
        (None, "grace", "person_id=grace is nobody you know"),
    ],
)
async def test_what_cannot_be_is_told_and_changes_nothing(
    tmp_path: Path, autojump_clock: MockClock, segments: list[str] | None, person_id: str, why: str
) -> None:
    async with server(tmp_path, ScriptedVendor(script_of(HEARD))) as it:
        await grace(it, uid="ada" if segments is not None else "bob")
        socket = await it.connect()
        first = await said_first(socket)
        await socket.say(assigned([first] if segments is None else segments, person_id))
        await socket.until(lambda s: notices(s))
        assert why in notices(socket)[0]
        assert shown(socket) == [("Good morning.", False, None)]
        await socket.leave()
        await it.idle()


async def test_of_several_segments_those_that_are_there_are_named(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with server(tmp_path, ScriptedVendor(script_of(HEARD))) as it:
        await grace(it)
        socket = await it.connect()
        first = await said_first(socket)
        await socket.say(assigned(["swallowed", first, first], "grace"))
        await socket.until(lambda s: s.segments()[first]["revision"] > 1)
        assert shown(socket) == [("Good morning.", False, "grace")]
        await socket.leave()
        await it.idle()


async def test_the_last_of_two_that_come_together_holds(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with server(tmp_path, ScriptedVendor(script_of(HEARD))) as it:
        await grace(it)
        socket = await it.connect()
        first = await said_first(socket)
        for person_id in ("user", "grace", "user", "grace"):
            await socket.say(assigned([first], person_id))
        await socket.until(lambda s: s.segments()[first]["revision"] == 5)
        assert shown(socket) == [("Good morning.", False, "grace")]
        await socket.leave()
        await it.idle()


async def test_after_the_end_a_person_is_to_be_learnt_and_only_then(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    done: list[Any] = []

    class Learner:
        async def do(self, job: Any) -> str:
            done.append(job.key)
            await it.store.jobs.done(job)
            return "completed"

        async def give_up(self, job: Any, reason: str) -> None:
            raise AssertionError(reason)

        async def after(self, job: Any) -> None:
            """Nobody waits."""

    async with server(tmp_path, ScriptedVendor(script_of(HEARD[:1]))) as it:
        it.processor.jobs.add(LEARN, Learner())
        await grace(it)
        socket = await it.connect(parameters(conversation_timeout=2))
        first = await said_first(socket)
        ((row, _),) = await it.conversations()
        assert await it.assigner.assign("ada", row.id, [first], Speaker(person_id="grace")) == []
        await socket.leave()
        await it.idle()
        await it.lifecycle.finish("ada")
        assert done == []
        assert await it.assigner.assign("ada", row.id, [first], Speaker(is_user=True)) == []
        assert await it.assigner.assign("ada", row.id, ["gone"], Speaker(person_id="grace")) == ["gone"]
        assert await it.assigner.assign("ada", row.id, [first], Speaker(person_id="ida")) is None
        assert done == []
        assert await it.assigner.assign("ada", row.id, [first], Speaker(person_id="grace")) == []
        await it.processor.jobs.wait("ada", LEARN, row.id, 1000)
        assert done == [row.id]
