"""Who is recognised and who is taken for another: trials, and what is said of them. Pure functions.

A trial is one window of one person's speech; windows do not overlap. Intervals are exact (Clopper and Pearson, 95 %):
they hold for trials that are independent, which windows of one person are not quite.
"""

from collections.abc import Sequence

import msgspec
import numpy as np

from engine.speaker.embedding import Floats, Voice
from engine.speaker.matching import Known, Rules, decide

__all__ = ["Heard", "Scores", "equal_error", "interval", "open_set", "scores"]


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody as unit vectors: what they enrolled with (None: they did not), float32 of shape (256,), and one row for
    each window of theirs. `language`, `line`: see `bench.voices.people.Person`."""

    name: str
    enrolled: Floats | None
    windows: Floats
    language: str = ""
    line: str = ""

    def may_be(self, other: "Heard") -> bool:
        """Whether the two may be one person."""
        return self.name == other.name or bool(self.language and self.language == other.language)


class Scores(msgspec.Struct, frozen=True, kw_only=True):
    """Similarities of all windows to the voice they are, to others, and to others recorded together with them;
    of `windows`, those that were most similar to the right voice."""

    own: list[float]
    other: list[float]
    same_line: list[float]
    identified: int

    @property
    def windows(self) -> int:
        """Trials."""
        return len(self.own)


class OpenSet(msgspec.Struct, frozen=True, kw_only=True):
    """Three are enrolled. Of `strangers` windows of a fourth, `named` got a name; of `members` windows of one of the
    three, `right` got theirs and `wrong` another's. `worst`: who was named most often, and in what share of windows."""

    strangers: int
    named: int
    members: int
    right: int
    wrong: int
    worst: tuple[str, float]


def scores(people: Sequence[Heard]) -> Scores:
    """Every window of who has enrolled against everybody who has."""
    known = {one.name: (one, one.enrolled) for one in people if one.enrolled is not None}
    own: list[float] = []
    other: list[float] = []
    line: list[float] = []
    identified = 0
    for one, _ in known.values():
        against = {
            name: one.windows @ voice for name, (each, voice) in known.items() if not _doubtful(one, each)
        }
        identified += int(np.sum(np.all([against[one.name] >= row for row in against.values()], axis=0)))
        own += against[one.name].tolist()
        for name in against.keys() - {one.name}:
            together = bool(one.line) and one.line == known[name][0].line
            (line if together else other).extend(against[name].tolist())
    return Scores(own=own, other=other, same_line=line, identified=identified)


def _doubtful(one: Heard, other: Heard) -> bool:
    return one.name != other.name and one.may_be(other)


def open_set(
    people: Sequence[Heard], rules: Rules, seconds: float, *, draws: int = 1, seed: int = 1
) -> OpenSet:
    """Every window against three who are enrolled (of whom there are enough), drawn anew each time; `draws` times."""
    random = np.random.default_rng(seed)
    known = {one.name: Known(one.name, one.enrolled) for one in people if one.enrolled is not None}
    named: dict[str, list[bool]] = {}
    members: list[bool | None] = []
    for one in people:
        others = [each.name for each in people if each.name in known and not one.may_be(each)]
        if len(others) < 3:
            continue
        named[one.name] = []
        for vector in np.repeat(one.windows, draws, axis=0):
            voice = Voice(vector, seconds)
            three = [known[name] for name in random.choice(others, 3, replace=False)]
            named[one.name].append(decide(voice, three, rules).person is not None)
            if one.name in known:
                person = decide(voice, [known[one.name], *three[:2]], rules).person
                members.append(None if person is None else person == one.name)
    shares = {name: float(np.mean(some)) for name, some in named.items() if some}
    return OpenSet(
        strangers=sum(map(len, named.values())),
        named=sum(map(sum, named.values())),
        members=len(members),
        right=members.count(True),
        wrong=members.count(False),
        worst=max(shares.items(), key=lambda pair: pair[1], default=("nobody", 0.0)),
    )


def equal_error(own: Sequence[float], other: Sequence[float]) -> tuple[float, float]:
    """The rate at which as large a share is wrongly refused as wrongly accepted, and the threshold there."""
    mine, theirs = np.sort(own), np.sort(other)
    thresholds = np.unique(np.concatenate([mine, theirs]))
    refused = np.searchsorted(mine, thresholds, side="left") / len(mine)
    accepted = 1 - np.searchsorted(theirs, thresholds, side="left") / len(theirs)
    best = int(np.argmin(np.abs(refused - accepted)))
    return float(refused[best] + accepted[best]) / 2, float(thresholds[best])


def interval(found: int, trials: int) -> tuple[float, float]:
    """Between what two rates the true one is, with 95 % sureness, when `found` of `trials` were counted."""
    low = 0.0 if found == 0 else _rate_at(1 - SIDE, found - 1, trials)
    high = 1.0 if found == trials else _rate_at(SIDE, found, trials)
    return low, high


SIDE = 0.025


def _rate_at(probability: float, count: int, trials: int) -> float:
    """The rate at which `count` or fewer are found with this probability: which falls as the rate rises."""
    counts = np.arange(count + 1)
    factorials = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, trials + 1)))])
    ways = factorials[trials] - factorials[counts] - factorials[trials - counts]
    low, high = 0.0, 1.0
    for _ in range(50):
        rate = (low + high) / 2
        terms = ways + counts * np.log(rate) + (trials - counts) * np.log1p(-rate)
        if np.exp(terms).sum() > probability:
            low = rate
        else:
            high = rate
    return (low + high) / 2
