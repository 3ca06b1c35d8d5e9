"""What was said last in one session, for those who listen to voices: its audio, and its segments that wait for a look.

Operations: `RecentAudio.add` and `between`; `Turns.update`, `drop`, `next`, `later`, `of`, `spoken`.
Invariants: a turn is the latest revision of its segment. Those of speakers nobody was found for yet are looked at
before others, among equals the earlier ones; what there was no time for comes after all that is new.
Bounded: `KEPT` of audio, `MOST` segments; the oldest are forgotten.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.listen.ports import OpenConversation
from engine.listen.tap import Run
from engine.speaker.matching import Decision
from engine.transcript.timeline import SAMPLE_RATE
from engine.wire.messages import Segment, Speaker

__all__ = ["KEPT", "LATE", "MOST", "RecentAudio", "Turn", "Turns"]

KEPT = 40 * SAMPLE_RATE
LATE = SAMPLE_RATE // 2
"""An end may lack so many samples that were not taken over yet."""
MOST = 2000
"""A name that is found, or taken back, reaches so many segments: those of some hours."""

Samples = NDArray[np.int16]


class RecentAudio:
    """The last of a session's audio."""

    def __init__(self) -> None:
        self._runs: deque[Run] = deque()

    def add(self, run: Run) -> None:
        """What follows what there is, or comes after a gap."""
        self._runs.append(run)
        while self._runs[-1].position - self._runs[0].position > KEPT:
            self._runs.popleft()

    def between(self, start: int, end: int) -> Samples | None:
        """From sample to sample, but for `LATE` of the end; None where any of it is not there (any more)."""
        pieces: list[Samples] = []
        at = start
        for run in self._runs:
            if run.position <= at < min(end, run.position + run.samples):
                upto = min(end, run.position + run.samples)
                pieces.append(np.frombuffer(run.pcm, "<i2")[at - run.position : upto - run.position])
                at = upto
        return np.concatenate(pieces) if pieces and at > end - LATE else None


class Turn(msgspec.Struct):
    """A segment as it was last, and what became of it here. `heard_until`: samples of the session."""

    segment: Segment
    conversation: OpenConversation
    offset: float
    heard_until: int = 0
    given: Speaker | None = None
    """Whom it was said to be of by what was found here."""
    decision: Decision | None = None
    """What is kept as the reason."""
    by_hand: str | None = None
    """The person somebody has said it is."""
    settled: bool = False
    """Somebody has said whose it is, or that it is nobody's; nothing is to be found out."""

    @property
    def who(self) -> Speaker:
        """Whom it is said to be of."""
        return Speaker(self.segment.is_user, self.segment.person_id)

    @property
    def span(self) -> tuple[int, int]:
        """From sample to sample of the session."""
        start, end = self.segment.start - self.offset, self.segment.end - self.offset
        return max(0, round(start * SAMPLE_RATE)), round(end * SAMPLE_RATE)


class Turns:
    """The last segments of one session."""

    def __init__(self) -> None:
        self._turns: OrderedDict[str, Turn] = OrderedDict()
        self._waiting: OrderedDict[str, None] = OrderedDict()
        self._later: OrderedDict[str, None] = OrderedDict()

    def update(
        self, conversation: OpenConversation, segments: Sequence[Segment], offset: float, *, look: bool = True
    ) -> int:
        """Segments that are new or changed; how many were forgotten for them that nobody had looked at.

        Without `look` nothing is to be seen in them.
        """
        for segment in segments:
            turn = self._turns.get(segment.id)
            if turn is None:
                self._turns[segment.id] = Turn(segment, conversation, offset)
            else:
                turn.segment, turn.conversation, turn.offset = segment, conversation, offset
            if look:
                self._waiting[segment.id] = None
            self._later.pop(segment.id, None)
        unseen = 0
        while len(self._turns) > MOST:
            oldest, _ = self._turns.popitem(last=False)
            unseen += self._forget(oldest)
        return unseen

    def drop(self, ids: Sequence[str]) -> None:
        """These are no more."""
        for id in ids:
            self._turns.pop(id, None)
            self._forget(id)

    def next(self, found: Callable[[str], bool]) -> Turn | None:
        """The one to look at now; `found` says whether somebody was found for a label. None: no more."""
        if not self._waiting:
            return None
        id = next((id for id in self._waiting if not found(self._turns[id].segment.speaker)), None)
        if id is None:
            id = next(iter(self._waiting))
        del self._waiting[id]
        return self._turns[id]

    def later(self, turn: Turn) -> None:
        """There was no time for it: it comes again once something new is here."""
        if turn.segment.id in self._turns:
            self._later[turn.segment.id] = None

    def again(self) -> None:
        """Something new is here and was looked at: those that were put off come again."""
        self._waiting.update(self._later)
        self._later.clear()

    def of(self, label: str) -> list[Turn]:
        """Those of a speaker whose is still to be found out."""
        return [turn for turn in self._turns.values() if turn.segment.speaker == label and not turn.settled]

    def spoken(self) -> dict[str, float]:
        """Seconds that each speaker spoke."""
        found: dict[str, float] = {}
        for turn in self._turns.values():
            segment = turn.segment
            found[segment.speaker] = found.get(segment.speaker, 0.0) + segment.end - segment.start
        return found

    def all(self) -> list[Turn]:
        """All there are."""
        return list(self._turns.values())

    def _forget(self, id: str) -> bool:
        waited = id in self._waiting or id in self._later
        self._waiting.pop(id, None)
        self._later.pop(id, None)
        return waited
