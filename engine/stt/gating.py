"""Keeps silence from a vendor: speech goes through with 300 ms before it, the rest is accounted for as gated.

`GatedVendor` stands in front of any other vendor. To that one the audio is shorter than it was; what it says is put
back on the session's timeline (`_gated_timeline.py`).
Operations: the vendor `read`s the gated source; its events come back through `on_event`.
Invariants: every sample is passed to the vendor or given up, once and in order; a cancelled `read` loses nothing.
When the gate closes, the vendor is asked for its results, once (a chunk with `flush`), and is sent nothing until
somebody speaks; its own keepalive goes on. A new gate is open: after a fault the audio may begin inside a word.
At a flush or the end nothing stays undecided: what is held goes to the vendor if there is anything in it at all.
Bounded: held back and queued are the pre-roll and one chunk each; the rest is the timeline's.
Cost: the energy gate on all audio; Silero (4 ms a second) where that one says maybe, and while the gate is open.

In `shadow` the vendor gets everything, and what would have been kept from it is counted. A gate logs at its end how
much it heard and kept; audio that is heard again after a fault counts again.
Known doubts: speech that neither gate hears is not transcribed; `shadow` tells how much that would be at most.
"""

from collections.abc import Callable
from enum import Enum

import msgspec
import numpy as np
import trio
from numpy.typing import NDArray

from engine.audio.gate import EnergyGate
from engine.log import get_logger
from engine.stt._gated_timeline import GatedTimeline
from engine.stt._hangover import Hangover, Leaving, Talk
from engine.stt._silero import SileroPool, VoiceStream
from engine.stt.endpoint import SUSTAIN, WINDOW
from engine.stt.vendor import (
    SAMPLE_RATE,
    Activity,
    AudioSource,
    Chunk,
    Final,
    Interim,
    PlayedVendor,
    StreamOptions,
    SttEvent,
    Vendor,
)

log = get_logger(__name__)

Samples = NDArray[np.int16]

LONGEST_CHUNK = SAMPLE_RATE // 8
"""Samples looked at together, at most; the gate opens and closes between two of these."""

SPEECH = SUSTAIN
"""Silero's probability from which a window is speech: the lower one, as what is kept back is lost."""


class GateMode(Enum):
    """What the gate does."""

    OFF = "off"
    SHADOW = "shadow"
    ON = "on"


class GateStatistics(msgspec.Struct, frozen=True):
    """Samples heard, and of them kept from the vendor (or, in shadow, that would have been)."""

    heard: int
    gated: int


class GatedVendor:
    """A `Vendor` whose audio goes through a gate first. `hangover`: seconds of silence before the gate closes."""

    def __init__(self, vendor: Vendor, *, mode: GateMode, voices: SileroPool, hangover: float) -> None:
        self.name = vendor.name
        self.provider = vendor.provider
        self.takes_preroll = isinstance(vendor, PlayedVendor) and vendor.takes_preroll
        self._vendor = vendor
        self._mode = mode
        self._voices = voices
        self._hangover = int(hangover * SAMPLE_RATE)
        self._live: set[_Gate] = set()
        self._heard = self._gated = 0  # by gates that have ended

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
        if self._mode is GateMode.OFF:
            await self._vendor.transcribe(audio, emit, options)
            return
        gate = _Gate(audio, emit, self._voices, self._hangover, shadow=self._mode is GateMode.SHADOW)
        self._live.add(gate)
        try:
            await self._vendor.transcribe(gate, gate.on_event, options)
        finally:
            gate.close()
            self._live.remove(gate)
            self._heard += gate.heard
            self._gated += gate.gated
            log.info(
                "gate.ended",
                vendor=self.name,
                mode=self._mode.value,
                heard_seconds=round(gate.heard / SAMPLE_RATE, 1),
                gated_seconds=round(gate.gated / SAMPLE_RATE, 1),
            )

    def statistics(self) -> GateStatistics:
        """Over all streams so far."""
        return GateStatistics(
            self._heard + sum(gate.heard for gate in self._live),
            self._gated + sum(gate.gated for gate in self._live),
        )


class _Undecided(msgspec.Struct, frozen=True):
    """What was read and has not been decided: a read that was cancelled goes on with it."""

    pcm: Samples
    maybe: bool
    flush: bool
    end: bool


class _Gate:
    """One stream's gate: the `AudioSource` of the vendor, and the way back for its events."""

    def __init__(
        self,
        source: AudioSource,
        emit: Callable[[SttEvent], None],
        voices: SileroPool,
        hangover: int,
        *,
        shadow: bool,
    ) -> None:
        self.heard = self.gated = 0
        self._source = source
        self._emit = emit
        self._voices = voices
        self._shadow = shadow
        self._energy = EnergyGate()
        self._voice = VoiceStream()
        self._undecided: _Undecided | None = None
        self._remainder: Samples = _NONE  # less than a window, which Silero has not heard
        self._voiced = 0  # windows of speech in what was heard last
        self._talk = Talk()
        self._maybe_until = 0  # session position before which the energy gate last heard anything
        self._hangover = hangover
        self._begun = False
        self._begin_at(source.position)
        self._held: Samples = _NONE
        self._queue: Samples = _NONE  # passed on, for the vendor to read
        self._flush = self._end = False  # with the last of the queue

    def _begin_at(self, position: int) -> None:
        """Only the first audio tells where this stream begins: another vendor may have gone on until now."""
        self._door = Hangover(position, self._hangover)
        self._timeline = GatedTimeline(position, self._emit)

    # What the vendor reads

    @property
    def position(self) -> int:
        """See `AudioSource.position`; in the vendor's shortened time."""
        if not self._begun:
            return self._source.position
        return self._timeline.passed - len(self._queue)

    async def read(self, samples: int) -> Chunk:
        """See `AudioSource.read`. The chunk with which the gate closes is marked `flush`."""
        await trio.lowlevel.checkpoint()
        while len(self._queue) < samples and not (self._flush or self._end):
            await self._hear(samples - len(self._queue))
        position = self.position
        pcm, self._queue = self._queue[:samples], self._queue[samples:]
        if len(self._queue):
            return Chunk(pcm.data.toreadonly(), position)
        flush, self._flush = self._flush, False
        return Chunk(pcm.data.toreadonly(), position, flush=flush and not self._end, end=self._end)

    async def _hear(self, wanted: int) -> None:
        """Read and decide up to `wanted` samples. Cancelled, it leaves what it read to the next call."""
        if self._undecided is None:
            chunk = await self._source.read(min(wanted, LONGEST_CHUNK))
            if not self._begun:
                self._begun = True
                self._begin_at(chunk.position)
            pcm = np.array(chunk.pcm, np.int16)
            maybe = self._energy.process(pcm) if len(pcm) else False
            self._undecided = _Undecided(pcm, maybe, chunk.flush, chunk.end)
        new = self._undecided
        if len(new.pcm):
            self._voiced = await self._count_voiced(new)
            self._decide(new)
        self._undecided = None
        if new.flush or new.end:
            self._decide_all(new)

    async def _count_voiced(self, new: _Undecided) -> int:
        """How many windows that end in `new` are speech; where none does, as many as before."""
        audio = np.concatenate([self._remainder, new.pcm])
        whole = len(audio) // WINDOW * WINDOW
        windows = audio[:whole].reshape(-1, WINDOW)
        voiced = self._voiced
        if not new.maybe and not self._door.open:
            self._voice.skip(windows)
            voiced = 0
        elif whole:
            probabilities = await self._voices.probabilities(self._voice, windows)
            voiced = sum(probability >= SPEECH for probability in probabilities)
        self._remainder = audio[whole:]
        return voiced

    def _decide(self, new: _Undecided) -> None:
        """What leaves now that `new` was heard."""
        position = self._door.heard
        self.heard += len(new.pcm)
        if new.maybe:
            self._maybe_until = position + len(new.pcm)
        if self._shadow:
            self._pass_on(new.pcm, position)
        else:
            self._held = np.concatenate([self._held, new.pcm])
        leaving = self._door.hear(len(new.pcm), speech=self._voiced > 0)
        if leaving.closed and not self._shadow:
            self._flush = True
        self._tell(self._talk.hear(position, self._door.heard, self._voiced))
        self._let_go(leaving)

    def _decide_all(self, new: _Undecided) -> None:
        """A flush or the end: all that was heard is to be covered."""
        self._tell(self._talk.end())
        if self._door.open:
            self._door.release(passed=True)
        else:
            # Speech may have begun where Silero is not sure yet, though never where the energy gate hears nothing.
            maybe = self._energy.process(_REST_OF_HOP) or self._maybe_until > self._door.held_from
            self._let_go(self._door.release(passed=maybe))
        self._timeline.settle()
        self._flush |= new.flush and (self._shadow or self._timeline.in_flight > 0)
        self._end = new.end

    def _let_go(self, leaving: Leaving) -> None:
        if not leaving.passed:
            self.gated += leaving.samples
        if self._shadow:
            return
        end = self._door.held_from
        start = end - leaving.samples
        gone, self._held = self._held[: leaving.samples], self._held[leaving.samples :]
        if leaving.passed:
            self._pass_on(gone, start)
        else:
            self._timeline.given_up(start, end)

    def _pass_on(self, pcm: Samples, start: int) -> None:
        self._queue = np.concatenate([self._queue, pcm])
        self._timeline.passed_on(start, start + len(pcm))
        self._timeline.settle()

    def _tell(self, activity: Activity | None) -> None:
        if activity is not None:
            self._emit(activity)

    # The way back

    def on_event(self, event: SttEvent) -> None:
        """Put the vendor's event on the session's timeline."""
        match event:
            case Final():
                self._timeline.on_final(event)
            case Interim():
                self._timeline.on_interim(event)
            case Activity():
                pass  # the gate's own says the same of the whole timeline
            case _:
                self._emit(event)

    def close(self) -> None:
        """Give the voice activity instance back."""
        self._voice.give_up()


_NONE: Samples = np.empty(0, np.int16)
_REST_OF_HOP: Samples = np.zeros(319, np.int16)
"""Makes the energy gate judge a hop that has begun."""
