"""How long things take on an idle machine, with the real model, in real time."""

from collections.abc import Callable
from pathlib import Path

import pytest
import trio

from engine.audio.encoders import create_encoder
from engine.config import Local
from engine.stt import LocalWhisper
from engine.stt.vendor import SAMPLE_RATE
from tests.e2e.process import Process, started_anew
from tests.e2e.running import Running, Shown, config, running, talking
from tests.stt.streams import TEXTS, load

pytestmark = pytest.mark.campaign

LAST_WORD = 1.5
COMPLETED = 3.0
"""Seconds."""

Record = Callable[[str, object], None]


async def last_word_delay(server: Running, name: str) -> float:
    """Seconds from the sending of an utterance's last sample with speech until its last words came."""
    pcm = load(name)
    arrived: list[tuple[float, float]] = []
    async with talking(server.url, name, codec="opus_fs320") as (client, shown):
        encoder = create_encoder("opus_fs320", SAMPLE_RATE)
        await shown.until_status("ready")
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_note_arrivals, shown, arrived)
            silence = pcm[:0].copy()
            silence.resize(2 * SAMPLE_RATE)
            for n, packet in enumerate([*encoder.encode(pcm), *encoder.encode(silence)], start=1):
                await trio.sleep_until(began + n * encoder.frame_samples / SAMPLE_RATE)
                await client.send_audio(packet)
            nursery.cancel_scope.cancel()
        await client.close()
    end, when = max(arrived)
    return when - began - end


async def _note_arrivals(shown: Shown, arrived: list[tuple[float, float]]) -> None:
    arrived.append((0.0, 0.0))
    while True:
        await shown.until(lambda shown: shown.ordered and shown.ordered[-1].end > arrived[-1][0])
        arrived.append((shown.ordered[-1].end, trio.current_time()))


async def test_the_last_word_comes_within_a_second_and_a_half(
    tmp_path: Path, record_property: Record
) -> None:
    vendor = LocalWhisper(Local(), data_dir=tmp_path)
    async with running(config(tmp_path), vendor) as server:
        delays = {name: await last_word_delay(server, name) for name in TEXTS}
    for name, delay in delays.items():
        record_property(name, f"{delay:.2f} s")
    assert max(delays.values()) <= LAST_WORD


async def speak_a_second(server: Process, uid: str, *, stays: bool) -> float:
    """Seconds from the end of the speech until the conversation was completed."""
    async with talking(server.url, uid, conversation_timeout=2) as (client, shown):
        await shown.until_status("ready")
        began = trio.current_time()
        for n in range(1, 51):
            await trio.sleep_until(began + n / 50)
            await client.send_audio(bytes(640))
        ended = trio.current_time()
        if not stays:
            await client.close()
        before = len(server.log.all("conversation.completed"))
        await server.log.until("conversation.completed", count=before + 1)
        taken = trio.current_time() - ended
        (conversation, *_) = [row for row in await server.conversations(uid) if row["status"] == "completed"]
        assert len(conversation["transcript_segments"]) == len(shown.segments) > 0
        return taken


@pytest.mark.parametrize("stays", [True, False], ids=["the client listens on", "the client left"])
async def test_a_conversation_is_completed_three_seconds_after_its_last_word(
    tmp_path: Path, record_property: Record, stays: bool
) -> None:
    async with started_anew(tmp_path) as server:
        taken = await speak_a_second(server, "ada", stays=stays)
        assert await server.terminate() == 0
    record_property("after", f"{taken:.2f} s")
    assert taken <= COMPLETED


async def test_killed_in_mid_speech_it_is_completed_three_seconds_after_the_next_start(
    tmp_path: Path, record_property: Record
) -> None:
    async with (
        started_anew(tmp_path) as server,
        talking(server.url, "ada", conversation_timeout=2) as (client, shown),
    ):
        began = trio.current_time()
        for n in range(1, 101):
            await trio.sleep_until(began + n / 50)
            await client.send_audio(bytes(640))
        await shown.until(lambda shown: shown.segments)
        await server.kill()
    async with started_anew(tmp_path) as server:
        ready = trio.current_time()
        await server.log.until("conversation.completed")
        taken = trio.current_time() - ready
        (conversation,) = await server.conversations("ada")
        assert {s["id"] for s in conversation["transcript_segments"]} >= set(shown.segments)
    record_property("after ready", f"{taken:.2f} s")
    assert taken <= COMPLETED
