"""Time: samples, seconds, and where a vendor's samples lie on the session's timeline.

A vendor counts the samples it was sent. Between its count and the session's lie pre-roll it was given first,
silence that was gated away, keepalive silence that was added, and the point at which the stream began. Each
vendor stream owns an `OffsetTable` of checkpoints (vendor sample, session sample).

Operations: `add` a checkpoint where the relation changes; `to_session` and `span` translate.
Invariants: vendor positions of checkpoints strictly increase, session positions never decrease, neighbours
never lie on one line; translation never decreases and never runs past the next checkpoint's session position
(so audio that is not the session's, between two checkpoints, maps to the place where it was put in).
Bounded by `capacity` checkpoints; beyond that the oldest are forgotten and positions before the oldest kept
translate to it. `statistics` counts them.
Cost: `add` is O(1) until full, then O(capacity); translation O(log capacity).
Known doubt: a vendor whose word ends a few ms late, past a gated gap, has that end moved beyond the gap.
"""

from bisect import bisect_left, bisect_right

import msgspec

from engine.moments import SECOND

SAMPLE_RATE = 16_000
"""Samples per second of every position."""

CHECKPOINTS = 4_096


def samples_to_seconds(samples: int) -> float:
    """A position in seconds, to the millisecond, as the wire has it."""
    return round(samples / SAMPLE_RATE, 3)


def seconds_to_samples(seconds: float) -> int:
    """The nearest sample."""
    return round(seconds * SAMPLE_RATE)


def resumed_offset(session_started: int, conversation_started: int) -> float:
    """Seconds from a conversation's start to a session's (both µs since the epoch), never negative."""
    return max(0.0, (session_started - conversation_started) / SECOND)


class OffsetStatistics(msgspec.Struct, frozen=True):
    """Checkpoints held, left out because they lay on the line already, and forgotten because it was full."""

    checkpoints: int
    coalesced: int
    forgotten: int


class OffsetTable:
    """From a vendor stream's sample count to the session's; see the module's text.

    Empty, it translates each position to itself.
    """

    def __init__(self, capacity: int = CHECKPOINTS) -> None:
        if capacity < 1:
            raise ValueError(f"capacity={capacity}: an offset table holds at least 1 checkpoint")
        self._capacity = capacity
        self._vendor: list[int] = []
        self._session: list[int] = []
        self._coalesced = 0
        self._forgotten = 0

    def add(self, vendor_position: int, session_position: int) -> None:
        """From `vendor_position` on, the vendor's samples are the session's from `session_position`.

        A second checkpoint at one vendor position replaces the first. Raises `ValueError` for positions
        before those of the last checkpoint.
        """
        if self._vendor:
            if vendor_position < self._vendor[-1] or session_position < self._session[-1]:
                raise ValueError(
                    f"checkpoint ({vendor_position}, {session_position}) lies before "
                    f"({self._vendor[-1]}, {self._session[-1]})"
                )
            if vendor_position == self._vendor[-1]:
                self._vendor.pop()
                self._session.pop()
        if self._vendor and self._on_last_line(vendor_position, session_position):
            self._coalesced += 1
            return
        if len(self._vendor) == self._capacity:
            del self._vendor[0], self._session[0]
            self._forgotten += 1
        self._vendor.append(vendor_position)
        self._session.append(session_position)

    def to_session(self, sample: int, *, end: bool = False) -> int:
        """Where vendor sample `sample` lies. With `end`, of the end of a span: on this side of a gap."""
        if not self._vendor:
            return sample
        find = bisect_left if end else bisect_right
        index = find(self._vendor, sample) - 1
        if index < 0:
            return self._session[0]
        position = self._session[index] + sample - self._vendor[index]
        if index + 1 < len(self._session):
            return min(position, self._session[index + 1])
        return position

    def span(self, start: int, end: int) -> tuple[int, int]:
        """A vendor's span (end not included) on the session's timeline; start <= end, always."""
        first = self.to_session(start)
        return first, max(first, self.to_session(end, end=True))

    def statistics(self) -> OffsetStatistics:
        """What it holds and has dropped."""
        return OffsetStatistics(len(self._vendor), self._coalesced, self._forgotten)

    def _on_last_line(self, vendor_position: int, session_position: int) -> bool:
        return session_position - self._session[-1] == vendor_position - self._vendor[-1]
