"""What was heard of a live session's speakers, and who they are by it.

Operations: `of` and `get` a speaker by label; `weighed` says what becomes of all when one was compared, or named by
hand. Invariants: by voice nobody is two of them (`engine.speaker.matching.at_most_one`).
Bounded by the labels a session has (`engine.speaker.roster`).
"""

from collections.abc import Sequence

import msgspec

from engine.conversation.identification import person_of
from engine.conversation.turns import Turns
from engine.listen.naming import SpeakerNames
from engine.speaker.matching import Decision, Known, Rules, Spoken, at_most_one
from engine.speaker.roster import Heard, nothing

__all__ = ["HeardSpeaker", "SessionSpeakers"]

ENOUGH = 30.0
"""Seconds of a voice after which more of it hardly changes what it sounds like."""


class HeardSpeaker(msgspec.Struct):
    """What was heard of a speaker, and who they are; `passed`: seconds they spoke since.

    `against`: with whom they were compared. `by_hand`: the person somebody took one of their segments for.
    """

    heard: Heard
    decision: Decision | None = None
    passed: float = 0.0
    against: Sequence[Known] = ()
    by_hand: str | None = None

    @property
    def named(self) -> str | None:
        """The person whom their voice has shown."""
        return None if self.decision is None else self.decision.person

    @property
    def sure(self) -> bool:
        """Whether they are somebody who is known."""
        return self.named is not None

    @property
    def heard_out(self) -> bool:
        """Whether more of their voice is to be heard now and then only."""
        return self.sure or self.heard.seconds >= ENOUGH


class SessionSpeakers:
    """Of one session."""

    def __init__(self, names: SpeakerNames, turns: Turns, rules: Rules) -> None:
        self._names = names
        self._turns = turns
        self._rules = rules
        self._speakers: dict[str, HeardSpeaker] = {}

    def of(self, label: str) -> HeardSpeaker:
        """Who has this label; nothing may have been heard of them yet."""
        return self._speakers.setdefault(label, HeardSpeaker(nothing()))

    def get(self, label: str) -> HeardSpeaker | None:
        """Who has this label, if they were asked for before."""
        return self._speakers.get(label)

    def weighed(self, label: str = "", decision: Decision | None = None) -> dict[str, Decision]:
        """What is decided of all who are known by voice, and of `label`, of whom `decision` is new."""
        rivals = {
            other: speaker.decision
            for other, speaker in self._speakers.items()
            if speaker.decision is not None and self._is_by_voice(other)
        }
        if decision is not None:
            rivals[label] = decision
        return at_most_one(rivals, self._rules, self._by_hand(), self._spoken())

    def _is_by_voice(self, label: str) -> bool:
        """Whether it is a voice that says who a speaker is. Of a label that was joined to another nothing says it."""
        return self._names.found(label) is not None and self._names.assigned(label) is None

    def _by_hand(self) -> dict[str, str]:
        """Whom somebody has said the speakers are."""
        found = {label: person_of(who) for label, who in self._names.assignments.items()}
        return {label: person for label, person in found.items() if person is not None}

    def _spoken(self) -> dict[str, Spoken]:
        return {
            label: Spoken(seconds, self._speakers[label].heard.voice)
            for label, seconds in self._turns.spoken().items()
            if label in self._speakers
        }
