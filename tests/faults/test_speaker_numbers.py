"""Two people talk while one vendor fails and another goes on: each keeps their number, whoever number them.

Real voices, told apart by the real network. Each connection of a stand-in numbers speakers as it first hears them, and
after the failure the other one speaks first: the second vendor's first speaker is the first one's second.
"""

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from engine.audio.wav import read_wav
from engine.config import Local
from engine.listen.speakers import Speakers
from engine.speaker.embedding import VoiceEncoder
from engine.speaker.encoding import Encoding
from engine.stt.local import LocalWhisper
from engine.stt.vendor import (
    SAMPLE_RATE,
    AudioSource,
    Chunk,
    Fault,
    StreamOptions,
    SttEvent,
    Vendor,
    VendorError,
)
from engine.stt.websocket import WebSocketTransport
from engine.testing import FaultPlan, mark
from engine.transcript.words import Word
from tests.faults.setting import KEY, QUICK, STANDINS, Client, configured, connected, switchboard
from tests.listen.harness import Server, inline, server
from tests.stt.streams import load

LOCAL = "local-whisper"
VENDORS = ("dg-nova-3", "soniox-stt-rt", "speechmatics-rt", LOCAL)
AUSTEN = ("austen-0870", "austen-0890", "austen-0880", "voices/austen-0920", "voices/austen-0930")
TURN = 5 * SAMPLE_RATE
REST = SAMPLE_RATE
TURNS = "ABABBABA"
FAILS = 4 * (TURN + REST)
"""Where the first vendor fails: after so many samples the same one goes on speaking."""
WORD = SAMPLE_RATE // 2

Segments = Sequence[dict[str, Any]]


def talk() -> np.ndarray[Any, np.dtype[np.int16]]:
    """Turns of two people, a rest after each."""
    voices = {
        "A": read_wav(Path(__file__).parent.parent / "audio" / "voices" / "two-cities.wav")[0],
        "B": np.concatenate([load(name) for name in AUSTEN]),
    }
    taken = Counter[str]()
    pieces = []
    for who in TURNS:
        pieces += [voices[who][taken[who] : taken[who] + TURN], np.zeros(REST, np.int16)]
        taken[who] += TURN
    return mark(np.concatenate(pieces))


def speaker_at(seconds: float) -> str:
    return TURNS[min(int(seconds * SAMPLE_RATE) // (TURN + REST), len(TURNS) - 1)]


def script(number: int) -> Word | None:
    """Seven words a turn."""
    turn, word = divmod(number, TURN // WORD)
    if turn >= len(TURNS):
        return None
    start = turn * (TURN + REST) + word * WORD
    return Word(f"w{number}.", start + WORD // 4, start + 3 * WORD // 4, speaker="AB".index(TURNS[turn]))


class _Ending:
    """An `AudioSource` that is not to be had from a sample on."""

    def __init__(self, source: AudioSource, end: int) -> None:
        self._source = source
        self._end = end

    @property
    def position(self) -> int:
        return self._source.position

    async def read(self, samples: int) -> Chunk:
        if self.position + samples > self._end:
            raise VendorError(Fault.ELSEWHERE, "it cannot be heard any more")
        return await self._source.read(samples)


class FailingAt:
    """A vendor on this machine that fails at a sample, and ever after."""

    def __init__(self, vendor: Vendor, end: int) -> None:
        self.name, self.provider = vendor.name, vendor.provider
        self._vendor = vendor
        self._end = end

    def speaks(self, language: str) -> bool:
        return self._vendor.speaks(language)

    async def prepare(self) -> None:
        await self._vendor.prepare()

    async def transcribe(
        self, audio: AudioSource, emit: Callable[[SttEvent], None], options: StreamOptions
    ) -> None:
        await self._vendor.transcribe(_Ending(audio, self._end), emit, options)


@pytest.fixture(scope="module")
def encoder() -> VoiceEncoder:
    return VoiceEncoder.load()


@pytest.fixture(scope="module")
def whisper() -> LocalWhisper:
    vendor = LocalWhisper(Local(), off_loop=inline)
    trio.run(vendor.prepare)
    return vendor


@asynccontextmanager
async def failing(
    tmp_path: Path, first: str, second: str, whisper: LocalWhisper, speakers: Speakers | None
) -> AsyncIterator[tuple[Server, Callable[[], None]]]:
    """A server with these two vendors, and what makes the first fail for ever."""
    standins = {name: STANDINS[name](script, key=KEY) for name in (first, second) if name != LOCAL}
    async with trio.open_nursery() as nursery:
        for standin in standins.values():
            standin.own_numbers = True
            await nursery.start(standin.run)
        remote = configured(
            {name: f"ws://{name}" for name in standins}, WebSocketTransport(switchboard(standins)), **QUICK
        )
        vendors: dict[str, Vendor] = {vendor.name: vendor for vendor in remote}
        vendors[LOCAL] = FailingAt(whisper, FAILS) if first == LOCAL else whisper

        def fail() -> None:
            if first != LOCAL:
                standins[first].follow(FaultPlan(refuse_for=1e6))
                nursery.start_soon(standins[first].drop_all)

        async with server(tmp_path, vendors[first], vendors[second], stt=QUICK, speakers=speakers) as inside:
            yield inside, fail
        nursery.cancel_scope.cancel()


async def said(
    tmp_path: Path, first: str, second: str, whisper: LocalWhisper, speakers: Speakers | None
) -> tuple[Client, Segments]:
    """What a client is shown of the talk in the end, and what is kept of it."""
    pcm = talk()
    async with failing(tmp_path, first, second, whisper, speakers) as (inside, fail):
        async with connected(inside) as client:
            began = trio.current_time()
            await client.talk(pcm[:FAILS], began)
            fail()
            await client.talk(pcm[FAILS:], began + FAILS / SAMPLE_RATE)
            await client.say('{"type":"flush"}')
            await client.until_status("flushed")
            await wait_all_tasks_blocked()
            await client.leave()
        await inside.idle()
        ((_, kept),) = await inside.conversations()
    shown = sorted(client.segments().values(), key=lambda segment: float(segment["start"]))
    assert [(s.id, s.speaker, s.revision) for s in kept] == [
        (s["id"], s["speaker"], s["revision"]) for s in shown
    ]
    return client, shown


def labels(segments: Segments) -> dict[tuple[str, bool], str]:
    """By who speaks, and whether after the failure: the label of most of what they say."""
    spoken: dict[tuple[str, bool], Counter[str]] = defaultdict(Counter)
    for segment in segments:
        middle = (segment["start"] + segment["end"]) / 2
        key = speaker_at(middle), middle * SAMPLE_RATE > FAILS
        spoken[key][segment["speaker"]] += round(1000 * (segment["end"] - segment["start"]))
    return {key: counts.most_common(1)[0][0] for key, counts in spoken.items()}


@pytest.mark.parametrize(("first", "second"), list(permutations(VENDORS, 2)))
async def test_speakers_keep_their_numbers_when_another_vendor_goes_on(
    first: str,
    second: str,
    tmp_path: Path,
    whisper: LocalWhisper,
    encoder: VoiceEncoder,
    autojump_clock: MockClock,
) -> None:
    speakers = Speakers(Encoding(encoder=encoder, off_loop=inline))
    _, segments = await said(tmp_path, first, second, whisper, speakers)
    numbers = labels(segments)
    assert len({segment["stt_provider"] for segment in segments}) == 2
    assert numbers["A", False] == numbers["A", True]
    assert numbers["B", False] == numbers["B", True]
    assert numbers["A", True] != numbers["B", True]
    if LOCAL not in (first, second):  # what a stand-in says of who speaks is always right
        right = {(who, late): label for (who, late), label in numbers.items()}
        for segment in segments:
            late = segment["start"] * SAMPLE_RATE > FAILS
            assert segment["speaker"] == right[speaker_at(segment["start"]), late]
        assert {segment["speaker"] for segment in segments} == {"SPEAKER_00", "SPEAKER_01"}


async def test_segments_come_again_when_their_speaker_turns_out_to_be_one_that_was_heard_before(
    tmp_path: Path, whisper: LocalWhisper, encoder: VoiceEncoder, autojump_clock: MockClock
) -> None:
    speakers = Speakers(Encoding(encoder=encoder, off_loop=inline))
    client, _ = await said(tmp_path, "dg-nova-3", "soniox-stt-rt", whisper, speakers)
    revisions = defaultdict(list)
    for message in client.messages:
        for segment in message if isinstance(message, list) else ():
            revisions[segment["id"]].append((segment["revision"], segment["speaker"]))
    relabelled = [told for told in revisions.values() if len({speaker for _, speaker in told}) > 1]
    assert relabelled
    for told in relabelled:
        assert [revision for revision, _ in told] == sorted({revision for revision, _ in told})
        assert told[0][1] in ("SPEAKER_02", "SPEAKER_03")
        assert told[-1][1] in ("SPEAKER_00", "SPEAKER_01")


async def test_where_no_voice_is_heard_nobody_is_quietly_taken_for_another(
    tmp_path: Path, whisper: LocalWhisper, autojump_clock: MockClock
) -> None:
    _, segments = await said(tmp_path, "dg-nova-3", "soniox-stt-rt", whisper, None)
    numbers = labels(segments)
    assert numbers == {
        ("A", False): "SPEAKER_00",
        ("B", False): "SPEAKER_01",
        ("B", True): "SPEAKER_02",
        ("A", True): "SPEAKER_03",
    }
