"""The books of a session against an independent count, when speech to text is late and frames are damaged."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from engine.audio.encoders import create_encoder
from engine.audio.ledger import LedgerSnapshot
from engine.stt.vendor import SAMPLE_RATE
from engine.testing import ScriptedVendor, counted_words
from tests.e2e.running import Running, config, hear_all, running, talking
from tests.stt.streams import load

pytestmark = pytest.mark.both_ways  # one decodes past Python, the other packet by packet

WORD = 0.5
"""Seconds from word to word of the script."""


def speech(seconds: float) -> NDArray[np.int16]:
    """A reading, over and over."""
    return np.resize(load("beckett"), round(seconds * SAMPLE_RATE))


def counted(samples: int) -> list[str]:
    """The script's words that end within so many samples."""
    return [f"w{n}." for n in range(int(samples / SAMPLE_RATE / WORD + 0.25))]


async def only_ledger(server: Running) -> tuple[str, LedgerSnapshot]:
    """Session and books of the one session there was."""
    await server.all_ended(1)
    ((session, ledger),) = server.log.ledgers().items()
    ledger.check()
    return session, ledger


async def test_speech_to_text_that_is_three_seconds_late_hears_everything_from_the_first_sample(
    tmp_path: Path,
) -> None:
    vendor = ScriptedVendor(counted_words(WORD), ready_after=3.0)
    pcm = speech(20.0)  # more than the ring holds
    encoder = create_encoder("pcm16", SAMPLE_RATE)
    async with running(config(tmp_path), vendor) as server:
        async with talking(server.url, "late") as (client, shown):
            await hear_all(client, shown, encoder.encode(pcm))
            await client.close()
        session, ledger = await only_ledger(server)
    assert shown.statuses().index("stt_initiating") < shown.statuses().index("ready")
    assert shown.text.split() == counted(len(pcm))
    assert (ledger.decoded, ledger.concealed, ledger.lost, ledger.pending) == (len(pcm), 0, 0, 0)
    assert vendor.samples == {session: len(pcm)}
    assert vendor.words == {session: counted(len(pcm))}


def cut_short(packet: bytes, _dice: random.Random) -> bytes:
    return packet[: len(packet) // 2]


def shuffled(packet: bytes, dice: random.Random) -> bytes:
    """Other bytes behind the codec's own head, so that the decoder cannot know by looking at it."""
    return packet[:7] + dice.randbytes(len(packet) - 7)


def impossible_opus(packet: bytes, _dice: random.Random) -> bytes:
    """RFC 6716 section 3.2.5: a packet of code 3 with no frame in it."""
    return bytes([packet[0] | 3, 0]) + packet[2:]


def noise(packet: bytes, dice: random.Random) -> bytes:
    return dice.randbytes(len(packet))


Damage = Callable[[bytes, random.Random], bytes]
EVERY = 20
"""One packet in so many is damaged: 5 %."""


@pytest.mark.parametrize(
    ("codec", "frame", "damage", "noticed"),
    [
        ("opus", 160, impossible_opus, True),
        ("opus", 160, shuffled, False),
        ("opus_fs320", 320, impossible_opus, True),
        ("lc3_fs1030", 160, cut_short, True),
        ("lc3_fs1030", 160, noise, False),
        ("lc3", 160, noise, False),
        ("aac", 1024, cut_short, True),
        ("aac", 1024, shuffled, False),
        ("aac", 1024, noise, True),
    ],
)
async def test_with_one_frame_in_twenty_damaged_the_books_balance_and_the_timeline_holds(
    tmp_path: Path, codec: str, frame: int, damage: Damage, noticed: bool
) -> None:
    dice = random.Random(codec)
    encoder = create_encoder(codec, SAMPLE_RATE)
    packets = [*encoder.encode(speech(30.0)), *encoder.flush()]
    damaged = [damage(packet, dice) if n % EVERY == 7 else packet for n, packet in enumerate(packets)]
    broken = len(packets[7::EVERY])
    vendor = ScriptedVendor(counted_words(WORD))
    async with running(config(tmp_path), vendor) as server:
        async with talking(server.url, "damaged", codec=codec) as (client, shown):
            await hear_all(client, shown, damaged)
            await client.close()
        session, ledger = await only_ledger(server)
    assert ledger.packets_received == len(packets)
    assert ledger.packets_rejected == broken if noticed else ledger.packets_rejected <= broken
    assert ledger.concealed == ledger.packets_rejected * frame
    assert ledger.samples_in == len(packets) * frame
    assert (ledger.lost, ledger.pending) == (0, 0)
    assert vendor.samples == {session: ledger.samples_in}
    assert shown.text.split() == vendor.words[session] == counted(ledger.samples_in)


async def test_times_count_from_the_first_sample_also_of_audio_that_came_before_the_session_was_ready(
    tmp_path: Path,
) -> None:
    packets = create_encoder("pcm16", SAMPLE_RATE).encode(speech(2.0))
    async with (
        running(config(tmp_path), ScriptedVendor(counted_words(WORD))) as server,
        talking(server.url, "early") as (client, shown),
    ):
        await hear_all(client, shown, packets)
        await client.close()
    assert shown.ordered[0].start == WORD / 4


@pytest.mark.parametrize(
    ("codec", "rate", "channels"),
    [("pcm16", 44_100, 1), ("pcm16", 48_000, 2), ("pcm8", 8000, 1), ("lc3", 48_000, 1), ("aac", 44_100, 1)],
)
async def test_the_books_are_the_same_whichever_way_the_audio_comes_in_and_at_whatever_rate(
    tmp_path: Path, codec: str, rate: int, channels: int
) -> None:
    encoder = create_encoder(codec, rate, channels)
    pcm = np.resize(load("beckett"), 5 * rate).repeat(channels)
    packets = [*encoder.encode(pcm), *encoder.flush()]
    packets[9:9] = [b"bad"] if codec in ("aac", "lc3") else []
    books = []
    for lane in ("off", "on"):
        settings = msgspec.structs.replace(config(tmp_path / lane), lane=lane)
        async with running(settings, ScriptedVendor(counted_words(WORD))) as server:
            parameters: dict[str, Any] = {"codec": codec, "sample_rate": rate, "channels": channels}
            async with talking(server.url, "way", **parameters) as (client, shown):
                await hear_all(client, shown, packets)
                await client.close()
            books.append((await only_ledger(server))[1])
        assert shown.text.split() == counted(books[-1].samples_in)
    assert books[0] == books[1]
    assert books[0].packets_received == len(packets)
    assert books[0].packets_rejected == (1 if codec in ("aac", "lc3") else 0)
    assert books[0].lost == books[0].pending == 0
