"""What one stream was sent, and how much of it the vendor has answered for; all in session positions.

Invariants: covered <= sent; the `Final`s that are emitted tile the timeline from `base` on; a word that lies before
what is covered is left out, so finals that a vendor repeats yield no word twice. A word belongs to the side on
which its middle lies.
Bounded: silence of which a vendor says nothing is covered without it, so it does not pile up in the session.
Cost: the energy gate on all audio sent.
"""

from collections.abc import Callable, Sequence

import numpy as np
import trio
from msgspec.structs import replace

from engine.audio.gate import EnergyGate
from engine.stt.vendor import SAMPLE_RATE, Final, Interim, SttEvent
from engine.transcript.words import Word

QUIET = 10 * SAMPLE_RATE
"""Samples without speech that a vendor may leave without a word; then the older half counts as covered."""

WORD = SAMPLE_RATE
"""Samples: a word that is being spoken began at most so long ago."""

Emit = Callable[[SttEvent], None]


class Coverage:
    """One stream's books. Positions of vendor and session differ by `base`: a source gives audio without gaps."""

    def __init__(self, emit: Emit) -> None:
        self.base = self.sent = self.covered = 0
        self.emit = emit
        """Who is told; of a pre-roll it is not the session."""
        self.begun = False
        self.speaking = False
        """Whether the latest audio may be speech."""
        self.heard_at = trio.current_time()
        """When the vendor last said anything about its audio."""
        self.due_since: float | None = None
        """Since when it owes a result: speech was sent and nothing heard. None: nothing is due."""
        self.gate = EnergyGate()
        """Hears all that is sent."""
        self._speech_until = 0

    @property
    def speech_waits(self) -> bool:
        """Whether what was sent and is not covered may hold speech."""
        return self._speech_until > self.covered

    def begin(self, position: int) -> None:
        """The next sample is the session's `position`; what was sent before is pre-roll. Only the first call counts."""
        if not self.begun:
            self.begun = True
            self.base = position - self.sent
            self.sent = self.covered = self._speech_until = position
            self.due_since = None

    def send(self, pcm: bytes) -> None:
        """These samples go out now, after all before them."""
        self.sent += len(pcm) // 2
        self.speaking = self.gate.process(np.frombuffer(pcm, np.int16))
        if self.speaking:
            self._spoken(self.sent, trio.current_time())
        self._pass_quiet()

    def pumped(self, sent: int, *, speaking: bool, speech_until: int, since: float) -> None:
        """Audio up to `sent` went out by itself, heard by `gate`: speech up to `speech_until`, if that is new.

        `since`: when the first of that speech was sent, on Trio's clock.
        """
        self.sent, self.speaking = sent, speaking
        if speech_until > self._speech_until:
            self._spoken(speech_until, since)
        self._pass_quiet()

    def _spoken(self, until: int, since: float) -> None:
        self._speech_until = until
        if self.due_since is None:
            self.due_since = since

    def _pass_quiet(self) -> None:
        if not self.speaking and not self.speech_waits and self.sent - self.covered > QUIET:
            self.cover(self.sent - QUIET // 2, assumed=True)

    def recognized(self, words: Sequence[Word], covered: int) -> None:
        """Final words, and the vendor's position before which it is done."""
        self.cover(self.base + covered, self._on_timeline(words))
        self._heard()

    def tentative(self, words: Sequence[Word]) -> None:
        """Interim words."""
        self.emit(Interim(self._on_timeline(words)))
        self._heard()

    def answered(self, position: int, *, guessed: bool = False) -> None:
        """The vendor says that no result is to come for anything before `position`.

        `guessed`: it says nothing at all. Then a word that was being spoken there is not over.
        """
        open_word = guessed and self._speech_until > position - WORD
        self.cover(position - WORD if open_word else position)
        self._heard()

    def cover(self, position: int, words: tuple[Word, ...] = (), *, assumed: bool = False) -> None:
        """Tell the session. `assumed`: the vendor did not say so, but nobody spoke there."""
        position = min(max(position, self.covered), self.sent)
        if words or position > self.covered:
            start, self.covered = self.covered, position
            self.emit(Final(start, position, words, assumed=assumed))

    def _on_timeline(self, words: Sequence[Word]) -> tuple[Word, ...]:
        base, covered = self.base, self.covered
        if base:
            words = [replace(word, start=word.start + base, end=word.end + base) for word in words]
        return tuple([word for word in words if (word.start + word.end) // 2 >= covered])

    def _heard(self) -> None:
        self.heard_at = trio.current_time()
        self.due_since = self.heard_at if self.speech_waits else None
