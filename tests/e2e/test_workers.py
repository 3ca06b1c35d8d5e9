"""Two workers on one port are one server: to its users, in its figures, when one is killed, and at the end."""

import fcntl
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import pytest
import trio

from engine.server.machine import LOCK_FILE, DataDirInUse, hold_data_dir
from engine.stt.vendor import SAMPLE_RATE
from engine.wire.documents import MemoryCreated
from engine.wire.messages import ConversationSession, Event
from tests.e2e.process import Process, started
from tests.e2e.running import Shown, hear_all, segments_of, talking
from tests.e2e.test_restart import SHORT, WORD, all_set, frames, speak_until_sent_away
from tests.patience import PATIENCE

TRIES = 40
"""Connects until both workers have had one: the kernel deals them out as if by lot."""
TWO = {"LISTEN_WORKERS": 2, "LISTEN_SUPERVISOR_HANDOVER_TIMEOUT": 60, **SHORT}
"""On a busy machine nobody is told to try again later because a worker is slow."""


E = TypeVar("E", bound=Event)


def told(shown: Shown, kind: type[E]) -> list[E]:
    return [event for event in shown.events if isinstance(event, kind)]


async def place(server: Process, shown: Shown) -> tuple[str, int]:
    """The conversation a session writes to, and the number of the worker it runs at."""
    await shown.until(lambda seen: told(seen, ConversationSession))
    joined = told(shown, ConversationSession)[-1]
    with trio.fail_after(PATIENCE):
        (began,) = await server.log.until("session.began", session=joined.recording_session_id)
    return joined.conversation_id, began["worker"]


async def visit(server: Process, uid: str, seconds: float = 0.5) -> tuple[str, int]:
    """Come, say something, and go."""
    async with talking(server.url, uid, conversation_timeout=600) as (client, shown):
        await hear_all(client, shown, frames(seconds))
        where = await place(server, shown)
        await client.close()
    return where


async def test_what_all_workers_count_is_told_by_whichever_is_asked(tmp_path: Path) -> None:
    async with started(tmp_path, **TWO) as server:
        visited = [await visit(server, f"user-{n}") for n in range(TRIES)]
        assert {worker for _, worker in visited} == {0, 1}
        with trio.fail_after(PATIENCE):
            await server.log.until("session.ended", count=TRIES)
        audio = sum(ledger.samples_in for ledger in server.log.ledgers().values()) / SAMPLE_RATE
        for _ in range(4):
            text = (await server._http.get("/metrics", headers={"Connection": "close"})).text
            assert f"listen_connections_total {TRIES}.0" in text
            assert f'listen_audio_in_seconds_total{{codec="pcm16"}} {audio}' in text
            assert "listen_connections_active 0.0" in text
            assert "listen_workers_ready 2.0" in text
        assert await server.terminate() == 0


async def test_a_user_who_comes_back_goes_on_where_they_were_whichever_worker_they_meet(
    tmp_path: Path,
) -> None:
    async with started(tmp_path, LISTEN_LIMITS_CONNECTS_PER_MINUTE=TRIES, **TWO) as server:
        visited = [await visit(server, "ada", seconds=0.2) for _ in range(TRIES)]
        assert {worker for _, worker in visited} == {0, 1}
        assert len({conversation for conversation, _ in visited}) == 1
        # The connects of all workers count together, and none is forgotten when the user moves.
        for _ in range(TRIES):  # those that are older than a minute, on a slow machine, do not count
            async with talking(server.url, "ada", conversation_timeout=600) as (client, shown):
                await shown.until(lambda seen: seen.statuses() or seen.over.is_set())
                refused = shown.over.is_set()
            if refused:
                break
        assert (refused, client.close_code) == (True, 1013)
        answer = await server._http.post("/v1/conversations", params={"uid": "ada"})
        conversation = answer.json()["conversation"]
        assert conversation["id"] == visited[0][0]
        words = [word for segment in segments_of(conversation) for word in segment.text.split()]
        assert len(words) == TRIES * round(0.2 / WORD)
        assert await server.terminate() == 0


@asynccontextmanager
async def beside(server: Process, uid: str) -> AsyncIterator[tuple[Shown, Shown]]:
    """Two live sessions of one user whose sockets are at different workers."""
    async with talking(server.url, uid, conversation_timeout=600) as (_, first):
        for _ in range(TRIES):
            async with talking(server.url, uid, conversation_timeout=600) as (client, second):
                assert await place(server, second) == await place(server, first)
                if server.log.all("session.passed_on"):
                    await hear_all(client, second, frames(1.0))
                    yield first, second
                    return
                await client.close()
            with trio.fail_after(PATIENCE):  # it still counts while it transcribes what is left
                (joined,) = told(second, ConversationSession)
                await server.log.until("session.ended", session=joined.recording_session_id)
        pytest.fail("both sockets were at one worker again and again")


async def test_a_second_session_of_a_user_runs_beside_the_first_and_both_hear_of_the_end(
    tmp_path: Path,
) -> None:
    async with started(tmp_path, LISTEN_LIMITS_SESSIONS_PER_USER=2, **TWO) as server:
        async with beside(server, "ada") as (first, second):
            assert second.text.split() == [f"w{n}." for n in range(round(1.0 / WORD))]
            for _ in range(TRIES // 4):  # at whichever worker they land, two is the most
                async with talking(server.url, "ada") as (client, refused):
                    await refused.until_over()
                assert client.close_code == 1013
            # Also where no session of the user is, posting ends the conversation of both.
            for _ in range(4):
                answer = await server._http.post(
                    "/v1/conversations", params={"uid": "ada"}, headers={"Connection": "close"}
                )
                if answer.status_code == 200:
                    ended = answer.json()["conversation"]
            assert segments_of(ended) == second.ordered
            for shown in (first, second):
                await shown.until(lambda seen: told(seen, MemoryCreated))
                assert len(told(shown, ConversationSession)) >= 2
            # And so does deleting the one that began then.
            current, _ = await place(server, second)
            gone = await server._http.delete(f"/v1/conversations/{current}", params={"uid": "ada"})
            assert gone.status_code == 204
            await second.until(lambda seen: told(seen, ConversationSession)[-1].conversation_id != current)
        assert await server.terminate() == 0
        assert not server.log.troubles()


async def test_what_a_killed_worker_left_is_completed_by_the_other_or_gone_on_with(tmp_path: Path) -> None:
    users = [f"user-{n}" for n in range(8)]
    shown = {uid: Shown() for uid in users}
    spoke = {uid: trio.Event() for uid in users}

    async def talk(uid: str) -> None:
        await speak_until_sent_away(server, uid, shown[uid], 12, spoke[uid], conversation_timeout=8)

    async with started(tmp_path, **TWO) as server, trio.open_nursery() as nursery:
        for uid in users:
            nursery.start_soon(talk, uid)
        await all_set(spoke.values())
        at = {uid: await place(server, shown[uid]) for uid in users}
        (victim,) = server.log.all("worker.started", worker=at[users[0]][1])
        os.kill(victim["pid"], signal.SIGKILL)
        hit = [uid for uid in users if at[uid][1] == victim["worker"]]
        for uid in hit:
            await shown[uid].until_over()
        # Until then it may be the one that is given the next connection.
        await server.log.until("worker.ended", worker=victim["worker"])
        back = hit[0]
        again = Shown()
        async with talking(server.url, back, again, conversation_timeout=8) as (client, _):
            assert (await place(server, again))[0] == at[back][0], "the conversation is gone on with"
            await hear_all(client, again, frames(1.0))
            await client.close()
        with trio.fail_after(PATIENCE):
            for uid in hit:
                await server.log.until("conversation.completed", conversation=at[uid][0])
        for uid in hit:
            (conversation,) = await server.conversations(uid)
            assert conversation["status"] == "completed"
            kept = {segment.id: segment for segment in segments_of(conversation)}
            for segment in shown[uid].ordered:
                assert kept[segment.id].revision >= segment.revision
                assert kept[segment.id].text.startswith(segment.text)
        (resumed,) = await server.conversations(back)
        assert set(again.segments) <= {segment.id for segment in segments_of(resumed)}
        assert await server.terminate() == 0
        completed = [entry["conversation"] for entry in server.log.all("conversation.completed")]
        assert len(completed) == len(set(completed))


async def test_workers_without_their_supervisor_drain_and_only_then_let_go_of_the_data(
    tmp_path: Path,
) -> None:
    shown, spoke = Shown(), trio.Event()
    codes: list[int | None] = []

    async def talk() -> None:
        codes.append(await speak_until_sent_away(server, "ada", shown, 3, spoke))

    async with started(tmp_path, **TWO) as server:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(talk)
            await all_set([spoke])
            os.kill(server.pid, signal.SIGKILL)
            with pytest.raises(DataDirInUse), hold_data_dir(tmp_path):
                pass
        assert codes == [1001]
        with (tmp_path / LOCK_FILE).open() as lock:
            await trio.to_thread.run_sync(fcntl.flock, lock, fcntl.LOCK_EX)
    async with started(tmp_path, **SHORT) as server:
        (conversation,) = await server.conversations("ada")
        assert segments_of(conversation) == shown.ordered
