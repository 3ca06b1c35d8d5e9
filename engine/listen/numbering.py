"""One numbering of a session's speakers, whoever transcribes it. No I/O.

Operations: `began` says that a stream of results begins, `numbered` gives its words the session's numbers, `tentative`
those they would have; `introduced` that a number is known to those who will go on; `merge` says that two of them are
one speaker, `apart` whether two cannot be.
Invariants: a number is never given to two speakers. A vendor's own numbers begin anew with each of its streams: whom
one calls its first speaker need not be whom the one before called so. Hence they get further numbers, until it is known
by their voices who they are. Those of `SpeakerLabels` go on over all streams. Nobody told apart is one number, too.
Bounded: who was told apart in a stream is known of the last `STREAMS`, a vendor's numbers of the last of its streams.
Cost: a look-up a word.
"""

from collections import deque
from collections.abc import Sequence

from msgspec.structs import replace

from engine.stt.vendor import Ready
from engine.transcript.words import Word

__all__ = ["Numbering"]

STREAMS = 64
OURS = 0
"""The stream of the numbers that go on."""
NOBODY = -1
"""The number, in its stream, of whoever speaks where nobody is told apart."""


class Numbering:
    """One session's. The first stream's numbers stay as they are."""

    def __init__(self) -> None:
        self.owner: int | None = None
        """Who spoke the pre-roll, once a stream was played it."""
        self.streams = 0
        """Those that have given numbers."""
        self._highest = NOBODY
        self._stream, self._next_stream = OURS, OURS + 1
        self._given: dict[tuple[int, int], int] = {}
        self.nobody: int | None = None
        """The number of whoever speaks where nobody is told apart."""
        self._nobody_in: int | None = None  # the stream in which that one was given
        self._last: int | None = None
        self._told_apart: deque[tuple[int, set[int]]] = deque(maxlen=STREAMS)

    def began(self, ready: Ready) -> None:
        """Words from now on are of a stream that begins so."""
        self._last = None
        if ready.keeps_numbers:
            self._stream = OURS
        else:
            self._given = {key: number for key, number in self._given.items() if key[0] == OURS}
            self._stream, self._next_stream = self._next_stream, self._next_stream + 1
        if ready.owner is not None:
            # A stream before may have heard the same voice.
            self.owner = self._give(ready.owner, self.owner)

    def numbered(self, words: Sequence[Word]) -> list[Word]:
        """Final words with the session's numbers."""
        first = next((word.speaker for word in words if word.speaker is not None), None)
        if self._last is None and first is not None:
            self._last = self._number(first)
        return [self._numbered(word) for word in words]

    def tentative(self, words: Sequence[Word]) -> list[Word]:
        """Words that may yet change; no number is given for them."""
        usual = self._highest + 1 if self._last is None else self._last
        numbers = [
            usual
            if word.speaker is None
            else self._given.get((self._stream, word.speaker), self._highest + 1)
            for word in words
        ]
        return [replace(word, speaker=number) for word, number in zip(words, numbers, strict=True)]

    def merge(self, gone: int, kept: int) -> None:
        """The number `gone` was that of `kept`."""
        self._given = {key: kept if number == gone else number for key, number in self._given.items()}
        self.owner, self.nobody, self._last = (
            kept if number == gone else number for number in (self.owner, self.nobody, self._last)
        )
        for _, told in self._told_apart:
            if gone in told:
                told.remove(gone)
                told.add(kept)

    def apart(self, one: int, other: int) -> bool:
        """Whether some stream told these two apart."""
        return any(one in told and other in told for _, told in self._told_apart)

    def introduced(self, number: int, session_number: int) -> None:
        """Who has a number already has this one of those that go on."""
        self._given[OURS, number] = session_number

    def goes_on(self, session_number: int) -> bool:
        """Whether it is among the numbers that go on over all streams."""
        return any(key[0] == OURS and number == session_number for key, number in self._given.items())

    def session_number(self, number: int) -> int | None:
        """What one of the numbers that go on is in the session; None: it was not given yet."""
        return self._given.get((OURS, number))

    def _numbered(self, word: Word) -> Word:
        if word.speaker is not None:
            self._last = self._number(word.speaker)
        elif self._last is None:
            if self.nobody is None:
                self._nobody_in = self._stream
            self._last = self.nobody = self._give(NOBODY, self.nobody)
        return word if word.speaker == self._last else replace(word, speaker=self._last)

    def _number(self, speaker: int) -> int:
        found = self._given.get((self._stream, speaker))
        return self._give(speaker, None) if found is None else found

    def _give(self, speaker: int, number: int | None) -> int:
        """Give the stream's `speaker` a number, or the one that is known to be theirs."""
        told = self._told_in(self._stream)
        unsaid = self._given.pop((self._stream, NOBODY), None)
        here = self._nobody_in == self._stream
        if number is None and unsaid is not None and here and not told - {unsaid}:
            number, self.nobody = unsaid, None  # who is the first to be told apart spoke first
        if number is None:
            alone = self.streams <= 1 and self.nobody is None
            number = max(speaker, 0) if alone else self._highest + 1
        self._highest = max(self._highest, number)
        told.add(number)
        self._given[self._stream, speaker] = number
        return number

    def _told_in(self, stream: int) -> set[int]:
        for known, told in self._told_apart:
            if known == stream:
                return told
        self.streams += 1
        self._told_apart.append((stream, set()))
        return self._told_apart[-1][1]
