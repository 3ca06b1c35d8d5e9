"""Whether two of a session's numbers are one speaker, by their voices.

Operations: `hear` takes what somebody said; `run` compares, and says who is who.
Invariants: transcription never waits for it. Two numbers that a service told apart are never made one; others only when
the voice is as like the one, and as unlike the next, as it must be to be given a name (`engine.speaker.matching`).
Nothing of a voice outlives its session, and nothing of it is written anywhere.
Bounded: of each number the first `FIRST` seconds are heard, and `ENOUGH` once a second stream has begun, of `MOST`
numbers; at most `WAITING` samples wait. What there is no time for is forgotten, and what follows is heard.
Cost: see `engine.speaker.encoding`; where no second stream begins, that of a few seconds of speech a number.
Known doubts: two speakers of a stream who are one speaker of the next are not both found. Before a stream has told two
speakers apart, what both said is taken for one voice; so it is with the first turns that are told apart by voice here
(`engine.listen.speakers`), whose speakers are often not found again after a failover to or from a vendor.
"""

from collections.abc import Callable

import numpy as np
import trio
from numpy.typing import NDArray

from engine.listen.numbering import Numbering
from engine.speaker.embedding import mean_direction
from engine.speaker.encoding import Encoding, Urgency
from engine.speaker.matching import Known, Rules, decide
from engine.speaker.roster import Heard, nothing
from engine.transcript.timeline import SAMPLE_RATE

__all__ = ["Voiceprints"]

FIRST = 6.0
ENOUGH = 12.0
WAITING = 10 * SAMPLE_RATE
MOST = 64

Samples = NDArray[np.int16]


class Voiceprints:
    """One session's."""

    def __init__(self, encoding: Encoding, rules: Rules, numbering: Numbering) -> None:
        self._encoding = encoding
        self._rules = rules
        self._numbering = numbering
        self._heard: dict[int, Heard] = {}
        self._waiting: dict[int, list[Samples]] = {}
        self._something = trio.Event()

    def wants(self, number: int) -> bool:
        """Whether more is to be heard of a number."""
        heard = self._heard.get(number)
        if heard is None:
            return len(self._heard) < MOST
        enough = FIRST if self._numbering.streams == 1 else ENOUGH
        return heard.seconds < enough and sum(map(_length, self._waiting.values())) < WAITING

    def hear(self, number: int, pcm: Samples) -> None:
        """16 kHz speech of a number, which `wants` more; it is not kept by reference."""
        self._heard.setdefault(number, nothing())
        self._waiting.setdefault(number, []).append(pcm.copy())
        if self._ready(number):
            self._something.set()

    def merge(self, gone: int, kept: int) -> None:
        """Two numbers are one speaker's."""
        if gone in self._heard:
            self._heard.setdefault(kept, nothing()).join(self._heard.pop(gone))
        if gone in self._waiting:
            self._waiting.setdefault(kept, []).extend(self._waiting.pop(gone))

    async def run(self, same: Callable[[int, int], None]) -> None:
        """Compare until cancelled; `same(gone, kept)` is called when the number `gone` turns out to be that of `kept`.

        It must `merge` them.
        """
        while True:
            ready = [number for number in self._waiting if self._ready(number)]
            for number in ready:
                await self._listen(number)
                self._compare(number, same)
            if not ready:
                self._something = trio.Event()
                await self._something.wait()

    def _ready(self, number: int) -> bool:
        return _length(self._waiting.get(number, [])) >= self._rules.least_seconds * SAMPLE_RATE

    async def _listen(self, number: int) -> None:
        pieces = self._waiting.pop(number, None)
        if pieces is None:  # it was merged with another meanwhile
            return
        pcm = np.concatenate(pieces)
        urgency = Urgency.NEW if self._numbering.streams > 1 else Urgency.LATER
        windows = await self._encoding.vectors(pcm, urgency)
        if windows is not None and number in self._heard:
            self._heard[number].add(mean_direction(windows), len(pcm) / SAMPLE_RATE)

    def _compare(self, number: int, same: Callable[[int, int], None]) -> None:
        """Whether the number is one of those that no service told apart from it."""
        mine = self._heard.get(number)
        least = self._rules.least_seconds
        if mine is None or mine.seconds < least:
            return
        known = [
            Known(str(other), heard.voice.vector)
            for other, heard in self._heard.items()
            if other != number and heard.seconds >= least and not self._numbering.apart(number, other)
        ]
        decision = decide(mine.voice, known, self._rules)
        if decision.person is not None:
            kept, gone = sorted((number, int(decision.person)))
            same(gone, kept)


def _length(pieces: list[Samples]) -> int:
    return sum(map(len, pieces))
