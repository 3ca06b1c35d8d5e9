"""Who speaks in a session, from the numbers that vendors give to one numbering that lasts.

Operations: `began` a stream of results, its `final` and `interim` words get the session's numbers; `run` hears the
voices behind them, where there is an engine for that, and says which numbers are one speaker's.
Invariants: see `Numbering` and `Voiceprints`. Cost: a look-up a word, and a copy of the audio of each speaker's first
seconds.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import trio

from engine.audio.ring import Ring
from engine.listen.numbering import Numbering
from engine.listen.voiceprints import Voiceprints
from engine.speaker.embedding import Voice
from engine.stt.vendor import SAMPLE_RATE, Ready, SpeakerLabels
from engine.transcript.words import Word

__all__ = ["MakeVoiceprints", "SpeakerNumbers"]

PAUSE = SAMPLE_RATE // 2
"""Samples between two words of one speaker within which nobody else speaks."""

MakeVoiceprints = Callable[[Numbering], Voiceprints]


class SpeakerNumbers:
    """One session's, over its ring. Without `voiceprints` nobody hears who is who."""

    def __init__(self, ring: Ring, voiceprints: MakeVoiceprints | None) -> None:
        self._ring = ring
        self._numbering = Numbering()
        self._labels: SpeakerLabels | None = None
        self._labelled = False  # whether `labels` number the speakers of this stream
        self._heard: Word | None = None
        self._voiceprints = None if voiceprints is None else voiceprints(self._numbering)

    @property
    def owner(self) -> int | None:
        """The number of who spoke the pre-roll, if a stream was played one."""
        return self._numbering.owner

    def follow(self, labels: SpeakerLabels, same: Callable[[int, int], None]) -> None:
        """Say, as `run` does, which of the numbers that `labels` has given are one speaker's."""

        def merged(gone: int, kept: int) -> None:
            one, other = self._numbering.session_number(gone), self._numbering.session_number(kept)
            if one is not None and other is not None and one != other:
                self._merge(same, max(one, other), min(one, other))

        self._labels = labels
        labels.when_merged(merged)

    def began(self, ready: Ready) -> None:
        """Results that follow are of a stream that began so."""
        self._numbering.began(ready)
        self._labelled = ready.keeps_numbers
        if self._labelled and self._labels is not None and self._voiceprints is not None:
            self._introduce(self._labels, self._voiceprints)

    def _introduce(self, labels: SpeakerLabels, voiceprints: Voiceprints) -> None:
        """Have those who go on know whom the vendors before them have told apart."""
        for session_number, voice in voiceprints.voices().items():
            if not self._numbering.goes_on(session_number):
                number = labels.introduce(voice)
                if number is not None:
                    self._numbering.introduced(number, session_number)

    def interim(self, words: Sequence[Word]) -> list[Word]:
        """Words that may change, with the numbers they would have."""
        return self._numbering.tentative(words)

    def final(self, words: Sequence[Word]) -> list[Word]:
        """Words with their numbers. Their audio is still in the ring, unless transcription is far behind."""
        numbered = self._numbering.numbered(words)
        if self._voiceprints is not None and self._labelled:
            self._voiceprints.look_at({word.speaker for word in numbered if word.speaker is not None})
        elif self._voiceprints is not None:
            self._hear(self._voiceprints, numbered)
        return numbered

    def _hear(self, voiceprints: Voiceprints, words: Sequence[Word]) -> None:
        """The words of each speaker in a row, with what is between them: cut to pieces, a voice is another."""
        for run in _runs(words):
            speaker, last = run.speaker, self._heard
            goes_on = last is not None and last.speaker == speaker and 0 <= run.start - last.end < PAUSE
            start = last.end if last is not None and goes_on else run.start
            self._heard = run
            if speaker is None or speaker == self._numbering.nobody:
                continue  # that may be several people
            if run.end <= start or not voiceprints.wants(speaker):
                continue
            try:
                pcm = self._ring.window(start, min(run.end, self._ring.write_position))
            except LookupError:  # it is in the spill file by now
                continue
            voiceprints.hear(speaker, np.frombuffer(pcm, np.int16))

    async def run(self, same: Callable[[int, int], None]) -> None:
        """Say which numbers are one speaker's, `same(gone, kept)`, until cancelled."""
        if self._voiceprints is None:
            await trio.sleep_forever()
            return
        await self._voiceprints.run(partial(self._merge, same), self._labelled_voices)

    def _labelled_voices(self) -> dict[int, Voice]:
        """What `labels` know of the session's numbers; of what became one, what more was heard of."""
        found: dict[int, Voice] = {}
        for number, voice in () if self._labels is None else self._labels.voices().items():
            mine = self._numbering.session_number(number)
            if mine is not None and (mine not in found or voice.seconds > found[mine].seconds):
                found[mine] = voice
        return found

    def _merge(self, same: Callable[[int, int], None], gone: int, kept: int) -> None:
        self._numbering.merge(gone, kept)
        if self._voiceprints is not None:
            self._voiceprints.merge(gone, kept)
        same(gone, kept)


def _runs(words: Sequence[Word]) -> list[Word]:
    """The words of each speaker in a row as one."""
    runs: list[Word] = []
    for word in words:
        last = runs[-1] if runs else None
        if last is not None and last.speaker == word.speaker and word.start - last.end < PAUSE:
            runs[-1] = Word("", last.start, max(last.end, word.end), word.speaker)
        else:
            runs.append(word)
    return runs
