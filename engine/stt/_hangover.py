"""When a gate is open, what of the audio leaves it which way, and when somebody speaks: by positions alone.

Operations of `Hangover`: `hear` the next samples, `release` what is held. Of `Talk`: `hear`, `end`.
Invariants: what leaves tiles the timeline; held are the samples `held_from` to `heard`: none while the gate is open,
else less than `HELD` and a window of them. Cuts lie between windows, as counted from the start or the last
release: so a vendor that looks at windows, as the local engine does, sees the same ones as without a gate.
Cost: a few comparisons.
"""

import msgspec

from engine.stt.endpoint import MIN_SPEECH, PRE_ROLL, WINDOW
from engine.stt.vendor import SAMPLE_RATE, Activity

HELD = PRE_ROLL + WINDOW
"""Samples kept while the gate is closed, at least: voice activity is known up to a window after it began."""

PAUSE = SAMPLE_RATE // 2
"""Silence after which talk is over."""


class Leaving(msgspec.Struct, frozen=True):
    """The oldest `samples` held are `passed` on or given up. `closed`: the gate closed now."""

    samples: int
    passed: bool
    closed: bool = False


class Hangover:
    """Open from the start, while somebody speaks, and for `hangover` samples after."""

    def __init__(self, start: int, hangover: int) -> None:
        self.heard = self.held_from = self._speech_end = self._anchor = start
        self.open = True
        self._hangover = hangover

    def hear(self, samples: int, *, speech: bool) -> Leaving:
        """The next `samples`, with or without `speech`: what leaves."""
        self.heard += samples
        if speech:
            self._speech_end = self.heard
            self.open = True
        cut = self._aligned(self.heard)
        if self.open and self.heard - self._speech_end >= self._hangover and cut >= self.held_from:
            self.open = False
            return self._leave(cut, passed=True, closed=True)
        until = self.heard if self.open else max(self.held_from, self._aligned(self.heard - HELD))
        return self._leave(until, passed=self.open)

    def release(self, *, passed: bool) -> Leaving:
        """Nothing shall be held; windows begin anew."""
        self._anchor = self.heard
        return self._leave(self.heard, passed=passed)

    def _aligned(self, position: int) -> int:
        """The last end of a window up to `position`."""
        return position - (position - self._anchor) % WINDOW

    def _leave(self, until: int, *, passed: bool, closed: bool = False) -> Leaving:
        samples, self.held_from = until - self.held_from, until
        return Leaving(samples, passed, closed)


class Talk:
    """Whether somebody speaks, as the session is told: a click opens the gate, but is not told as speech."""

    def __init__(self) -> None:
        self._voiced = 0  # windows of speech since it began
        self._start = self._end = 0
        self._told = False

    def hear(self, start: int, end: int, voiced: int) -> Activity | None:
        """In the samples `start` to `end` are `voiced` windows of speech: what is new to the session."""
        if not voiced:
            return self.end() if end - self._end >= PAUSE else None
        if not self._voiced:
            self._start = start
        self._voiced += voiced
        self._end = end
        if self._told or self._voiced < MIN_SPEECH:
            return None
        self._told = True
        return Activity(self._start, speaking=True)

    def end(self) -> Activity | None:
        """Nobody speaks any more."""
        self._voiced, told, self._told = 0, self._told, False
        return Activity(self._end, speaking=False) if told else None
