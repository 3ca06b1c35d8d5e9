"""What recognising speakers by voice rests on, live and later: rules, limits, and what is needed of other rooms."""

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from engine._config_speaker import Speaker as Settings
from engine.speaker.encoding import Encoding
from engine.speaker.matching import OWNER, Decision, Known, Rules
from engine.store.edits import SegmentEdit
from engine.transcript.timeline import SAMPLE_RATE
from engine.wire.messages import Speaker

__all__ = [
    "LEARNT",
    "LONGEST",
    "OUTCOMES",
    "SHORTEST",
    "Decisions",
    "Means",
    "Samples",
    "Voices",
    "person_of",
    "rules_of",
    "speaker_of",
]

LONGEST = 10 * SAMPLE_RATE
"""Samples of an utterance that are heard."""
SHORTEST = SAMPLE_RATE * 8 // 10
"""Samples that are worth hearing."""
LEARNT = 2
"""Samples that are taken of a person in one session, or from one recording."""
OUTCOMES = ("named", "unknown", "too_late", "given_up", "failed")
"""What becomes of a turn: somebody known; nobody known; its audio was gone; no time for it now; a fault of ours."""

Samples = NDArray[np.int16]


class Voices(Protocol):
    """Whom a user knows by voice; `engine.conversation.voices` implements it."""

    async def known(self, uid: str) -> Sequence[Known]:
        """The user and the people whose voices are known."""
        ...

    async def learn(self, uid: str, person_id: str, pcm: Samples, source: Mapping[str, str]) -> object:
        """Add speech (16 kHz) of somebody the user named."""
        ...

    async def unlearn(self, uid: str, segment_ids: Collection[str], person_id: str | None) -> None:
        """Forget samples of others that were taken from these segments: it is `person_id` who speaks there."""
        ...


class People(Protocol):
    """The names of people."""

    async def names(self, uid: str) -> Mapping[str, str]:
        """The names of all the user knows, by person id."""
        ...


class Decisions(Protocol):
    """Where decisions are kept."""

    async def decisions(self, uid: str, conversation_id: str) -> Mapping[str, Any]:
        """Why the segments of a conversation have their speakers, by id."""
        ...

    async def decided(self, uid: str, conversation_id: str, decisions: Mapping[str, Any], now: int) -> None:
        """Keep why segments, by id, have the speakers they have."""
        ...


@dataclass(frozen=True, kw_only=True)
class Means:
    """What all sessions share. `names_age`: seconds for which names of people are good; `outcomes` are counted."""

    voices: Voices
    people: People
    decisions: Decisions
    encoding: Encoding
    edit: Callable[[str, str, SegmentEdit], Awaitable[Sequence[str] | None]]
    now: Callable[[], int]
    rules: Rules
    names_age: float
    outcomes: Counter[str]


def rules_of(settings: Settings) -> Rules:
    """When a voice is somebody's, as configured."""
    return Rules(threshold=settings.threshold, margin=settings.margin, least_seconds=settings.least_speech)


def speaker_of(decision: Decision) -> Speaker:
    """Whom a decision names."""
    if decision.person == OWNER:
        return Speaker(is_user=True)
    return Speaker(person_id=decision.person)


def person_of(speaker: Speaker) -> str | None:
    """The id of whom a segment names; None of nobody."""
    return OWNER if speaker.is_user else speaker.person_id
