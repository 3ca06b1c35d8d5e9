"""Two ways of doing one thing, taking turns: the ratio of their times, and how sure it is.

Times are of the thread's CPU clock: what other programs take of a core is not counted. What disturbs a machine
otherwise (caches, frequency) for longer than a turn disturbs both ways, so that the ratio within a round stays while
the times do not. The interval is that of the median over the rounds, from order statistics: no assumption about how the
noise is distributed, and a few rounds that went wrong do not move it.
"""

import math
import statistics
import time
from collections.abc import Callable, Sequence

import msgspec

__all__ = ["Stage", "Turns", "median_interval", "take_turns", "timed"]

SURENESS = 2.58
"""Standard deviations of the median's rank: 99 % of such intervals hold the true median."""

Turn = Callable[[], float]
"""Does it some times over; nanoseconds for one."""


class Stage(msgspec.Struct, frozen=True):
    """One stage of the live path, and what it is compared with. `unit`: what the nanoseconds are for."""

    name: str
    unit: str
    reference: str
    ours: Turn
    theirs: Turn


class Turns(msgspec.Struct, frozen=True):
    """Nanoseconds a unit, round by round."""

    ours: tuple[float, ...]
    theirs: tuple[float, ...]

    @property
    def ratios(self) -> list[float]:
        """Our time over the reference's, of each round, in rising order."""
        return sorted(one / other for one, other in zip(self.ours, self.theirs, strict=True))

    @property
    def ratio(self) -> float:
        """The median of the ratios."""
        return statistics.median(self.ratios)

    @property
    def interval(self) -> tuple[float, float]:
        """Where the true median ratio is, with 99 % sureness."""
        return median_interval(self.ratios)


def median_interval(ratios: Sequence[float], sureness: float = SURENESS) -> tuple[float, float]:
    """Where the true median is, of ratios in rising order; `sureness` in standard deviations of the median's rank."""
    middle, reach = (len(ratios) - 1) / 2, sureness * math.sqrt(len(ratios)) / 2
    low, high = max(0, math.floor(middle - reach)), min(len(ratios) - 1, math.ceil(middle + reach))
    return ratios[low], ratios[high]


def timed(call: Callable[[], object], times: int) -> Turn:
    """A turn that makes so many calls."""

    def turn() -> float:
        start = time.thread_time_ns()
        for _ in range(times):
            call()
        return (time.thread_time_ns() - start) / times

    return turn


def take_turns(stages: Sequence[Stage], rounds: int) -> dict[str, Turns]:
    """Every stage once a round, ours and the reference in turns, who is first changing; the first round is not kept."""
    taken: dict[str, tuple[list[float], list[float]]] = {stage.name: ([], []) for stage in stages}
    for number in range(rounds + 1):
        for stage in stages:
            if number % 2:
                ours, theirs = stage.ours(), stage.theirs()
            else:
                theirs, ours = stage.theirs(), stage.ours()
            if number:
                taken[stage.name][0].append(ours)
                taken[stage.name][1].append(theirs)
    return {name: Turns(tuple(ours), tuple(theirs)) for name, (ours, theirs) in taken.items()}
