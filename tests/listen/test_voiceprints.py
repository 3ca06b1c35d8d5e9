"""Which numbers are one speaker, by real voices."""

import numpy as np
import pytest
import trio
from numpy.typing import NDArray
from trio.testing import MockClock, wait_all_tasks_blocked

from engine.listen.numbering import Numbering
from engine.listen.voiceprints import ENOUGH, Voiceprints
from engine.speaker.embedding import VoiceEncoder
from engine.speaker.encoding import Encoding
from engine.speaker.matching import Rules
from engine.stt.vendor import SAMPLE_RATE, Ready
from engine.transcript.words import Word
from tests.listen.harness import inline
from tests.stt.streams import load

READER = np.concatenate([load("austen-0870"), load("austen-0890")])
OTHER = load("beckett")
THREE = 3 * SAMPLE_RATE


@pytest.fixture(scope="module")
def encoder() -> VoiceEncoder:
    return VoiceEncoder.load()


def streams(*numbers: int) -> Numbering:
    """So many speakers in each stream after the other."""
    numbering = Numbering()
    for speakers in numbers:
        numbering.began(Ready())
        numbering.numbered([Word("x", 0, 1, speaker) for speaker in range(speakers)])
    return numbering


async def same(
    numbering: Numbering, encoder: VoiceEncoder, *heard: tuple[int, NDArray[np.int16]]
) -> list[tuple[int, int]]:
    """Which numbers turn out to be one."""
    voiceprints = Voiceprints(Encoding(encoder=encoder, off_loop=inline), Rules(), numbering)
    found: list[tuple[int, int]] = []

    def merged(gone: int, kept: int) -> None:
        found.append((gone, kept))
        numbering.merge(gone, kept)
        voiceprints.merge(gone, kept)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(voiceprints.run, merged)
        for number, pcm in heard:
            if voiceprints.wants(number):
                voiceprints.hear(number, pcm)
            await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    return found


async def test_the_same_voice_under_another_streams_number_is_the_speaker_that_was_heard_before(
    encoder: VoiceEncoder, autojump_clock: MockClock
) -> None:
    heard = [(0, READER[:THREE]), (1, OTHER[:THREE]), (2, OTHER[THREE : 2 * THREE])]
    assert await same(streams(2, 1), encoder, *heard) == [(2, 1)]


async def test_another_voice_is_another_speaker(encoder: VoiceEncoder, autojump_clock: MockClock) -> None:
    heard = [(0, READER[:THREE]), (1, OTHER[:THREE])]
    assert await same(streams(1, 1), encoder, *heard) == []


async def test_those_whom_a_stream_told_apart_stay_apart_however_alike(
    encoder: VoiceEncoder, autojump_clock: MockClock
) -> None:
    heard = [(0, READER[:THREE]), (1, READER[:THREE])]
    assert await same(streams(2), encoder, *heard) == []


async def test_too_little_speech_says_nothing_and_comes_together(
    encoder: VoiceEncoder, autojump_clock: MockClock
) -> None:
    pieces = [OTHER[THREE + n * SAMPLE_RATE : THREE + (n + 1) * SAMPLE_RATE] for n in range(3)]
    heard = [(0, OTHER[:THREE]), *((1, piece) for piece in pieces)]
    assert await same(streams(1, 1), encoder, *heard[:3]) == []
    assert await same(streams(1, 1), encoder, *heard) == [(1, 0)]


async def test_so_much_of_a_voice_is_enough(encoder: VoiceEncoder, autojump_clock: MockClock) -> None:
    encoding = Encoding(encoder=encoder, off_loop=inline)
    voiceprints = Voiceprints(encoding, Rules(), streams(1, 1))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(voiceprints.run, lambda gone, kept: None)
        for _ in range(20):
            if voiceprints.wants(0):
                voiceprints.hear(0, READER[:THREE])
            await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert encoding.statistics().speech_seconds == pytest.approx(ENOUGH, abs=3.0)
