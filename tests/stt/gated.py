"""Vendors and voices for tests of the silence gate, and what must be true of what the session is told."""

import random
from collections.abc import Callable, Sequence

import numpy as np
import trio
from numpy.typing import NDArray

from engine.stt._silero import SileroPool, VoiceStream
from engine.stt.gating import GatedVendor, GateMode
from engine.stt.vendor import (
    SAMPLE_RATE,
    AudioSource,
    Chunk,
    Final,
    Interim,
    Ready,
    StreamOptions,
    SttEvent,
    Vendor,
)
from engine.transcript.words import Word
from tests.stt.streams import MemorySource, finals

Samples = NDArray[np.int16]

OPTIONS = StreamOptions(session_id="s")


def talk(pattern: Sequence[tuple[float, bool]], seed: int = 0) -> Samples:
    """Noise, loud where somebody "speaks", for so many seconds each; no sample is like one some time before."""
    rng = np.random.default_rng(seed)
    pieces = [
        rng.integers(-20_000, 20_000, int(seconds * SAMPLE_RATE))
        if speaking
        else rng.integers(-200, 200, int(seconds * SAMPLE_RATE))
        for seconds, speaking in pattern
    ]
    return np.concatenate([np.empty(0), *pieces]).astype(np.int16)


class LoudVoices(SileroPool):
    """Hears speech in what is loud. While `interrupting`, each first try at some windows is cancelled."""

    def __init__(self) -> None:
        super().__init__(1, trio.to_thread.run_sync)
        self.interrupting: trio.CancelScope | None = None

    async def warm(self) -> None:
        """Nothing to make."""

    async def probabilities(self, stream: VoiceStream, windows: Samples) -> list[float]:
        """1 where it is loud."""
        if self.interrupting is not None:
            self.interrupting.cancel()
        await trio.lowlevel.checkpoint()
        return [float(np.abs(window.astype(float)).mean() > 5_000) for window in windows]


class AnyVendor:
    """Covers what it was given at any pace, with words anywhere in it; keeps all it was given.

    `words`: those it said, in its own time. `covers_at_flush` False: it lets a flush pass.
    """

    name = provider = "any"

    def __init__(
        self, seed: int = 0, *, chunk: int = 1_600, eager: float = 0.3, covers_at_flush: bool = True
    ):
        self._pieces: list[Samples] = [np.empty(0, np.int16)]
        self._samples = 0
        self.words: list[Word] = []
        self.flushes: list[int] = []
        self.chunks: list[Chunk] = []
        self.start = 0
        self.covers_at_flush = covers_at_flush
        self._random = random.Random(seed)
        self._chunk = chunk
        self._eager = eager
        self._covered = 0

    @property
    def heard(self) -> Samples:
        """All it was given."""
        return np.concatenate(self._pieces)

    def speaks(self, language: str) -> bool:
        return True

    async def prepare(self) -> None:
        pass

    async def transcribe(
        self, audio: AudioSource, emit: Callable[[SttEvent], None], options: StreamOptions
    ) -> None:
        emit(Ready())
        begun = False
        while True:
            chunk = await self._read(audio)
            if not begun:
                begun = True
                self._covered = self.start = chunk.position
            reached = self._take(chunk)
            if chunk.end or (chunk.flush and self.covers_at_flush):
                self._cover(reached, emit)
            elif self._random.random() < self._eager:
                self._cover(self._random.randint(self._covered, reached), emit)
            if self._random.random() < 0.1:
                emit(Interim(self._new_words(reached, keep=False)))
            if chunk.end:
                return

    async def _read(self, audio: AudioSource) -> Chunk:
        return await audio.read(self._chunk)

    def _take(self, chunk: Chunk) -> int:
        assert chunk.position == self.start + self._samples
        assert len(chunk.pcm) <= self._chunk
        assert len(chunk.pcm) == self._chunk or chunk.flush or chunk.end
        self._pieces.append(np.array(chunk.pcm, np.int16))
        self._samples += len(chunk.pcm)
        self.chunks.append(chunk)
        if chunk.flush:
            self.flushes.append(self.start + self._samples)
        return self.start + self._samples

    def _cover(self, position: int, emit: Callable[[SttEvent], None]) -> None:
        words = self._new_words(position)
        emit(Final(self._covered, position, words))
        self._covered = position

    def _new_words(self, until: int, *, keep: bool = True) -> tuple[Word, ...]:
        count = min(self._random.randint(0, 4), (until - self._covered) // 2)
        cuts = sorted(self._random.sample(range(self._covered, until + 1), 2 * count))
        words = [Word(f"w{n}", cuts[2 * n], cuts[2 * n + 1]) for n in range(count)]
        if keep:
            self.words += words
        return tuple(words)


def gated_spans(events: Sequence[SttEvent]) -> list[tuple[int, int]]:
    """What the session was told was kept from the vendor."""
    return [(final.start, final.end) for final in finals(events) if final.gated]


def check_tiling(events: Sequence[SttEvent], start: int, end: int) -> None:
    """Finals tile the timeline, and no gap holds words."""
    position = start
    for final in finals(events):
        assert final.start == position
        assert final.end >= final.start
        assert not (final.gated and final.words)
        position = final.end
    assert position == end


def passed_positions(events: Sequence[SttEvent], start: int, end: int) -> NDArray[np.int64]:
    """The session sample of each sample that the vendor was given, as the session was told."""
    keep = np.ones(end - start, bool)
    for first, last in gated_spans(events):
        assert keep[first - start : last - start].all(), "a gap is told once"
        keep[first - start : last - start] = False
    return np.flatnonzero(keep) + start


async def run_gated(
    vendor: Vendor,
    source: AudioSource,
    *,
    mode: GateMode = GateMode.ON,
    voices: SileroPool | None = None,
    hangover: float = 1.0,
    events: list[SttEvent] | None = None,
) -> list[SttEvent]:
    """All events of one stream through a gate."""
    events = [] if events is None else events
    gated = GatedVendor(vendor, mode=mode, voices=voices or LoudVoices(), hangover=hangover)
    await gated.transcribe(source, events.append, OPTIONS)
    return events


class AnsweredSource(MemorySource):
    """Sees to it that each flush is answered: all before it is covered when the vendor reads on."""

    def __init__(self, pcm: Samples, start: int, flushes: Sequence[int], events: Sequence[SttEvent]) -> None:
        super().__init__(pcm, start, flushes)
        self._events = events
        self._flushed = start

    async def read(self, samples: int) -> Chunk:
        told = finals(self._events)
        assert self._flushed <= (told[-1].end if told else self._start)
        chunk = await super().read(samples)
        if chunk.flush:
            self._flushed = chunk.position + len(chunk.pcm)
        return chunk
