"""Speakers of live sessions told apart by voice, where the speech-to-text service does not tell them apart.

Operations: `Speakers.session` gives what one session needs, whose `label` says who speaks; `voiceprints` who is who
when services that number speakers follow each other.
Invariants: a session's speakers keep their numbers, whichever service transcribes it; nothing of a voice outlives its
session, and nothing of it is written anywhere.
Bounded by the session's roster, and by what voices may use of the machine (`engine.speaker.encoding`): an utterance
that there is no time for stays with who spoke before, and is counted there.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import trio
from msgspec.structs import replace
from numpy.typing import NDArray

from engine.listen.numbering import Numbering
from engine.listen.voiceprints import Voiceprints
from engine.speaker.diarization import Diarizer, atoms, heard_span
from engine.speaker.embedding import Floats, Voice, mean_direction
from engine.speaker.encoding import Encoding, Urgency
from engine.speaker.matching import Rules
from engine.speaker.roster import Roster
from engine.transcript.words import Word

__all__ = ["SessionSpeakers", "Speakers"]

RATE = 2.0
"""Windows a second."""


class SessionSpeakers:
    """Of one session. Implements `engine.stt.vendor.SpeakerLabels`."""

    def __init__(self, encoding: Encoding) -> None:
        self._encoding = encoding
        self._roster = Roster()
        self._diarizer = Diarizer(self._roster)
        self._last = 0
        self._merged: Callable[[int, int], None] | None = None

    def when_merged(self, tell: Callable[[int, int], None]) -> None:
        """See `SpeakerLabels`."""
        self._merged = tell

    def introduce(self, voice: Voice) -> int | None:
        """See `SpeakerLabels`."""
        if self._roster.full:
            return None
        number = self._roster.new()
        self._roster.heard(number, voice.vector, voice.seconds)
        return number

    def voices(self) -> Mapping[int, Voice]:
        """See `SpeakerLabels`."""
        return self._roster.voices()

    async def label(self, pcm: NDArray[np.int16], start: int, words: Sequence[Word]) -> tuple[Word, ...]:
        """See `SpeakerLabels`."""
        run = atoms(words)
        vectors: list[Floats | None] = [None] * len(run)

        async def hear(index: int) -> None:
            first, last = heard_span(run[index], start, start + len(pcm))
            windows = await self._encoding.vectors(pcm[first - start : last - start], Urgency.LIVE, rate=RATE)
            vectors[index] = None if windows is None else mean_direction(windows)

        async with trio.open_nursery() as nursery:
            for index in range(len(run)):
                nursery.start_soon(hear, index)
        heard = [vector for vector in vectors if vector is not None]
        if len(heard) < len(run):
            return tuple(replace(word, speaker=self._last) for word in words)
        labels = self._diarizer.label(run, heard)
        if self._merged is not None:
            for gone, kept in labels.merged.items():
                self._merged(gone, kept)
        named = list(words)
        for atom, number in zip(run, labels.numbers, strict=True):
            named[atom.first : atom.last] = [
                replace(word, speaker=number) for word in words[atom.first : atom.last]
            ]
        self._last = labels.numbers[-1] if labels.numbers else self._last
        return tuple(named)


class Speakers:
    """Of all sessions of a process. By `rules` a voice is taken for one that was heard before."""

    def __init__(self, encoding: Encoding, rules: Rules | None = None) -> None:
        self._encoding = encoding
        self._rules = rules or Rules()

    def session(self) -> SessionSpeakers:
        """For a session that begins."""
        return SessionSpeakers(self._encoding)

    def voiceprints(self, numbering: Numbering) -> Voiceprints:
        """For a session whose speakers are numbered by several services, or anew by one."""
        return Voiceprints(self._encoding, self._rules, numbering)
