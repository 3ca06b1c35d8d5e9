"""When a gate is open, and what of the audio leaves it which way: by positions alone, without audio or clocks.

Operations: `hear` the next samples, `release` what is held.
Invariants: what leaves tiles the timeline; held are the samples `held_from` to `heard`: none while the gate is open,
else at most `PRE_ROLL` of them. Cost: a few comparisons.
"""

import msgspec

from engine.stt.endpoint import PRE_ROLL


class Leaving(msgspec.Struct, frozen=True):
    """The oldest `samples` held are `passed` on or given up. `closed`: the gate closed now."""

    samples: int
    passed: bool
    closed: bool = False


class Hangover:
    """Open from the start, while somebody speaks, and for `hangover` samples after."""

    def __init__(self, start: int, hangover: int) -> None:
        self.heard = self.held_from = self.speech_end = start
        self.open = True
        self._hangover = hangover

    @property
    def quiet(self) -> int:
        """Samples since anybody spoke."""
        return self.heard - self.speech_end

    def hear(self, samples: int, speech: bool) -> Leaving:
        """The next `samples`, with or without `speech`: what leaves."""
        was_open = self.open
        self.heard += samples
        if speech:
            self.speech_end = self.heard
        self.open = speech or (was_open and self.quiet < self._hangover)
        until = self.heard if self.open else max(self.held_from, self.heard - PRE_ROLL)
        return self._leave(until, passed=self.open, closed=was_open and not self.open)

    def release(self, *, passed: bool) -> Leaving:
        """Nothing shall be held."""
        return self._leave(self.heard, passed=passed)

    def _leave(self, until: int, *, passed: bool, closed: bool = False) -> Leaving:
        samples, self.held_from = until - self.held_from, until
        return Leaving(samples, passed, closed)
