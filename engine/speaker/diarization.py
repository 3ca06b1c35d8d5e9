"""Who says which words, where the speech-to-text service does not tell speakers apart.

Operations: `atoms` cuts an utterance's words where speakers may change; `Diarizer.label` says whose each atom is.
Invariants: a speaker's number stays (see `engine.speaker.roster`); an utterance once labelled keeps its labels, but
for speakers who turn out to be one.
Bounded by the roster. Cost: with each utterance all pieces that are kept are put into clusters anew, in a few
milliseconds.

Speakers change in a pause, not inside a phrase: words are taken together up to there, and each run is heard by itself,
which a window laid blindly over a change is not. Pieces of at least `least_seconds` are joined by voice (see
`engine.speaker.clustering`); of who speaks in bursts, several together are one, while each sounds like those before it.
Bursts of two who talk at once do not, and are no piece: a cluster would be both. Clusters with enough speech are
speakers. Then the likeliest path through the speakers is looked for, in which a change has its price: without it the
few tenths of a second of a "yes" would be anybody's.

Known doubt: who says only short things, one at a time, is never told apart from who speaks before.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby

import msgspec
import numpy as np

from engine.speaker.clustering import Cluster, clustered
from engine.speaker.embedding import WINDOW, Floats
from engine.speaker.roster import Heard, Piece, Roster, nothing
from engine.speaker.usual import apart
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
    """Likenesses (0 … 1) and seconds; `python -m bench dialogues` prints what comes of them.

    `same_above`: see `engine.speaker.clustering`; `together`: between bursts that are one piece; `change`: the price of
    a change of speakers, in seconds of speech times likeness.
    """

    same_above: float = 0.8
    together: float = 0.7
    least_seconds: float = 1.5
    speaker_seconds: float = 3.0
    change: float = 0.25


class Labels(msgspec.Struct, frozen=True):
    """The speaker of each atom, and numbers given before that turned out to be another's (gone: kept)."""

    numbers: list[int]
    merged: dict[int, int] = {}


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
        """Atoms that are long enough, and bursts in between together: who speaks in bursts is heard by them all."""
        for short, group in groupby(range(len(run)), lambda i: run[i].seconds < self._rules.least_seconds):
            indices = list(group)
            for some in self._bursts(indices, run, vectors) if short else [[index] for index in indices]:
                heard = _taken_together(some, run, vectors)
                if heard.seconds >= self._rules.least_seconds:
                    yield some, Piece(heard.voice.vector, heard.seconds, UNDECIDED)

    def _bursts(
        self, indices: Sequence[int], run: Sequence[Atom], vectors: Sequence[Floats]
    ) -> list[list[int]]:
        """Atoms that follow each other, taken together while each sounds like those before it."""
        bursts: list[list[int]] = []
        for index in indices:
            before = _taken_together(bursts[-1], run, vectors).voice.vector if bursts else None
            if before is not None and apart(before) @ apart(vectors[index]) >= self._rules.together:
                bursts[-1].append(index)
            else:
                bursts.append([index])
        return bursts

    def _clusters(self) -> list[Cluster]:
        """Speakers who are sure, and pieces, joined by voice."""
        sure = [
            Cluster.of_speaker(number, heard)
            for number, heard in self._roster.sure.items()
            if heard.seconds > 0
        ]
        pieces = [Cluster.of_piece(piece) for piece in self._roster.pieces]
        return clustered([*sure, *pieces], self._rules.same_above)

    def _number(self, clusters: Sequence[Cluster]) -> dict[int, int]:
        """Give each cluster that is a speaker its number, and its pieces with it; says which numbers were one."""
        merged: dict[int, int] = {}
        taken = {cluster.number for cluster in clusters if cluster.number is not None}
        for cluster in sorted(clusters, key=_claim, reverse=True):
            votes = _votes(cluster)
            number = cluster.number
            if number is None:
                number = next((one for one in votes if one not in taken), None)
            if number is None:
                number = self._fresh(cluster.seconds)
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
        """The cheapest: an atom costs its length times what it lacks in likeness, a change `change`."""
        voices = self._roster.voices()
        numbers = sorted(voices)
        if not numbers:
            return [self._roster.numbers[0] if self._last is None else self._last] * len(run)
        known = np.stack([apart(voices[number].vector) for number in numbers])
        change = self._rules.change
        costs = [
            atom.seconds * (1 - known @ apart(vector)) for atom, vector in zip(run, vectors, strict=True)
        ]
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


def _taken_together(indices: Sequence[int], run: Sequence[Atom], vectors: Sequence[Floats]) -> Heard:
    """Some atoms, as one."""
    heard = nothing()
    for index in indices:
        heard.add(vectors[index], run[index].seconds)
    return heard


def _claim(cluster: Cluster) -> tuple[float, float]:
    """Who had most under one number chooses first, so that it stays his, then who said most."""
    return max(_votes(cluster).values(), default=0.0), cluster.seconds


def _votes(cluster: Cluster) -> dict[int, float]:
    """Seconds of its pieces by the number they had, the most first."""
    votes: dict[int, float] = {}
    for piece in cluster.pieces:
        if piece.number != UNDECIDED:
            votes[piece.number] = votes.get(piece.number, 0.0) + piece.seconds
    return dict(sorted(votes.items(), key=lambda one: -one[1]))
