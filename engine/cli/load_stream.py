"""One stream of `listen load`: which packet was due when, and what came back for it.

Operations: `hear` a message of the server, `due`, `words_due`. Invariants: packet n was due at `begin + n * period`; a
word that carries its time is noted once, however often its segment comes again. Bounded: what is noted grows by two
entries a result and a number a packet, for as long as the run takes.
"""

from __future__ import annotations

import math
import re
from array import array
from collections import Counter

import msgspec

from engine.cli.load_socket import BINARY, LoadSocket, frame

__all__ = ["Heard", "LoadStream"]

PING = b"ping"
KEEPALIVE = b"\x8a\x00"
SLACK = 1.0
"""Seconds a segment may end after the audio that was sent, as with `listen stream`."""

_STAMP = re.compile(r"p(\d+)t(\d+)(?:a(\d+))?")
_TOLD = re.compile(r"w\d+t(\d+)\.$")
"""The last word of those that say only when they were."""


class _Said(msgspec.Struct):
    text: str
    end: float


class _Told(msgspec.Struct):
    type: str = ""
    code: int | None = None
    message: str | None = None


_as_segments = msgspec.json.Decoder(list[_Said]).decode
_as_event = msgspec.json.Decoder(_Told).decode


class Heard:
    """What all streams of a run heard.

    `whole`: when a packet was due, and the seconds until its word's segment came; `parts`: the same with the seconds
    to the vendor and those from there; `beyond`: the same with the seconds to the vendor from when the last packet of
    the message was written which brought the word's end there, where the vendor says that.
    """

    def __init__(self) -> None:
        self.messages = 0
        self.segments = 0
        self.failed: Counter[str] = Counter()
        self.numbered = False
        """Whether words say which second they are."""
        self.whole: list[tuple[float, float]] = []
        self.parts: list[tuple[float, float, float]] = []
        self.beyond: list[tuple[float, float]] = []


class LoadStream:
    """`begin`: when its first packet was due, on the monotonic clock; `done` once it left."""

    def __init__(self, socket: LoadSocket, period: float) -> None:
        self.socket = socket
        self.begin: float | None = None
        self.done = False
        self._written = array("d")
        self._period = period
        self._word = 0
        self._reached = 0.0

    @property
    def sent(self) -> int:
        """Packets so far."""
        return len(self._written)

    def wrote(self, now: float) -> None:
        """The next packet, at that time of the monotonic clock."""
        self._written.append(now)

    def hear(self, message: bytes, now: float, heard: Heard) -> None:
        """Take a message that came at `now`; the server's own `ping` is answered. Raises Lost."""
        if message == PING:
            self.socket.send(frame(BINARY, KEEPALIVE))
            return
        heard.messages += 1
        try:
            if message[:1] == b"[":
                for said in _as_segments(message):
                    heard.segments += 1
                    self._said(said, now, heard)
                return
            told = _as_event(message)
        except msgspec.MsgspecError:
            heard.failed["sent what is neither segments nor an event"] += 1
            return
        if told.type == "error":
            heard.failed[f"error {told.code}: {told.message}"] += 1

    def due(self, position: float) -> float | None:
        """When the packet that completes the audio up to `position` s was due; None when no such packet was sent."""
        number = self._number(position)
        return None if self.begin is None or number is None else self.begin + number * self._period

    def written(self, position: float) -> float | None:
        """When that packet was written."""
        number = self._number(position)
        return None if number is None else self._written[number]

    def words_due(self, start: float, end: float) -> int:
        """Words that a stand-in says, one a second, for packets that were due from `start` to `end`."""
        dues = (self.due(second) for second in range(1, int(self.sent * self._period) + 1))
        return sum(due is not None and start <= due < end for due in dues)

    def _number(self, position: float) -> int | None:
        """Of the packet that completes the audio up to `position` s."""
        if not self.sent or not 0 < position <= self.sent * self._period + SLACK:
            return None
        return min(math.ceil(position / self._period - 1e-6), self.sent) - 1

    def _said(self, said: _Said, now: float, heard: Heard) -> None:
        """Note each word that carries its time, and where none does, the last one."""
        at = max(0, said.text.find(f"p{self._word}t"))
        stamps = [
            (int(second), int(told) / 1e6, after) for second, told, after in _STAMP.findall(said.text, at)
        ]
        for second, told, after in stamps:
            heard.numbered = True
            if second > self._word:
                self._word = second
                due = self.due(second)
                if due is not None:
                    heard.whole.append((due, now - due))
                    heard.parts.append((due, told - due, now - told))
                whole = self.written(second + int(after) / 1000) if after else None
                if due is not None and whole is not None:
                    heard.beyond.append((due, told - whole))
        if not stamps and said.end > self._reached:
            self._reached = said.end
            due, last = self.due(said.end), _TOLD.search(said.text)
            if due is not None:
                heard.whole.append((due, now - due))
            if due is not None and last is not None:
                told = int(last[1]) / 1e6
                heard.parts.append((due, told - due, now - told))
