"""Samples of people's voices, taken from what is said in a live session once somebody has named them.

Operations: `learn`.
Invariants: nothing is kept where `engine.conversation.voices` keeps nothing; a sample of whom somebody took for another
and corrected is not kept. Bounded: `LEARNT` samples of each person, of `LONGEST` at most.
Cancellation: what was begun may have taken effect.
"""

from collections import Counter

from engine.conversation.identification import LEARNT, LONGEST, Means
from engine.conversation.session_audio import SessionAudio
from engine.conversation.turns import Turn
from engine.transcript.timeline import SAMPLE_RATE

__all__ = ["SessionSamples"]


class SessionSamples:
    """Of one session of `uid`'s."""

    def __init__(self, means: Means, uid: str, audio: SessionAudio) -> None:
        self._means = means
        self._uid = uid
        self._audio = audio
        self._learnt: Counter[str] = Counter()

    async def learn(self, turn: Turn, person: str) -> None:
        """What was heard of a segment is this person's voice, if it is enough to know it by."""
        start, end = turn.span
        pcm = self._audio.between(max(start, end - LONGEST), end)
        enough = pcm is not None and len(pcm) >= self._means.rules.least_seconds * SAMPLE_RATE
        if pcm is None or not enough or self._learnt[person] >= LEARNT:
            return
        self._learnt[person] += 1
        source = {"conversation_id": turn.conversation.id, "segment_id": turn.segment.id}
        await self._means.voices.learn(self._uid, person, pcm, source)
        if turn.who.person_id != person:  # somebody has corrected it meanwhile
            await self._means.voices.unlearn(self._uid, [turn.segment.id], turn.who.person_id)
