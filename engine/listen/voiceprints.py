"""Whether two of a session's numbers are one speaker, by their voices.

Operations: `hear` takes what somebody said, `look_at` says that others have heard more; `run` compares, and says who is
who; `voices`.
Invariants: transcription never waits for it. Two numbers that a service told apart are never made one; others only when
the voice is as like the one, and as unlike the next, as it must be to be given a name (`engine.speaker.matching`).
Nothing of a voice outlives its session, and nothing of it is written anywhere.
Bounded: of each number the first `FIRST` seconds are heard, and `ENOUGH` once a second stream has begun, of `MOST`
numbers; at most `WAITING` samples wait. What there is no time for is forgotten, and what follows is heard.
Cost: see `engine.speaker.encoding`; where no second stream begins, that of a few seconds of speech a number.
Speakers who are told apart by voice here (`engine.listen.speakers`) are known by what was heard of them there, for the
turns of each are found anew with every utterance.
Known doubts: two speakers of a stream who are one speaker of the next are not both found. Before a vendor has told two
speakers apart, what both said is taken for one voice.
"""

from collections.abc import Callable, Collection, Mapping

import numpy as np
import trio
from numpy.typing import NDArray

from engine.listen.numbering import Numbering
from engine.speaker.embedding import Voice, mean_direction
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
        self._changed: set[int] = set()
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

    def look_at(self, numbers: Collection[int]) -> None:
        """Others have heard more of these: compare them, where there is a stream to compare with."""
        if self._numbering.streams > 1:
            self._changed.update(numbers)
            self._something.set()

    def voices(self) -> dict[int, Voice]:
        """What each number sounds like, of whom enough was heard."""
        least = self._rules.least_seconds
        return {number: heard.voice for number, heard in self._heard.items() if heard.seconds >= least}

    def merge(self, gone: int, kept: int) -> None:
        """Two numbers are one speaker's."""
        if gone in self._heard:
            self._heard.setdefault(kept, nothing()).join(self._heard.pop(gone))
        if gone in self._waiting:
            self._waiting.setdefault(kept, []).extend(self._waiting.pop(gone))
        self._changed.discard(gone)

    async def run(
        self, same: Callable[[int, int], None], others: Callable[[], Mapping[int, Voice]] = dict
    ) -> None:
        """Compare until cancelled; `same(gone, kept)` is called when the number `gone` turns out to be that of `kept`.

        It must `merge` them. `others`: what is known elsewhere of the session's voices, which counts before what was
        heard here.
        """
        while True:
            ready = [number for number in self._waiting if self._ready(number)]
            for number in ready:
                await self._listen(number)
            changed, self._changed = self._changed | set(ready), set()
            for number in sorted(changed):
                self._compare(number, same, self.voices() | dict(others()))
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

    def _compare(self, number: int, same: Callable[[int, int], None], voices: Mapping[int, Voice]) -> None:
        """Whether the number is one of those that no service told apart from it."""
        mine = voices.get(number)
        if mine is None:
            return
        known = [
            Known(str(other), voice.vector)
            for other, voice in voices.items()
            if other != number
            and voice.seconds >= self._rules.least_seconds
            and not self._numbering.apart(number, other)
        ]
        decision = decide(mine, known, self._rules)
        if decision.person is not None:
            kept, gone = sorted((number, int(decision.person)))
            same(gone, kept)


def _length(pieces: list[Samples]) -> int:
    return sum(map(len, pieces))
