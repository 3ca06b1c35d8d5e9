"""What one connection of a stand-in was given, and which scripted words that amounts to.

Operations: `feed` bytes of audio, `finish`. Invariants: each word is heard at most once; only when all of its
samples arrived on this connection, up to one mark block; the session's samples are expected to go forward only,
and those that come again are counted in `repeated`, not heard again. Bounded: the spans that the next word may
need, one a cut. Cost: `MarkReader.feed` and a few comparisons a message.
"""

from bisect import bisect_left, bisect_right

import msgspec
import numpy as np
from msgspec.structs import replace

from engine.stt.vendor import SAMPLE_RATE
from engine.testing.marks import BLOCK, MarkReader, Span
from engine.testing.scripted import Script
from engine.transcript.words import Word


class Heard(msgspec.Struct, frozen=True):
    """Word `number` of the script; `start` and `end` in samples of this connection, `word` on the session's."""

    number: int
    word: Word
    start: int
    end: int
    stream: int = 0

    @property
    def seconds(self) -> tuple[float, float]:
        """Start and end in seconds of this connection, as vendors tell them."""
        return self.start / SAMPLE_RATE, self.end / SAMPLE_RATE


class Intervals:
    """A set of samples, as disjoint intervals in order; bounded by the number of gaps in what was added."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []

    def add(self, start: int, end: int) -> None:
        """Add samples `start` to `end`."""
        low = bisect_left(self._ends, start)
        high = bisect_right(self._starts, end)
        if low < high:
            start, end = min(start, self._starts[low]), max(end, self._ends[high - 1])
        self._starts[low:high] = [start]
        self._ends[low:high] = [end]

    def spans(self) -> tuple[tuple[int, int], ...]:
        """The intervals in order."""
        return tuple(zip(self._starts, self._ends, strict=True))

    def total(self) -> int:
        """Samples in the set."""
        return sum(self._ends) - sum(self._starts)


class Hearing:
    """One connection's audio. Without `marked` the connection's samples are taken for the session's.

    With `own_numbers` speakers are numbered in the order in which they are first heard here, as vendors do it.
    """

    def __init__(self, script: Script, *, marked: bool = True, own_numbers: bool = False) -> None:
        self.samples = 0
        """Samples received; an odd byte waits for its other half."""
        self.reached = 0
        """The session sample after the furthest that arrived."""
        self.stream = 0
        self.received = Intervals()
        self.missed: list[int] = []
        """Numbers of words that began here and were passed without all of their samples."""
        self.repeated = 0
        """Session samples that arrived again."""
        self._script = script
        self._reader = MarkReader() if marked else None
        self._odd = b""
        self._spans: list[Span] = []
        self._number = 0
        self._speakers: dict[int, int] | None = {} if own_numbers else None
        self._first: int | None = None

    def feed(self, payload: bytes) -> list[Heard]:
        """Take s16le mono 16 kHz audio; returns the words that are complete now, in order of time."""
        data = self._odd + payload
        even = len(data) & ~1
        self._odd = data[even:]
        pcm = np.frombuffer(data[:even], "<i2").astype(np.int16, copy=False)
        if self._reader is None:
            spans = [Span(self.samples, self.samples, len(pcm))] if len(pcm) else []
        else:
            spans = self._reader.feed(pcm)
        self.samples += len(pcm)
        heard = []
        for span in spans:
            self._add(span)
            heard += self._complete(self.reached)
        return heard

    def finish(self) -> list[Heard]:
        """The last words: those that lack no more than a mark block at their end, as after a cut."""
        return self._complete(self.reached + BLOCK)

    @property
    def open_since(self) -> int | None:
        """Sample of this connection where the word begins that is arriving; None between words."""
        word = self._script(self._number)
        if word is None or word.start >= self.reached:
            return None
        return next((self._vendor(span, word.start) for span in self._spans if _overlap(span, word)), None)

    def middle_of(self, number: int) -> int | None:
        """Session sample in the middle of word `number`; None when the script ends before."""
        word = self._script(number)
        return None if word is None else (word.start + word.end) // 2

    def _add(self, span: Span) -> None:
        end = span.session + span.samples
        self.repeated += max(0, min(self.reached, end) - span.session) if self._first is not None else 0
        if self._first is None:
            self._first = span.session
        self.stream = span.stream
        self.reached = max(self.reached, end)
        self.received.add(span.session, end)
        last = self._spans[-1] if self._spans else None
        if last and last.vendor + last.samples == span.vendor and last.session + last.samples == span.session:
            self._spans[-1] = last._replace(samples=last.samples + span.samples)
        else:
            self._spans.append(span)

    def _complete(self, reached: int) -> list[Heard]:
        heard = []
        while (word := self._script(self._number)) is not None and word.end <= reached:
            spans = [span for span in self._spans if _overlap(span, word)]
            arrived = sum(_overlap(span, word) for span in spans)
            if arrived and arrived >= word.end - word.start - BLOCK:
                start, end = self._vendor(spans[0], word.start), self._vendor(spans[-1], word.end)
                heard.append(Heard(self._number, self._renumbered(word), start, end, self.stream))
            elif word.start >= (self._first or 0):
                self.missed.append(self._number)
            self._number += 1
        while len(self._spans) > 1 and self._spans[0].session + self._spans[0].samples <= (
            word.start if word else self.reached
        ):
            self._spans.pop(0)
        return heard

    def _renumbered(self, word: Word) -> Word:
        if self._speakers is None or word.speaker is None:
            return word
        return replace(word, speaker=self._speakers.setdefault(word.speaker, len(self._speakers)))

    @staticmethod
    def _vendor(span: Span, session: int) -> int:
        return span.vendor + min(max(session - span.session, 0), span.samples)


def _overlap(span: Span, word: Word) -> int:
    return max(0, min(span.session + span.samples, word.end) - max(span.session, word.start))
