"""Who speaks in one session that goes on: each turn is heard, compared with the voices that are known, and named.

Operations: it is told what happens (`entered`, `changed`, `ended`), and `run`s beside it.
Invariants: nobody is listened to whose user has not enrolled, and nothing of a voice outlives the session but what
the user asked for. What somebody has said by hand stays. By voice nobody is two speakers, and nobody whom somebody has
said another is (`engine.speaker.matching.at_most_one`): whose voice is less like theirs loses the name again, in the
segments that are still known here (those before wait for processing). While nobody knows whose a speaker's voice
is their segments say so (`speech_profile_processed`); once it is known what they go on to say is named at once. What
was decided is kept with what it was decided by.
Bounded: see `engine.conversation.turns` and `engine.conversation.session_samples`; `LONGEST` of an utterance is heard.
A speaker who is known, or of whom `ENOUGH` was heard, is heard again after `AGAIN` of further speech.
Cost: one copy of the audio of sessions whose users have enrolled.
"""

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVarTuple

import msgspec
import trio

from engine.conversation.identification import LONGEST, SHORTEST, Means, person_of, speaker_of
from engine.conversation.session_audio import SessionAudio
from engine.conversation.session_samples import SessionSamples
from engine.conversation.session_speakers import HeardSpeaker, SessionSpeakers
from engine.conversation.suggesting import Suggestions
from engine.conversation.turn_edits import TurnEdits
from engine.conversation.turns import Turn, Turns
from engine.listen.naming import NOBODY
from engine.listen.ports import Followed, OpenConversation
from engine.log import get_logger
from engine.speaker.embedding import mean_direction
from engine.speaker.encoding import Urgency
from engine.speaker.matching import OWNER, Decision, Known, decide
from engine.store.errors import BlobsUnavailable, DatabaseUnavailable
from engine.transcript.timeline import SAMPLE_RATE
from engine.wire.messages import Segment, Speaker, SpeakerDecision

__all__ = ["IdentifiedSession"]

log = get_logger(__name__)

AGAIN = 60.0
"""Seconds of further speech after which a speaker who was heard out is heard again."""

Ts = TypeVarTuple("Ts")


class IdentifiedSession:
    """Implements `Following`."""

    def __init__(self, means: Means, session: Followed) -> None:
        self._means = means
        self._session = session
        self._edits = TurnEdits(means, session.uid)
        self._audio = SessionAudio(session)
        self._samples = SessionSamples(means, session.uid, self._audio)
        self._turns = Turns()
        self._speakers = SessionSpeakers(session.names, self._turns, means.rules)
        self._suggestions = Suggestions(session, self._people)
        self._names: tuple[float, Mapping[str, str]] = (-math.inf, {})
        self._given: set[Speaker] = {NOBODY}
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
        look = self._is_to_be_seen(segments)
        unseen = self._turns.update(conversation, segments, offset, look=look)
        self._means.outcomes["too_late"] += unseen if self._session.names.awaited else 0
        if look:
            self._something.set()

    def _is_to_be_seen(self, segments: Sequence[Segment]) -> bool:
        """Where nobody's voice is known, only who was named or names themselves is worth a look."""
        return self._listening or any(
            segment.is_user or segment.person_id is not None or self._suggestions.may_be_named(segment)
            for segment in segments
        )

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
            self._audio.close()
            self._session.names.awaited = False  # nobody is to wait for what does not come

    async def _follow(self) -> None:
        self._listening = bool(await self._known())
        if not self._listening:
            self._audio.close()
        async with trio.open_nursery() as nursery:
            if self._listening:
                nursery.start_soon(self._audio.run)
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
        if await self._is_by_hand(turn):
            await self._named_by_hand(turn)
            return
        known = await self._known()
        if turn.who == NOBODY:
            if turn.by_hand is not None or turn.given not in (None, NOBODY):
                self._taken_away(turn)
            await self._suggestions.by_name(turn.segment, known=bool(known))
        if not known or turn.settled or self._session.names.assigned(label) is not None:
            return
        speaker = self._speakers.of(label)
        if speaker.sure and speaker.named not in [one.id for one in known]:
            await self._forget(label, speaker, known)
        if await self._listen_to(speaker, turn):
            await self._weigh(label, decide(speaker.heard.voice, known, self._means.rules))
            self._means.outcomes["named" if speaker.sure else "unknown"] += 1
        elif not speaker.sure and speaker.decision is not None and known is not speaker.against:
            again, before = decide(speaker.heard.voice, known, self._means.rules), speaker.decision
            if (again.best, again.score) != (before.best, before.score):  # others are known by now
                await self._weigh(label, again)
        speaker.against = known
        if speaker.decision is not None and speaker.decision.verdict != "too_short":
            await self._apply(label, speaker.decision, turn)
            if speaker.decision.person not in (None, OWNER):
                await self._suggestions.person(turn.segment, speaker.decision.person)
        if not speaker.sure and speaker.by_hand is not None:
            await self._suggestions.person(turn.segment, speaker.by_hand)

    # What somebody has said

    async def _is_by_hand(self, turn: Turn) -> bool:
        """Whether somebody has said whose a segment is, or that it is its speaker's from now on."""
        who, label, names = turn.who, turn.segment.speaker, self._session.names
        if who == NOBODY:
            return False
        if who not in self._given or names.assigned(label) == who:
            return True
        if who in (turn.given, names.found(label)):
            return False
        # It was found for another speaker, too: what is kept as the reason says who has named this one.
        reasons = await self._means.decisions.decisions(self._session.uid, turn.conversation.id)
        return bool(reasons.get(turn.segment.id, {}).get("verdict") == "assigned")

    async def _named_by_hand(self, turn: Turn) -> None:
        """That person is no other speaker by voice, and what was heard of the segment is a sample of their voice."""
        label, person = turn.segment.speaker, person_of(turn.who)
        if turn.by_hand == person:
            return
        turn.settled, turn.by_hand = True, person
        speaker = self._speakers.of(label)
        if self._session.names.assigned(label) is not None and await self._known():
            if speaker.heard.seconds < self._means.rules.least_seconds:
                await self._listen_to(speaker, turn)
            await self._weigh()
        if turn.who.person_id is not None:
            speaker.by_hand = person
            await self._samples.learn(turn, turn.who.person_id)

    def _taken_away(self, turn: Turn) -> None:
        """Somebody has said that it is nobody they know."""
        speaker = self._speakers.get(turn.segment.speaker)
        if speaker is not None and speaker.by_hand == turn.by_hand:
            speaker.by_hand = None
        turn.settled, turn.by_hand = True, None

    # What is heard

    async def _listen_to(self, speaker: HeardSpeaker, turn: Turn) -> bool:
        """Hear what is new in a segment, unless the speaker is known and was heard not long ago."""
        start, end = turn.span
        start = max(start, turn.heard_until, end - LONGEST)
        if end - start < SHORTEST:
            return False
        if speaker.heard_out and speaker.passed + (end - start) / SAMPLE_RATE < AGAIN:
            speaker.passed += (end - start) / SAMPLE_RATE
            turn.heard_until = end
            return False
        pcm = self._audio.between(start, end)
        if pcm is None:
            turn.heard_until = end
            self._means.outcomes["too_late"] += 1
            return False
        urgency = Urgency.LATER if speaker.heard_out else Urgency.KNOWN if speaker.decision else Urgency.NEW
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

    async def _weigh(self, label: str = "", decision: Decision | None = None) -> None:
        """One speaker's voice was compared, or somebody was named by hand: nobody is two of the session's speakers."""
        for other, changed in self._speakers.weighed(label, decision).items():
            speaker = self._speakers.of(other)
            if other != label and changed == speaker.decision:
                continue
            speaker.decision = changed
            self._tell(other, changed)
            if other != label:
                await self._apply(other, changed)

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
            await self._take_back(label, _best_of(decision), before, decision)
        turns = [
            turn
            for turn in self._turns.of(label)
            if turn.who in (NOBODY, who)
            and (turn is looked_at or turn.decision is None or _differ(turn.decision, decision))
        ]
        await self._edits.name(turns, decision)

    async def _take_back(
        self, label: str, taken: Speaker, before: Speaker | None, decision: Decision
    ) -> None:
        """The name `taken`, which a speaker was given by voice (`before`: last), is not theirs."""
        turns = [
            turn for turn in self._turns.of(label) if turn.who == taken and taken in (turn.given, before)
        ]
        await self._edits.take_back(turns, taken, decision)

    async def _forget(self, label: str, speaker: HeardSpeaker, known: Sequence[Known]) -> None:
        """Whom a speaker was taken for is nobody who is known any more."""
        decision = decide(speaker.heard.voice, known, self._means.rules)
        before = self._session.names.found(label)
        if before is not None:
            await self._take_back(label, before, before, decision)
        await self._weigh(label, decision)

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
