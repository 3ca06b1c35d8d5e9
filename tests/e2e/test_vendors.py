"""Real audio through a whole server to each vendor's stand-in over sockets, and what the client then reads.

Who transcribes is no matter of the way in: one test runs over both, the others over the lane.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
import trio
from msgspec.structs import replace
from numpy.typing import NDArray

from engine.audio.encoders import create_encoder
from engine.stt.vendor import SAMPLE_RATE
from engine.testing import FaultPlan, StandIn, VoskStandIn, mark, script_of
from engine.transcript.words import Word
from engine.wire.messages import ServiceStatus
from tests.e2e.running import Running, Shown, config, hear_all, running, talking
from tests.faults.setting import KEY, STANDINS, WORD, script, sections
from tests.stt.streams import load
from tests.ways import lane_setting

PROVIDERS = {
    "dg-nova-3": "deepgram",
    "soniox-stt-rt": "soniox",
    "speechmatics-rt": "speechmatics",
    "vosk": "vosk",
}
TOLERANCE = 0.05

LINES = (
    (0, "Ever tried?"),
    (1, "Ever failed."),
    (0, "No matter."),
    (1, "Try again!"),
)


def spoken() -> tuple[Word, ...]:
    """Two people in turn, from the very first moment on."""
    words, at = [], SAMPLE_RATE // 10
    for speaker, line in LINES:
        for text in line.split():
            words.append(Word(text, at, at + SAMPLE_RATE // 4, speaker))
            at += SAMPLE_RATE // 3
        at += SAMPLE_RATE // 2
    return tuple(words)


WORDS = spoken()
TEXT = " ".join(word.text for word in WORDS)


def recording() -> NDArray[np.int16]:
    """A reading, marked."""
    return mark(np.resize(load("beckett"), WORDS[-1].end + SAMPLE_RATE))


def standin(name: str, plan: FaultPlan | None = None) -> StandIn:
    key = None if name == "vosk" else KEY
    return STANDINS[name](script_of(WORDS), key=key, plan=plan or FaultPlan())


@asynccontextmanager
async def serving(data_dir: Path, **standins: StandIn) -> AsyncIterator[Running]:
    """A server whose vendors are these, over sockets."""
    async with trio.open_nursery() as nursery:
        addresses = {}
        for name, one in standins.items():
            port = await nursery.start(one.serve)
            addresses[name] = f"ws://127.0.0.1:{port}"
        settings = replace(config(data_dir), **sections(addresses))
        async with running(settings, own=True) as server:
            yield server
        nursery.cancel_scope.cancel()


async def heard_by(server: Running, name: str, shown: Shown) -> None:
    """A session in which the client asks for this vendor, where it has a name that clients know."""
    wish = {} if name == "vosk" else {"stt_service": PROVIDERS[name]}
    packets = create_encoder("pcm16", SAMPLE_RATE).encode(recording())
    async with talking(server.url, name, shown, **wish) as (client, _):
        await hear_all(client, shown, packets)
        await client.close()


async def heard_by_each(data_dir: Path, plan: FaultPlan) -> tuple[dict[str, Shown], dict[str, StandIn]]:
    """One session with each vendor, side by side; vosk, which nobody can ask for, in a server of its own."""
    standins = {name: standin(name, plan) for name in STANDINS}
    shown = {name: Shown() for name in STANDINS}
    for names in ([name for name in STANDINS if name != "vosk"], ["vosk"]):
        some = {name: standins[name] for name in names}
        async with serving(data_dir / names[0], **some) as server, trio.open_nursery() as nursery:
            for name in names:
                nursery.start_soon(heard_by, server, name, shown[name])
    return shown, standins


@pytest.mark.both_ways
async def test_the_client_reads_what_was_said_when_and_by_whom(tmp_path: Path) -> None:
    each, _ = await heard_by_each(tmp_path, FaultPlan())
    for name, shown in each.items():
        assert shown.text == TEXT
        assert {segment.stt_provider for segment in shown.ordered} == {PROVIDERS[name]}
        at = 0
        for segment in shown.ordered:
            words = WORDS[at : at + len(segment.text.split())]
            at += len(words)
            assert abs(segment.start - words[0].start / SAMPLE_RATE) <= TOLERANCE
            assert abs(segment.end - words[-1].end / SAMPLE_RATE) <= TOLERANCE
            if name != "vosk":  # which does not tell people apart
                assert {segment.speaker} == {f"SPEAKER_{word.speaker or 0:02}" for word in words}


async def test_a_handshake_of_three_seconds_loses_no_first_word(tmp_path: Path) -> None:
    each, standins = await heard_by_each(tmp_path, FaultPlan(handshake_delay=3.0))
    for name, shown in each.items():
        assert shown.text == TEXT
        assert standins[name].received().spans()[0][0] == 0


async def test_the_service_a_client_asks_for_is_used_and_one_without_a_key_is_told(tmp_path: Path) -> None:
    packets = create_encoder("pcm16", SAMPLE_RATE).encode(recording())
    two = {name: standin(name) for name in ("dg-nova-3", "soniox-stt-rt")}
    async with serving(tmp_path, **two) as server:
        async with talking(server.url, "ada", stt_service="soniox") as (client, shown):
            await hear_all(client, shown, packets)
            await client.close()
        assert {segment.stt_provider for segment in shown.ordered} == {"soniox"}
        async with talking(server.url, "bob", stt_service="speechmatics") as (client, shown):
            await hear_all(client, shown, packets)
            await client.close()
    assert {segment.stt_provider for segment in shown.ordered} == {"deepgram"}
    notices = [e.status_text for e in shown.events if isinstance(e, ServiceStatus) and e.status == "notice"]
    assert notices == ["stt_service 'speechmatics' is not configured here; using 'dg-nova-3'"]


async def test_audio_that_was_in_the_spill_file_is_followed_by_what_goes_out_by_itself(
    tmp_path: Path,
) -> None:
    """Sent at once is far more than the ring holds; what comes after that comes as it is spoken."""
    vosk = VoskStandIn(script)
    total = 40 * SAMPLE_RATE
    packets = create_encoder("pcm16", SAMPLE_RATE).encode(mark(np.resize(load("beckett"), total)))
    live = len(packets) - 100
    async with serving(tmp_path, vosk=vosk) as server, talking(server.url, "ada") as (client, shown):
        await hear_all(client, shown, packets[:live])
        began = trio.current_time()
        for number, packet in enumerate(packets[live:]):
            await trio.sleep_until(began + number * len(packet) / 2 / SAMPLE_RATE)
            await client.send_audio(packet)
        await client.flush()
        await shown.until_status("flushed", count=2)
        if lane_setting() == "on":
            assert (await server.gauges())["lane_vendor_samples_total"] > 0
    words = total // int(WORD * SAMPLE_RATE)
    assert shown.text.split() == [script(number).text for number in range(words)]
    assert [span[0] for span in vosk.received().spans()] == [0]
