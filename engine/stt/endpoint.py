"""Where utterances begin and end, from the speech probability of each 32 ms window.

Operations: `push` one window, `finish` at a flush or the end of the stream, `open_utterance` for interims.

Invariants: the spans given out (silence and utterances) tile the timeline: each starts where the one before
ended. `covered` plus what is held is always the position of the last sample pushed. An utterance carries up
to `PRE_ROLL` before its first speech and `TAIL` after its last; neither overlaps its neighbours.

Bounded: held audio is at most the utterance limit plus one window while speech lasts, and `PRE_ROLL` plus
`SILENCE_EVERY` in silence.

An utterance that reaches its limit is cut at the quietest window of its second half, so that words stay
whole; what follows the cut begins the next one. Cost: a few list operations a window, no arithmetic on
samples except at a cut.

Known doubt: in music or babble no window of the second half is quiet, and a cut may then split a word.
"""

from enum import Enum

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.stt.vendor import SAMPLE_RATE, Activity

WINDOW = 512
"""Samples of one window of the voice activity model (32 ms)."""

PRE_ROLL = SAMPLE_RATE * 3 // 10
"""Audio kept from before the first speech window, in samples: soft onsets score low."""

TAIL = SAMPLE_RATE // 5
"""Audio an utterance keeps after its last speech window, in samples; the rest is the next one's pre-roll."""

SILENCE_EVERY = SAMPLE_RATE
"""In silence a span is given out each time this many samples have gathered."""

MIN_SPEECH = 4
"""Speech windows (128 ms) an utterance must hold; a click has fewer and counts as silence."""

ONSET = 0.5
"""Probability at which a window begins speech."""

SUSTAIN = 0.35
"""Probability at which a window continues speech that has begun (Silero's own hysteresis of 0.15)."""


class Silence(msgspec.Struct, frozen=True):
    """Samples `start` to `end` hold no speech."""

    start: int
    end: int


class Utterance(msgspec.Struct, frozen=True):
    """Samples `start` to `end` (`pcm`, int16); speech was heard from `speech_start` to `speech_end`."""

    start: int
    end: int
    speech_start: int
    speech_end: int
    pcm: NDArray[np.int16]


Endpointed = Silence | Utterance | Activity


class _State(Enum):
    SILENT = "no speech"
    CANDIDATE = "too little speech so far to be sure"
    SPEAKING = "speech"


class _Window(msgspec.Struct, frozen=True):
    pcm: NDArray[np.int16]
    probability: float


class EndpointStatistics(msgspec.Struct, frozen=True):
    """`utterances` given out, of them `cut` at the limit; `discarded`: too short; `held` in samples."""

    utterances: int
    cut: int
    discarded: int
    held: int


class Endpointer:
    """Divides one stream into utterances and silence. `start` is the position of its first sample.

    `endpoint_silence` and `utterance_limit` are in seconds.
    """

    def __init__(self, start: int, *, endpoint_silence: float, utterance_limit: float) -> None:
        self.covered = start
        self._held: list[_Window] = []
        self._held_samples = 0
        self._state = _State.SILENT
        self._quiet_limit = int(endpoint_silence * SAMPLE_RATE)
        self._limit = int(utterance_limit * SAMPLE_RATE)
        self._speech_windows = 0
        self._speech_start = start
        self._speech_end = start
        self._utterances = self._cut_count = self._discarded = 0

    @property
    def position(self) -> int:
        """The sample after the last one pushed."""
        return self.covered + self._held_samples

    @property
    def is_open(self) -> bool:
        """Speech has begun and not ended, though it may still prove too short."""
        return self._state is not _State.SILENT

    def push(self, pcm: NDArray[np.int16], probability: float) -> list[Endpointed]:
        """Add the next window (kept: the caller must not change `pcm`) and return what is now decided."""
        self._append(_Window(pcm, probability))
        out: list[Endpointed] = []
        if self._state is _State.SILENT:
            self._push_silent(probability, out)
        else:
            self._push_speech(probability, out)
        return out

    def finish(self, tail: NDArray[np.int16]) -> list[Endpointed]:
        """Close what is open up to and including `tail` (less than a window); nothing is held then."""
        if len(tail):
            self._append(_Window(tail, self._held[-1].probability if self._held else 0.0))
        out: list[Endpointed] = []
        if self.is_open:
            self._close(self.position, out)
        if self._held:
            self._give_silence(self.position, out)
        return out

    def open_utterance(self) -> Utterance | None:
        """What is being said so far, once it is surely speech; the audio is a copy."""
        if self._state is not _State.SPEAKING or not self._speech_windows:
            return None
        return Utterance(
            self.covered, self.position, self._speech_start, self._speech_end, self._join(self._held)
        )

    def statistics(self) -> EndpointStatistics:
        """Counts since the stream began, and what is held now."""
        return EndpointStatistics(self._utterances, self._cut_count, self._discarded, self._held_samples)

    def _append(self, window: _Window) -> None:
        self._held.append(window)
        self._held_samples += len(window.pcm)

    def _push_silent(self, probability: float, out: list[Endpointed]) -> None:
        if probability >= ONSET:
            self._state = _State.CANDIDATE
            self._speech_windows = 1
            self._speech_start = self.position - WINDOW
            self._speech_end = self.position
            self._give_silence(self._speech_start - PRE_ROLL, out)
        elif self._held_samples >= PRE_ROLL + SILENCE_EVERY:
            self._give_silence(self.position - PRE_ROLL, out)

    def _push_speech(self, probability: float, out: list[Endpointed]) -> None:
        if probability >= SUSTAIN:
            self._hear(self.position)
            if self._state is _State.CANDIDATE and self._speech_windows >= MIN_SPEECH:
                self._state = _State.SPEAKING
                out.append(Activity(self._speech_start, speaking=True))
        if self.position - self._speech_end >= self._quiet_limit:
            self._close(self._speech_end + TAIL, out)
        elif self._held_samples >= self._limit:
            self._cut(out)

    def _hear(self, position: int) -> None:
        if not self._speech_windows:
            self._speech_start = position - WINDOW
        self._speech_windows += 1
        self._speech_end = position

    def _close(self, end: int, out: list[Endpointed]) -> None:
        """End the open utterance about `end`; the windows after it stay held, as pre-roll."""
        if self._state is _State.SPEAKING:
            out.append(Activity(self._speech_end, speaking=False))
            if self._speech_windows:
                self._give_utterance(self._windows_until(end), out)
        else:
            self._discarded += 1
        self._state = _State.SILENT
        self._speech_windows = 0
        self._give_silence(self.position - PRE_ROLL, out)

    def _cut(self, out: list[Endpointed]) -> None:
        """Give out the first part of speech that has gone on for the limit, and keep the rest open."""
        count = quietest(
            [window.probability for window in self._held],
            [_loudness(window.pcm) for window in self._held],
        )
        if self._speech_windows:
            self._give_utterance(count, out)
            self._cut_count += 1
        else:
            self._give_silence(self.covered + count * WINDOW, out)
        self._speech_windows = 0
        position = self.covered
        heard_until = self._speech_end
        for window in self._held:
            position += len(window.pcm)
            if window.probability >= SUSTAIN:
                self._hear(position)
        self._speech_end = max(heard_until, self._speech_end)

    def _windows_until(self, end: int) -> int:
        """How many held windows to take so that they reach `end` (all, when it lies beyond)."""
        position = self.covered
        for count, window in enumerate(self._held):
            if position >= end:
                return count
            position += len(window.pcm)
        return len(self._held)

    def _give_utterance(self, count: int, out: list[Endpointed]) -> None:
        windows = self._take(count)
        pcm = self._join(windows)
        start = self.covered
        self.covered += len(pcm)
        self._utterances += 1
        speech_end = min(self._speech_end, self.covered)
        out.append(Utterance(start, self.covered, self._speech_start, speech_end, pcm))

    def _give_silence(self, end: int, out: list[Endpointed]) -> None:
        """Give out held windows that lie wholly before `end` as silence."""
        start, position = self.covered, self.covered
        count = 0
        for window in self._held:
            if position + len(window.pcm) > end:
                break
            position += len(window.pcm)
            count += 1
        if count:
            self._take(count)
            self.covered = position
            out.append(Silence(start, position))

    def _take(self, count: int) -> list[_Window]:
        taken, self._held = self._held[:count], self._held[count:]
        self._held_samples -= sum(len(window.pcm) for window in taken)
        return taken

    @staticmethod
    def _join(windows: list[_Window]) -> NDArray[np.int16]:
        return np.concatenate([window.pcm for window in windows])


def _loudness(pcm: NDArray[np.int16]) -> float:
    """Mean power in dB relative to one squared quantization step, floored at 0."""
    samples = pcm.astype(np.float32)
    return 10.0 * float(np.log10(max(1.0, float(samples @ samples) / max(1, len(samples)))))


def quietest(probabilities: list[float], loudness: list[float]) -> int:
    """How many windows to cut off so that the cut lies in the quietest stretch of the second half.

    Each is the mean over five windows (160 ms). Loudness (scaled to 0 … 1 over the stretch) is added to the
    probability because in unbroken speech the probability alone stays near 1 and says little.
    """
    total = len(probabilities)
    first = total // 2
    kernel = np.ones(5) / 5
    speech = np.convolve(np.pad(probabilities, 2, mode="edge"), kernel, mode="valid")[first:]
    level = np.convolve(np.pad(loudness, 2, mode="edge"), kernel, mode="valid")[first:]
    spread = max(1e-6, float(level.max() - level.min()))
    score = speech + (level - level.min()) / spread
    return first + int(np.argmin(score)) + 1
