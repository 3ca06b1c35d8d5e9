"""Keeps silence from a vendor: speech goes through with 300 ms before it, the rest is accounted for as gated.

`GatedVendor` stands in front of any other vendor. To that one the audio is shorter than it was; what it says is put
back on the session's timeline here.
Operations: the vendor reads the gated source; `emit` of the vendor's events goes through `_Ledger`-like tables.
Invariants: `Final`s to the session still tile its timeline: spans the vendor covered, and between them spans marked
`gated`. Audio is passed to the vendor in order, each sample once at most.
Bounded: held back are the pre-roll and one chunk; the offset table is bounded by itself; gaps that nobody has
covered yet are as many as there were pauses in the audio in flight.
Cost: the energy gate on all audio; Silero (4 ms a second) only where that one says maybe.

When the gate closes, the vendor is asked for its results (`flush`), and after that nothing is sent but what the
vendor's protocol wants for keepalive. In `shadow` everything is sent, and what would not have been is counted.
Known doubt: speech that Silero does not hear is not transcribed; `shadow` tells how much that would be.
"""

from collections import deque
from collections.abc import Callable
from enum import Enum

import msgspec
import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from engine.audio.gate import EnergyGate
from engine.stt._silero import SileroPool, VoiceStream
from engine.stt.endpoint import WINDOW
from engine.stt.vendor import (
    SAMPLE_RATE,
    Activity,
    AudioSource,
    Chunk,
    Final,
    Interim,
    StreamOptions,
    SttEvent,
    Vendor,
)
from engine.transcript.timeline import OffsetTable
from engine.transcript.words import Word

Samples = NDArray[np.int16]

CHUNK = 3 * WINDOW
"""Samples looked at together (96 ms)."""

PRE_ROLL = SAMPLE_RATE * 3 // 10
SPEECH = 0.5
"""Silero's probability from which a window is speech."""


class GateMode(Enum):
    """What the gate does."""

    OFF = "off"
    SHADOW = "shadow"
    ON = "on"


class GateStatistics(msgspec.Struct, frozen=True):
    """Samples over all streams: heard, and of them kept from the vendor (or, in shadow, that would have been)."""

    heard: int
    gated: int


class GateCounts:
    """What all gates of a process did together."""

    def __init__(self) -> None:
        self.heard = 0
        self.gated = 0

    def statistics(self) -> GateStatistics:
        """The counts now."""
        return GateStatistics(self.heard, self.gated)


class GatedVendor:
    """A `Vendor` whose audio goes through a gate first. `hangover`: seconds of silence before the gate closes."""

    def __init__(
        self,
        vendor: Vendor,
        *,
        mode: GateMode,
        voices: SileroPool,
        hangover: float,
        counts: GateCounts,
    ) -> None:
        self.name = vendor.name
        self.provider = vendor.provider
        self._vendor = vendor
        self._mode = mode
        self._voices = voices
        self._hangover = int(hangover * SAMPLE_RATE)
        self._counts = counts

    def speaks(self, language: str) -> bool:
        """See `Vendor.speaks`."""
        return self._vendor.speaks(language)

    async def prepare(self) -> None:
        """See `Vendor.prepare`; the voice activity model is warmed too."""
        await self._voices.warm()
        await self._vendor.prepare()

    async def transcribe(
        self, audio: AudioSource, emit: Callable[[SttEvent], None], options: StreamOptions
    ) -> None:
        """See `Vendor.transcribe`."""
        gate = _Gate(audio, emit, self._voices, self._hangover, self._mode, self._counts)
        try:
            await self._vendor.transcribe(gate, gate.on_event, options)
            gate.finish()
        finally:
            gate.close()


class _Gate:
    """One stream's gate: the `AudioSource` of the vendor, and the way back for its events."""

    def __init__(
        self,
        source: AudioSource,
        emit: Callable[[SttEvent], None],
        voices: SileroPool,
        hangover: int,
        mode: GateMode,
        counts: GateCounts,
    ) -> None:
        self.position = 0  # of the next sample the vendor reads, in its shortened time
        self._source = source
        self._emit = emit
        self._voices = voices
        self._hangover = hangover
        self._shadow = mode is GateMode.SHADOW
        self._counts = counts
        self._energy = EnergyGate()
        self._voice = VoiceStream()
        self._remainder: Samples = _NONE
        self._open = False
        self._quiet = 0
        self._speaking = False
        self._begun = False
        self._held: deque[Samples] = deque()  # pre-roll: not passed on, not given up
        self._held_samples = 0
        self._heard_to = 0  # session position up to which audio is decided or held
        self._passed = 0  # samples passed on, in the vendor's time
        self._acknowledged = 0  # of those, covered by the vendor
        self._covered = 0  # session position up to which the session was told
        self._table = OffsetTable()
        self._gaps: deque[tuple[int, int]] = deque()  # session spans kept from the vendor, not told yet

    # What the vendor reads

    async def read(self, samples: int) -> Chunk:
        """See `AudioSource.read`. A chunk may be shorter than asked for: speech is passed on as it is decided."""
        while True:
            chunk = await self._source.read(min(samples, CHUNK))
            if not self._begun:
                self._begun = True
                self._heard_to = self._covered = chunk.position
            pcm = np.frombuffer(chunk.pcm, np.int16)
            passed, closed = await self._decide(pcm)
            if len(passed) or chunk.flush or chunk.end or closed:
                out = Chunk(
                    memoryview(passed.tobytes()).cast("h"),
                    self.position,
                    flush=chunk.flush or (closed and not chunk.end),
                    end=chunk.end,
                )
                self.position += len(passed)
                return out

    async def _decide(self, pcm: Samples) -> tuple[Samples, bool]:
        """What of `pcm` (and of what was held before it) goes to the vendor, and whether the gate closed now."""
        if not len(pcm):
            return _NONE, False
        speech = await self._is_speech(pcm)
        was_open = self._open
        self._quiet = 0 if speech else self._quiet + len(pcm)
        self._open = speech or (was_open and self._quiet < self._hangover)
        self._counts.heard += len(pcm)
        self._tell_activity(speech, self._heard_to + (0 if speech else len(pcm)))
        if self._shadow:
            self._counts.gated += 0 if self._open else len(pcm)
            return self._pass([pcm]), False
        if not self._open:
            self._hold(pcm)
            return _NONE, was_open
        return self._pass([*self._take_held(), pcm]), False

    async def _is_speech(self, pcm: Samples) -> bool:
        maybe = self._energy.process(pcm)
        held = np.concatenate([self._remainder, pcm])
        whole = len(held) // WINDOW * WINDOW
        self._remainder = held[whole:]
        windows = held[:whole].reshape(-1, WINDOW)
        if not whole:
            return self._open and self._quiet == 0
        if not maybe and not self._open:
            self._voice.skip(windows)
            return False
        return max(await self._voices.probabilities(self._voice, windows)) >= SPEECH

    def _tell_activity(self, speech: bool, position: int) -> None:
        if speech != self._speaking:
            self._speaking = speech
            self._emit(Activity(position, speech))

    def _pass(self, pieces: list[Samples]) -> Samples:
        passed = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
        held = len(passed) - len(pieces[-1])
        self._table.add(self._passed, self._heard_to - held)
        self._passed += len(passed)
        self._heard_to += len(pieces[-1])
        return passed

    def _hold(self, pcm: Samples) -> None:
        """Keep the last `PRE_ROLL` samples; what is older will not be passed on any more."""
        self._held.append(pcm.copy())
        self._held_samples += len(pcm)
        self._heard_to += len(pcm)
        while self._held_samples - len(self._held[0]) >= PRE_ROLL:
            gone = len(self._held.popleft())
            start = self._heard_to - self._held_samples
            self._held_samples -= gone
            self._give_up(start, start + gone)

    def _take_held(self) -> list[Samples]:
        held = list(self._held)
        self._held.clear()
        self._held_samples = 0
        return held

    def _give_up(self, start: int, end: int) -> None:
        self._counts.gated += end - start
        if self._gaps and self._gaps[-1][1] == start:
            self._gaps[-1] = (self._gaps[-1][0], end)
        else:
            self._gaps.append((start, end))
        self._settle()

    # The way back

    def on_event(self, event: SttEvent) -> None:
        """Put the vendor's event on the session's timeline."""
        match event:
            case Final():
                self._acknowledged = event.end
                self._cover(self._table.to_session(event.end, end=True), self._moved(event.words))
                self._settle()
            case Interim():
                self._emit(Interim(self._moved(event.words)))
            case Activity():
                pass  # the gate's own says the same of the whole timeline
            case _:
                self._emit(event)

    def finish(self) -> None:
        """The vendor has come to its end: what is held was silence."""
        self._take_all_held_as_gap()
        self._acknowledged = self._passed
        self._settle()

    def close(self) -> None:
        """Give the voice activity instance back."""
        self._voice.give_up()

    def _take_all_held_as_gap(self) -> None:
        start = self._heard_to - self._held_samples
        self._take_held()
        if start < self._heard_to:
            self._give_up(start, self._heard_to)

    def _moved(self, words: tuple[Word, ...]) -> tuple[Word, ...]:
        spans = [self._table.span(word.start, word.end) for word in words]
        return tuple(
            replace(word, start=start, end=end) for word, (start, end) in zip(words, spans, strict=True)
        )

    def _cover(self, position: int, words: tuple[Word, ...]) -> None:
        """Up to `position` by the vendor, with the gaps before it told as such."""
        while self._gaps and self._gaps[0][0] < position:
            start, end = self._gaps.popleft()
            before = tuple(word for word in words if word.start < start)
            self._tell(start, before)
            words = words[len(before) :]
            self._emit(Final(start, end, gated=True))
            self._covered = end
        self._tell(position, words)

    def _tell(self, position: int, words: tuple[Word, ...]) -> None:
        if position > self._covered or words:
            start, self._covered = self._covered, max(position, self._covered)
            self._emit(Final(start, self._covered, words))

    def _settle(self) -> None:
        """A gap is told as soon as all that came before it is covered."""
        while self._gaps and self._gaps[0][0] <= self._covered:
            start, end = self._gaps.popleft()
            if end > self._covered:
                self._emit(Final(max(start, self._covered), end, gated=True))
                self._covered = end


_NONE: Samples = np.empty(0, np.int16)
