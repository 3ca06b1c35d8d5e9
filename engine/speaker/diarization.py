"""Who says which words, where the speech-to-text service does not tell speakers apart.

Operations: `atoms` cuts an utterance's words where speakers may change; `Diarizer.label` says whose each atom is.
Invariants: a speaker's number stays (see `engine.speaker.roster`); an utterance once labelled keeps its labels, but
for speakers who turn out to be one.
Bounded by the roster. Cost: with each utterance all pieces that are kept are put into clusters anew, in a few
milliseconds.

Speakers change in a pause, not inside a phrase: words are taken together up to there, and each run is heard by itself,
which a window laid blindly over a change is not. Pieces of at least `least_seconds` (of who speaks in bursts, several
together) are joined, the two most alike first, by the mean similarity of all pairs, until no two are as alike as one
voice is to itself: `same_above`. That measure takes short and noisy pieces for what they are, which the similarity of
means does not. Clusters with enough speech are speakers. Then the likeliest path through the speakers is looked for, in
which a change has its price: without it the few tenths of a second of a "yes" would be anybody's.

Known doubt: who says only short things, one at a time, is never told apart from who speaks before.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby

import msgspec
import numpy as np

from engine.speaker.embedding import WINDOW, Floats
from engine.speaker.roster import Heard, Piece, Roster, nothing
from engine.transcript.timeline import SAMPLE_RATE
from engine.transcript.words import Word

__all__ = ["Atom", "Diarizer", "DiarizerRules", "Labels", "atoms", "heard_span"]

PAUSE = SAMPLE_RATE // 5
"""Samples without a word between two atoms."""

UNDECIDED = -1
"""The number of a piece of which nobody has said whose it is."""

LONGEST = 6 * SAMPLE_RATE
"""Speech without a pause is cut when it is this long."""


class Atom(msgspec.Struct, frozen=True):
    """Words `first` to `last` (exclusive) of an utterance, spoken from sample `start` to sample `end`."""

    first: int
    last: int
    start: int
    end: int

    @property
    def seconds(self) -> float:
        """Its length."""
        return (self.end - self.start) / SAMPLE_RATE


class DiarizerRules(msgspec.Struct, frozen=True, kw_only=True):
    """Similarities (0 … 1) and seconds; `python -m bench speaker` prints what they were set by.

    `change`: the price of a change of speakers, in seconds of speech times similarity.
    """

    same_above: float = 0.765
    least_seconds: float = 1.0
    speaker_seconds: float = 2.5
    change: float = 0.06


class Labels(msgspec.Struct, frozen=True):
    """The speaker of each atom, and numbers given before that turned out to be another's (gone: kept)."""

    numbers: list[int]
    merged: dict[int, int] = {}


class _Cluster(msgspec.Struct):
    """Pieces of one voice. `number` is set where it is surely a speaker's."""

    heard: Heard
    pieces: list[Piece]
    number: int | None = None


def atoms(words: Sequence[Word]) -> list[Atom]:
    """The words in runs that are one speaker's."""
    found: list[Atom] = []
    for index, word in enumerate(words):
        end = max(word.end, word.start)
        if found and word.start - words[index - 1].end < PAUSE and end - found[-1].start <= LONGEST:
            before = found[-1]
            found[-1] = Atom(before.first, index + 1, before.start, max(before.end, end))
        else:
            found.append(Atom(index, index + 1, word.start, end))
    return found


def heard_span(atom: Atom, start: int, end: int) -> tuple[int, int]:
    """From where to where an atom is heard in an utterance from `start` to `end`: what is around it fills a window."""
    if atom.end - atom.start >= WINDOW:
        return max(atom.start, start), min(atom.end, end)
    middle = (atom.start + atom.end) // 2
    first = max(start, min(middle - WINDOW // 2, end - WINDOW))
    return first, min(end, first + WINDOW)


class Diarizer:
    """One session's."""

    def __init__(self, roster: Roster, rules: DiarizerRules | None = None) -> None:
        self._roster = roster
        self._rules = rules or DiarizerRules()
        self._last: int | None = None

    def label(self, run: Sequence[Atom], vectors: Sequence[Floats]) -> Labels:
        """The speaker of each atom of an utterance, in order; `vectors` is what each sounds like."""
        if not run:
            return Labels([])
        if not self._roster.numbers:
            self._roster.new()
        mine = list(self._pieces(run, vectors))
        self._roster.pieces += (piece for _, piece in mine)
        merged = self._number(self._clusters())
        numbers = self._path(run, vectors)
        for indices, piece in mine:
            piece.number = Counter(numbers[index] for index in indices).most_common(1)[0][0]
        self._roster.trim()
        self._last = numbers[-1]
        return Labels(numbers, merged)

    def _pieces(
        self, run: Sequence[Atom], vectors: Sequence[Floats]
    ) -> Iterator[tuple[Sequence[int], Piece]]:
        """Atoms that are long enough, and those in between together: who speaks in bursts is heard by them all."""
        for short, group in groupby(range(len(run)), lambda i: run[i].seconds < self._rules.least_seconds):
            indices = list(group)
            for some in [indices] if short else [[index] for index in indices]:
                heard = nothing()
                for index in some:
                    heard.add(vectors[index], run[index].seconds)
                if heard.seconds >= self._rules.least_seconds:
                    yield some, Piece(heard.voice.vector, heard.seconds, UNDECIDED)

    def _clusters(self) -> list[_Cluster]:
        """Speakers who are sure, and pieces, joined while two are as alike as one voice is."""
        found = [
            _Cluster(Heard(sure.total, sure.seconds), [], number)
            for number, sure in self._roster.sure.items()
            if sure.seconds > 0
        ]
        for piece in self._roster.pieces:
            heard = nothing()
            heard.add(piece.vector, piece.seconds)
            found.append(_Cluster(heard, [piece]))
        while len(found) > 1:
            first, second = self._most_alike(found)
            if first == second:
                break
            other = found.pop(max(first, second))
            one = found[min(first, second)]
            one.heard.join(other.heard)
            one.pieces += other.pieces
            one.number = other.number if one.number is None else one.number
        return found

    def _most_alike(self, clusters: Sequence[_Cluster]) -> tuple[int, int]:
        """The two that are most alike; the same twice when no two are one voice."""
        means = np.stack([cluster.heard.mean for cluster in clusters])
        alike = means @ means.T
        np.fill_diagonal(alike, -1.0)
        sure = np.array([cluster.number is not None for cluster in clusters])
        alike[np.ix_(sure, sure)] = -1.0  # who was told apart by somebody who knew stays apart
        at = int(alike.argmax())
        first, second = divmod(at, len(clusters))
        return (first, second) if alike[first, second] >= self._rules.same_above else (0, 0)

    def _number(self, clusters: Sequence[_Cluster]) -> dict[int, int]:
        """Give each cluster that is a speaker its number, and its pieces with it; says which numbers were one."""
        merged: dict[int, int] = {}
        taken = {cluster.number for cluster in clusters if cluster.number is not None}
        for cluster in sorted(clusters, key=lambda one: -one.heard.seconds):
            votes = _votes(cluster)
            number = cluster.number
            if number is None:
                number = next((one for one in votes if one not in taken), None)
            if number is None:
                number = self._fresh(cluster.heard.seconds)
            if number is None:
                continue
            taken.add(number)
            for gone, seconds in votes.items():
                if gone != number and seconds >= self._rules.speaker_seconds:
                    merged[gone] = number
            for piece in cluster.pieces:
                piece.number = number
        merged = {gone: kept for gone, kept in merged.items() if gone not in taken}
        for gone, kept in merged.items():
            self._roster.forget_number(kept, gone)
        return merged

    def _fresh(self, seconds: float) -> int | None:
        """A number for `seconds` of speech that is nobody's: with enough of it, or while nobody has been heard."""
        if not self._roster.voices():
            return self._roster.numbers[0]
        enough = seconds >= self._rules.speaker_seconds and not self._roster.full
        return self._roster.new() if enough else None

    def _path(self, run: Sequence[Atom], vectors: Sequence[Floats]) -> list[int]:
        """The cheapest: an atom costs its length times what it lacks in similarity, a change `change`."""
        voices = self._roster.voices()
        numbers = sorted(voices)
        if not numbers:
            return [self._roster.numbers[0] if self._last is None else self._last] * len(run)
        known = np.stack([voices[number].vector for number in numbers])
        change = self._rules.change
        costs = [atom.seconds * (1 - known @ vector) for atom, vector in zip(run, vectors, strict=True)]
        best = costs[0].copy()
        if self._last in numbers:
            best += change * (np.array(numbers) != self._last)
        came_from = []
        for cost in costs[1:]:
            move = best.min() + change
            came_from.append(np.where(best <= move, np.arange(len(numbers)), best.argmin()))
            best = np.minimum(best, move) + cost
        at = int(best.argmin())
        path = [at]
        for step in reversed(came_from):
            at = int(step[at])
            path.append(at)
        return [numbers[index] for index in reversed(path)]


def _votes(cluster: _Cluster) -> dict[int, float]:
    """Seconds of its pieces by the number they had, the most first."""
    votes: dict[int, float] = {}
    for piece in cluster.pieces:
        if piece.number != UNDECIDED:
            votes[piece.number] = votes.get(piece.number, 0.0) + piece.seconds
    return dict(sorted(votes.items(), key=lambda one: -one[1]))
