"""From a vendor that was not sent all of the audio back to the session's timeline.

Operations: `passed_on` and `given_up` tell what became of the audio, in its order; `on_final` and `on_interim` take
what the vendor says, in its own shortened time; `settle` tells the gaps that nothing waits before any more.
Invariants: the `Final`s emitted tile the session's timeline from its first sample on; each gap is in `gated` ones
once, and in no other; a word lies in audio that was passed on, on the side of a gap on which its middle is, and
keeps its length unless it would reach into the gap.
Bounded: gaps that lie after audio the vendor has not covered, which are as many as the pauses in that audio; the
offset table is bounded by itself. While nothing is in flight at most `TELL_EVERY` of silence is not told.
Cost: a few comparisons an event, and two binary searches a word.
"""

from collections import deque
from collections.abc import Callable, Iterable

import msgspec
from msgspec.structs import replace

from engine.stt.vendor import SAMPLE_RATE, Final, Interim, SttEvent
from engine.transcript.timeline import OffsetTable
from engine.transcript.words import Word

TELL_EVERY = SAMPLE_RATE
"""Samples of silence that are told in one `Final`, while it goes on."""


class TimelineStatistics(msgspec.Struct, frozen=True):
    """`in_flight`: samples passed on and not covered; `gaps` not told yet; `checkpoints` of the offset table."""

    in_flight: int
    gaps: int
    checkpoints: int


class GatedTimeline:
    """One stream's. The vendor's time begins at `start`, as the session's does, and then falls behind."""

    def __init__(self, start: int, emit: Callable[[SttEvent], None]) -> None:
        self.passed = start
        """The vendor sample after the last passed on."""
        self.covered = start
        """The session sample up to which the session was told."""
        self._emit = emit
        self._acknowledged = start  # the vendor sample after the last one covered
        self._after_gap = start  # session sample after the last gap told
        self._table = OffsetTable()
        self._gaps: deque[tuple[int, int]] = deque()

    @property
    def in_flight(self) -> int:
        """Samples passed on that the vendor has not covered."""
        return self.passed - self._acknowledged

    def passed_on(self, start: int, end: int) -> None:
        """The session's samples from `start` to `end` are the vendor's next."""
        if end > start:
            self._table.add(self.passed, start)
            self.passed += end - start

    def given_up(self, start: int, end: int) -> None:
        """The vendor will not get the samples from `start` to `end`."""
        if end == start:
            return
        if self._gaps and self._gaps[-1][1] == start:
            start = self._gaps.pop()[0]
        self._gaps.append((start, end))
        if end - start >= TELL_EVERY:
            self.settle()

    def settle(self) -> None:
        """Tell the gap that begins where the session was told to."""
        self._advance(self.covered, ())

    def on_final(self, final: Final) -> None:
        """The vendor is done with all before `final.end`."""
        self._acknowledged = max(self._acknowledged, min(final.end, self.passed))
        self._advance(self._table.to_session(self._acknowledged, end=True), self._moved(final.words))

    def on_interim(self, interim: Interim) -> None:
        """The vendor's open utterance."""
        self._emit(Interim(self._moved(interim.words)))

    def statistics(self) -> TimelineStatistics:
        """What is in flight and held now."""
        return TimelineStatistics(self.in_flight, len(self._gaps), self._table.statistics().checkpoints)

    def _moved(self, words: Iterable[Word]) -> tuple[Word, ...]:
        """Words as far on as their middles are: a vendor's few ms beyond a cut must not become a whole pause."""

        def moved(word: Word) -> Word:
            middle = _middle(word)
            by = self._table.to_session(middle) - middle
            return replace(word, start=word.start + by, end=word.end + by)

        return tuple(moved(word) for word in words)

    def _advance(self, position: int, words: tuple[Word, ...]) -> None:
        """Tell all up to `position`, and the gap that begins there."""
        while self._gaps and self._gaps[0][0] <= position:
            start, end = self._gaps.popleft()
            self._tell(start, [replace(w, end=min(w.end, start)) for w in words if _middle(w) < start])
            words = tuple(word for word in words if _middle(word) >= start)
            self._emit(Final(self.covered, end, gated=True))
            self.covered = self._after_gap = end
        self._tell(position, words)

    def _tell(self, position: int, words: Iterable[Word]) -> None:
        told = tuple(self._after_last_gap(word) for word in words)
        if position > self.covered or told:
            start, self.covered = self.covered, max(position, self.covered)
            self._emit(Final(start, self.covered, told))

    def _after_last_gap(self, word: Word) -> Word:
        """`word` without what reaches back into the gap; one from before it, which comes late, stays as it is."""
        if word.start < self._after_gap <= _middle(word):
            return replace(word, start=self._after_gap)
        return word


def _middle(word: Word) -> int:
    return (word.start + word.end) // 2
