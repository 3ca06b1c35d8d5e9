"""Silence is kept from a vendor by a whole server, and every word and time comes out right.

Over the lane only: the gate sees the ring, not what fills it.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import trio
from msgspec.structs import replace
from numpy.typing import NDArray

from engine.config import Stt
from engine.off_loop import worker_threads
from engine.stt._silero import SileroPool
from engine.stt.deepgram import TRAITS, DeepgramProtocol
from engine.stt.gating import GatedVendor, GateMode
from engine.stt.protocol import Endpoint
from engine.stt.stream import StreamingVendor, StreamLimits
from engine.stt.websocket import WebSocketTransport
from engine.testing.deepgram_standin import DeepgramStandIn
from engine.testing.marks import mark
from engine.testing.scripted import script_of
from engine.transcript.words import Word
from engine.wire.messages import Segment
from tests.e2e.running import config, hear_all, running, talking
from tests.stt.streams import load

FRAME = 0.02
RATE = 16_000
SAID = ("austen-0880", "austen-0890", "austen-0880", "austen-0890")
PAUSES = (5.0, 4.0, 6.0, 5.0)


def talk() -> tuple[NDArray[np.int16], list[Word]]:
    """Marked speech with silences, and two words in each stretch of speech, where the scripted vendor hears them."""
    pieces: list[NDArray[np.int16]] = []
    words: list[Word] = []
    position = 0
    for name, pause in zip(SAID, PAUSES, strict=True):
        speech = load(name)
        middle = position + len(speech) // 2
        for start, end in ((position + 6_000, middle - 2_000), (middle, middle + 8_000)):
            words.append(Word(f"Word{len(words)}.", start, end, speaker=len(words) % 2))
        pieces += [speech, np.zeros(int(pause * RATE), np.int16)]
        position += len(speech) + int(pause * RATE)
    return mark(np.concatenate(pieces)), words


class UnpacedDeepgram(DeepgramProtocol):
    """Sent audio as fast as it comes, so that the test need not take as long as the talk."""

    traits = replace(TRAITS, pace=100.0)


def vendor_of(standin: DeepgramStandIn, port: int) -> GatedVendor:
    """The Deepgram client behind the gate."""
    endpoint = Endpoint(f"ws://127.0.0.1:{port}/v1/listen", "key", "nova-3")
    vendor = StreamingVendor(
        name="dg-nova-3",
        provider="deepgram",
        speaks=lambda language: True,
        protocol=lambda options: UnpacedDeepgram(options, endpoint),
        transport=WebSocketTransport(),
        limits=StreamLimits(),
    )
    voices = SileroPool(2, worker_threads(2))
    return GatedVendor(vendor, mode=GateMode.ON, voices=voices, hangover=Stt().gate_hangover)


def check_words(segments: Sequence[Segment], words: Sequence[Word]) -> None:
    """Speakers take turns, so that each word is a segment of its own."""
    found = sorted(segments, key=lambda segment: segment.start)
    assert [segment.text for segment in found] == [word.text for word in words]
    for segment, word in zip(found, words, strict=True):
        assert abs(segment.start - word.start / RATE) <= FRAME
        assert abs(segment.end - word.end / RATE) <= FRAME


async def test_silence_is_not_sent_and_words_keep_their_times(tmp_path: Path) -> None:
    pcm, words = talk()
    standin = DeepgramStandIn(script_of(words), speed=100.0)
    async with trio.open_nursery() as nursery:
        port = await nursery.start(standin.serve)
        async with running(config(tmp_path), vendor_of(standin, port)) as server:
            async with talking(server.url, "u") as (client, shown):
                packets = [pcm[at : at + 1600].tobytes() for at in range(0, len(pcm), 1600)]
                await hear_all(client, shown, packets)
            await server.all_ended(1)
            (ledger,) = server.log.ledgers().values()
            metrics = await server.gauges()
        nursery.cancel_scope.cancel()
    check_words(list(shown.segments.values()), words)
    ledger.check()
    assert ledger.lost == 0
    assert standin.said() == dict.fromkeys(range(len(words)), 1)
    assert ledger.gated == len(pcm) - standin.statistics().samples
    assert ledger.gated > 0.2 * len(pcm)
    assert metrics["audio_gated_seconds_total"] == pytest.approx(ledger.gated / RATE)
