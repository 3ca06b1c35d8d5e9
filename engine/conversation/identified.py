"""Who speaks in one session that goes on: each turn is heard, compared with the voices that are known, and named.

Operations: it is told what happens (`entered`, `changed`, `ended`), and `run`s beside it.
Invariants: nobody is listened to whose user has not enrolled, and nothing of a voice outlives the session but what
the user asked for. What somebody has said by hand stays. By voice nobody is two speakers: whose voice is less like
theirs loses the name again, in the segments that are still known here (those before wait for processing). While nobody
knows whose a speaker's voice is their segments say so (`speech_profile_processed`); once it is known what they go on to
say is named at once. What was decided is kept with what it was decided by.
Bounded: see `engine.conversation.turns`; `LONGEST` of an utterance is heard, and of each person `LEARNT` samples are
taken (`engine.conversation.identification`). A speaker who is known is heard again after `AGAIN` of further speech.
Cost: one copy of the audio of sessions whose users have enrolled.
"""

import math
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVarTuple

import msgspec
import trio

from engine.conversation.identification import LEARNT, LONGEST, SHORTEST, Means, speaker_of
from engine.conversation.suggesting import Suggestions
from engine.conversation.turn_edits import TurnEdits
from engine.conversation.turns import RecentAudio, Turn, Turns
from engine.listen.naming import NOBODY
from engine.listen.ports import Followed, OpenConversation
from engine.log import get_logger
from engine.speaker.embedding import mean_direction
from engine.speaker.encoding import Urgency
from engine.speaker.matching import OWNER, Decision, Known, at_most_one, decide
from engine.speaker.roster import Heard, nothing
from engine.store.errors import BlobsUnavailable, DatabaseUnavailable
from engine.transcript.timeline import SAMPLE_RATE
from engine.wire.messages import Segment, Speaker, SpeakerDecision

__all__ = ["IdentifiedSession"]

log = get_logger(__name__)

RUN = SAMPLE_RATE // 4
"""Audio is taken over in runs of so many samples."""
AGAIN = 60.0
"""Seconds of further speech after which a speaker who is known is heard again."""

Ts = TypeVarTuple("Ts")


class _Speaker(msgspec.Struct):
    """What was heard of one of a session's speakers, and who they are; `passed`: seconds they spoke since."""

    heard: Heard
    decision: Decision | None = None
    passed: float = 0.0
    by_hand: str | None = None
    """Whom somebody took one of their segments for."""

    @property
    def sure(self) -> bool:
        """Whether they are somebody who is known."""
        return self.decision is not None and self.decision.person is not None


class IdentifiedSession:
    """Implements `Following`."""

    def __init__(self, means: Means, session: Followed) -> None:
        self._means = means
        self._session = session
        self._edits = TurnEdits(means, session.uid)
        self._tap = session.tap("voices", lossless=False, keep=SAMPLE_RATE)
        self._audio = RecentAudio()
        self._turns = Turns()
        self._speakers: dict[str, _Speaker] = {}
        self._suggestions = Suggestions(session, self._people)
        self._names: tuple[float, Mapping[str, str]] = (-math.inf, {})
        self._given: set[Speaker] = {NOBODY}
        self._learnt: Counter[str] = Counter()
        self._something = trio.Event()
        self._listening = True
        self._ended = False
        self._over = False

    # Following: on the live path

    def entered(self, conversation: OpenConversation, position: int) -> None:
        """See `Following`."""

    def changed(
        self,
        conversation: OpenConversation,
        segments: Sequence[Segment],
        deleted: Sequence[str],
        offset: float,
    ) -> None:
        """See `Following`."""
        if self._over:
            return
        self._turns.drop(deleted)
        unseen = self._turns.update(conversation, segments, offset)
        self._means.outcomes["too_late"] += unseen if self._session.names.awaited else 0
        self._something.set()

    def ended(self) -> None:
        """See `Following`."""
        self._ended = True
        self._something.set()

    # In tasks of its own

    async def run(self) -> None:
        """Until the session is over and all that was said in it was looked at."""
        try:
            await self._follow()
        except DatabaseUnavailable as error:
            log.warning("identifying.stopped", error=str(error))
        except Exception:
            self._means.outcomes["failed"] += 1
            raise
        finally:
            self._over = True
            self._tap.close()
            self._session.names.awaited = False  # nobody is to wait for what does not come

    async def _follow(self) -> None:
        self._listening = bool(await self._known())
        if not self._listening:
            self._tap.close()
        async with trio.open_nursery() as nursery:
            if self._listening:
                nursery.start_soon(self._hear)
            await self._look()
            nursery.cancel_scope.cancel()

    async def _known(self) -> Sequence[Known]:
        """Whom to compare with; from then on segments say whether that was done."""
        if not self._listening:
            return ()
        known = await self._means.voices.known(self._session.uid)
        self._session.names.awaited = bool(known)
        return known

    async def _people(self) -> Mapping[str, str]:
        """The names of whom the user knows, a few seconds old."""
        read_at, names = self._names
        if trio.current_time() - read_at > self._means.names_age:
            names = await self._means.people.names(self._session.uid)
            self._names = (trio.current_time(), names)
        return names

    async def _hear(self) -> None:
        """Keep the last of the audio."""
        while (run := await self._tap.read(RUN)).samples:
            self._audio.add(run)

    async def _look(self) -> None:
        while True:
            while (turn := self._turns.next(self._is_found)) is not None:
                await _unless_away(self._look_at, turn)
            if self._ended:
                break
            self._something = trio.Event()
            await self._something.wait()
            self._turns.again()
        await _unless_away(self._end)

    def _is_found(self, label: str) -> bool:
        speaker = self._speakers.get(label)
        return speaker is not None and speaker.sure

    async def _look_at(self, turn: Turn) -> None:
        """What a segment says of who its speaker is, by their voice and by what is said."""
        label = turn.segment.speaker
        if turn.who not in self._given:
            await self._named_by_hand(turn)
            return
        known = await self._known()
        if turn.who == NOBODY:
            if turn.given not in (None, NOBODY):  # somebody has taken the name away
                turn.settled = True
            await self._suggestions.by_name(turn.segment, known=bool(known))
        if not known or turn.settled or self._session.names.is_assigned(label):
            return
        speaker = self._speakers.setdefault(label, _Speaker(nothing()))
        if await self._listen_to(speaker, turn):
            await self._weigh(turn, decide(speaker.heard.voice, known, self._means.rules))
            self._means.outcomes["named" if speaker.sure else "unknown"] += 1
        if speaker.decision is not None and speaker.decision.verdict != "too_short":
            await self._apply(label, speaker.decision, turn)
            if speaker.decision.person not in (None, OWNER):
                await self._suggestions.person(turn.segment, speaker.decision.person)
        if not speaker.sure and speaker.by_hand is not None:
            await self._suggestions.person(turn.segment, speaker.by_hand)

    async def _named_by_hand(self, turn: Turn) -> None:
        """What was heard of a segment that somebody named is a sample of a person's voice."""
        person = turn.who.person_id
        if turn.settled or person is None:
            turn.settled = True
            return
        turn.settled = True
        self._speakers.setdefault(turn.segment.speaker, _Speaker(nothing())).by_hand = person
        start, end = turn.span
        pcm = self._audio.between(max(start, end - LONGEST), end)
        enough = pcm is not None and len(pcm) >= self._means.rules.least_seconds * SAMPLE_RATE
        if pcm is None or not enough or self._learnt[person] >= LEARNT:
            return
        self._learnt[person] += 1
        source = {"conversation_id": turn.conversation.id, "segment_id": turn.segment.id}
        await self._means.voices.learn(self._session.uid, person, pcm, source)

    async def _listen_to(self, speaker: _Speaker, turn: Turn) -> bool:
        """Hear what is new in a segment, unless the speaker is known and was heard not long ago."""
        start, end = turn.span
        start = max(start, turn.heard_until, end - LONGEST)
        if end - start < SHORTEST:
            return False
        if speaker.sure and speaker.passed + (end - start) / SAMPLE_RATE < AGAIN:
            speaker.passed += (end - start) / SAMPLE_RATE
            turn.heard_until = end
            return False
        pcm = self._audio.between(start, end)
        if pcm is None:
            turn.heard_until = end
            self._means.outcomes["too_late"] += 1
            return False
        urgency = Urgency.LATER if speaker.sure else Urgency.KNOWN if speaker.decision else Urgency.NEW
        windows = await self._means.encoding.vectors(pcm, urgency)
        if windows is None:
            self._means.outcomes["given_up"] += 1
            self._turns.later(turn)
            return False
        turn.heard_until = end
        speaker.passed = 0.0
        speaker.heard.add(mean_direction(windows), len(pcm) / SAMPLE_RATE)
        return True

    # What follows from it

    async def _weigh(self, turn: Turn, decision: Decision) -> None:
        """One speaker's voice was compared: nobody is two of the session's speakers, whoever had the name first."""
        label = turn.segment.speaker
        rivals = {
            other: speaker.decision
            for other, speaker in self._speakers.items()
            if speaker.decision is not None and self._is_by_voice(other)
        }
        weighed = at_most_one(rivals | {label: decision}, self._means.rules)
        for other, changed in weighed.items():
            speaker = self._speakers[other]
            if other != label and changed == speaker.decision:
                continue
            speaker.decision = changed
            self._tell(other, changed)
            if other != label:
                await self._apply(other, changed)

    def _is_by_voice(self, label: str) -> bool:
        """Whether it is a voice that says who a speaker is. Of a label that was joined to another nothing says it."""
        names = self._session.names
        return names.found(label) is not None and not names.is_assigned(label)

    def _tell(self, label: str, decision: Decision) -> None:
        """Say why, if the client wants to know."""
        segments = [turn.segment for turn in self._turns.of(label)]
        if self._session.parameters.speaker_decisions and segments:
            event = SpeakerDecision(
                speaker_id=segments[-1].speaker_id,
                segment_ids=tuple(segment.id for segment in segments),
                **msgspec.structs.asdict(decision),
            )
            self._session.notify(event)

    async def _apply(self, label: str, decision: Decision, looked_at: Turn | None = None) -> None:
        """Name all segments of a speaker that nobody has named, where they are, and those that follow."""
        who, before = speaker_of(decision), self._session.names.found(label)
        self._given.add(who)
        self._session.names.find(label, who)
        if decision.verdict == "outdone":
            await self._take_back(label, decision, before)
        turns = [
            turn
            for turn in self._turns.of(label)
            if turn.who in (NOBODY, who)
            and (turn is looked_at or turn.decision is None or _differ(turn.decision, decision))
        ]
        await self._edits.name(turns, decision)

    async def _take_back(self, label: str, decision: Decision, before: Speaker | None) -> None:
        """The name a speaker was given by voice (`before`: last) is another's."""
        taken = _best_of(decision)
        turns = [
            turn for turn in self._turns.of(label) if turn.who == taken and taken in (turn.given, before)
        ]
        await self._edits.take_back(turns, taken, decision)

    async def _end(self) -> None:
        """Nothing more is found out here: whose voice was not heard long enough stays unknown."""
        for turn in self._turns.all():
            if turn.segment.speech_profile_processed:
                continue
            speaker = self._speakers.get(turn.segment.speaker)
            if speaker is not None and speaker.decision is not None:
                await self._edits.name([turn], speaker.decision)
            else:
                await self._edits.close(turn)


def _best_of(decision: Decision) -> Speaker:
    """Whose voice it is most like."""
    return speaker_of(msgspec.structs.replace(decision, person=decision.best))


def _differ(one: Decision, other: Decision) -> bool:
    return (one.person, one.verdict) != (other.person, other.verdict)


async def _unless_away(step: Callable[[*Ts], Awaitable[None]], *args: *Ts) -> None:
    """Without the database or the blob store a step is left out, not the session."""
    try:
        await step(*args)
    except (DatabaseUnavailable, BlobsUnavailable) as error:
        log.warning("identifying.interrupted", error=str(error))
