"""Conversations and usage across silence, clients that leave, SIGTERM and SIGKILL; real processes, real time.

What depends on how a client's socket ends runs over both ways in; the rest, which is the store's, over the lane.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import trio

from engine.client import ListenClient, ListenClosed
from engine.stt.vendor import SAMPLE_RATE
from tests.e2e.process import Process, started
from tests.e2e.running import Shown, hear_all, segments_of, send_all, talking
from tests.patience import PATIENCE

FRAME = 0.02
WORD = 0.1
"""Seconds from word to word in the scripts of these tests."""
SHORT = {"SCRIPT_WORD_SECONDS": WORD}


def frames(seconds: float) -> list[bytes]:
    """PCM16 in packets of 20 ms."""
    return [bytes(round(2 * FRAME * SAMPLE_RATE))] * round(seconds / FRAME)


async def speak(client: ListenClient) -> None:
    """In real time, until the server closes."""
    began = trio.current_time()
    try:
        for n, packet in enumerate(frames(PATIENCE)):
            await trio.sleep_until(began + n * FRAME)
            await client.send_audio(packet)
    except ListenClosed:
        return


async def speak_until_sent_away(
    server: Process, uid: str, shown: Shown, words: int, spoke: trio.Event, **parameters: Any
) -> int | None:
    """Speak; `spoke` is set once `words` words came back. The code the server closes with."""
    async with talking(server.url, uid, shown, **parameters) as (client, _), trio.open_nursery() as speaking:
        speaking.start_soon(speak, client)
        await shown.until(lambda seen: len(seen.text.split()) >= words)
        spoke.set()
        await shown.until_over()
    return client.close_code


async def all_set(events: Iterable[trio.Event]) -> None:
    with trio.fail_after(PATIENCE):
        for event in events:
            await event.wait()


async def completed(server: Process, uid: str, count: int = 1) -> list[dict[str, Any]]:
    """The user's conversations once that many are completed."""
    with trio.fail_after(PATIENCE):
        await server.log.until("conversation.completed", count=count)
    found = [row for row in await server.conversations(uid) if row["status"] == "completed"]
    assert len(found) == count
    return found


@pytest.mark.parametrize("stays", [True, False], ids=["the client listens on", "the client left at once"])
async def test_a_conversation_is_completed_by_its_silence_with_the_segments_that_were_streamed(
    tmp_path: Path, stays: bool
) -> None:
    async with started(tmp_path, **SHORT) as server:
        async with talking(server.url, "ada", conversation_timeout=2) as (client, shown):
            await hear_all(client, shown, frames(3.0))
            if not stays:
                await client.close()
            (conversation,) = await completed(server, "ada")
        assert len(shown.segments) >= 1
        assert segments_of(conversation) == shown.ordered
        assert (await server.usage("ada"))["conversations"] == 1
        assert await server.terminate() == 0


async def test_killed_in_mid_speech_the_next_process_completes_what_every_client_had_received(
    tmp_path: Path,
) -> None:
    users = [f"user-{n}" for n in range(5)]
    shown = {uid: Shown() for uid in users}
    spoke = {uid: trio.Event() for uid in users}

    async def talk(uid: str) -> None:
        await speak_until_sent_away(server, uid, shown[uid], 12, spoke[uid], conversation_timeout=2)

    async with started(tmp_path, **SHORT) as server, trio.open_nursery() as nursery:
        for uid in users:
            nursery.start_soon(talk, uid)
        await all_set(spoke.values())
        await server.kill()
    async with started(tmp_path, **SHORT) as server:
        with trio.fail_after(PATIENCE):
            await server.log.until("conversation.completed", count=len(users))
        for uid in users:
            (conversation,) = await server.conversations(uid)
            assert conversation["status"] == "completed"
            kept = {segment.id: segment for segment in segments_of(conversation)}
            for segment in shown[uid].ordered:
                assert kept[segment.id].revision >= segment.revision
                assert kept[segment.id].text.startswith(segment.text)
        assert await server.terminate() == 0


async def test_a_second_start_after_a_kill_counts_nothing_twice(tmp_path: Path) -> None:
    async with started(tmp_path, **SHORT) as server:
        async with talking(server.url, "ada", conversation_timeout=600) as (client, shown):
            await hear_all(client, shown, frames(4.0))
            await client.close()
        with trio.fail_after(PATIENCE):
            await server.log.until("session.ended")
        ledgers = server.log.ledgers()
        async with talking(server.url, "ada", conversation_timeout=600) as (client, again):
            await hear_all(client, again, frames(2.0))
            await server.kill()
    for _ in range(2):
        async with started(tmp_path, **SHORT) as server:
            usage = await server.usage("ada")
            (conversation,) = await server.conversations("ada")
            assert {*shown.segments, *again.segments} == {
                s["id"] for s in conversation["transcript_segments"]
            }
            await server.kill()
    ((_, ledger),) = ledgers.items()
    # Of the second session all is counted up to its last words; the first is whole.
    kept = segments_of(conversation)
    assert usage["words"] == sum(len(segment.text.split()) for segment in kept)
    assert usage["segments"] == len(kept)
    assert usage["sessions"] == 2
    first = ledger.samples_in / SAMPLE_RATE
    assert first + 2.0 - 2 * WORD <= usage["audio_seconds"] <= first + 2.0 + 1e-6
    assert usage["speech_seconds"] <= usage["vendor_seconds"]["scripted"] <= usage["audio_seconds"] + 1e-6


@pytest.mark.both_ways
async def test_fifty_clients_in_mid_speech_get_their_last_words_when_the_server_is_told_to_stop(
    tmp_path: Path,
) -> None:
    users = [f"user-{n}" for n in range(50)]
    shown = {uid: Shown() for uid in users}
    spoke = {uid: trio.Event() for uid in users}
    codes: dict[str, int | None] = {}

    async def talk(uid: str) -> None:
        codes[uid] = await speak_until_sent_away(server, uid, shown[uid], 3, spoke[uid])

    async with started(tmp_path, LISTEN_DRAIN_TIMEOUT=PATIENCE, **SHORT) as server:
        async with trio.open_nursery() as nursery:
            for uid in users:
                nursery.start_soon(talk, uid)
            await all_set(spoke.values())
            assert await server.terminate() == 0
        ledgers = server.log.ledgers()
    assert codes == dict.fromkeys(users, 1001)
    assert len(ledgers) == len(users)
    for ledger in ledgers.values():
        ledger.check()
        assert (ledger.lost, ledger.pending) == (0, 0)
    words = sum(len(seen.text.split()) for seen in shown.values())
    covered = sum(int(ledger.samples_in / SAMPLE_RATE / WORD + 0.25) for ledger in ledgers.values())
    assert words == covered, "each client has the words of all audio that was taken from it"
    async with started(tmp_path, **SHORT) as server:
        for uid in users:
            (conversation,) = await server.conversations(uid)
            assert segments_of(conversation) == shown[uid].ordered
        used = sum([(await server.usage(uid))["audio_seconds"] for uid in users])
    assert used == pytest.approx(sum(ledger.samples_in for ledger in ledgers.values()) / SAMPLE_RATE)


async def test_the_sums_of_usage_equal_the_ledgers_of_all_sessions(tmp_path: Path) -> None:
    async with started(tmp_path, **SHORT) as server:
        for seconds in (0.5, 3.0, 7.25):
            async with talking(server.url, "ada", conversation_timeout=600) as (client, shown):
                await hear_all(client, shown, frames(seconds))
                await client.close()
        async with talking(server.url, "ada", conversation_timeout=600) as (client, _):
            await send_all(client, frames(5.0))
            await client.close()
        with trio.fail_after(PATIENCE):
            await server.log.until("session.ended", count=4)
        assert await server.terminate() == 0
        ledgers = server.log.ledgers()
    async with started(tmp_path, **SHORT) as server:
        usage = await server.usage("ada")
        (conversation,) = await server.conversations("ada")
    total = ledgers.popitem()[1]
    for ledger in ledgers.values():
        total += ledger
    total.check()
    kept = segments_of(conversation)
    assert usage["sessions"] == 4
    assert usage["audio_seconds"] == pytest.approx(total.samples_in / SAMPLE_RATE)
    assert usage["speech_seconds"] == pytest.approx(total.final / SAMPLE_RATE)
    assert usage["vendor_seconds"]["scripted"] == pytest.approx((total.final + total.silent) / SAMPLE_RATE)
    assert usage["words"] == sum(len(segment.text.split()) for segment in kept)
    assert usage["segments"] == len(kept)
