"""Who speaks in live sessions, by voice, among those a user has enrolled or named; and by the names people say.

Operations: `Identifier` follows all sessions of a process while its `tasks` run; `statistics`.
Invariants: a session never waits for it. Nobody is looked for but in sessions of users who have enrolled or named
somebody, and who let them be (`include_speech_profile`). A segment whose speaker somebody has named is left as it is.
What was decided is kept with what it was decided by, so that it can be asked for.
Bounded: of a session `KEPT` of audio and `SEGMENTS` segments, the oldest of which are forgotten and counted; at most
`LONGEST` of an utterance is heard. A speaker who is known is heard again after `AGAIN` of further speech.
Cost: one copy of the audio of sessions that are followed; what a voice costs see `engine.speaker.encoding`.
Cancellation: what waits is forgotten here; the segments stay as they are.
"""

import math
from collections import Counter, OrderedDict, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec
import numpy as np
import trio
from msgspec.structs import replace
from numpy.typing import NDArray

from engine._config_speaker import Speaker as Settings
from engine.listen.follower_tasks import FollowerTasks
from engine.listen.ports import Followed, OpenConversation
from engine.listen.tap import Run
from engine.log import get_logger
from engine.speaker.embedding import mean_direction
from engine.speaker.encoding import Encoding, Urgency
from engine.speaker.matching import OWNER, Decision, Known, Rules, decide
from engine.speaker.names import introduced
from engine.speaker.roster import Heard, nothing
from engine.store.edits import SegmentEdit, Speaker
from engine.store.errors import BlobsUnavailable, DatabaseUnavailable
from engine.transcript.timeline import SAMPLE_RATE
from engine.wire.messages import Segment, SpeakerLabelSuggestion

__all__ = ["OUTCOMES", "Identifier", "IdentifierStatistics"]

log = get_logger(__name__)

KEPT = 40 * SAMPLE_RATE
LONGEST = 10 * SAMPLE_RATE
SHORTEST = SAMPLE_RATE * 8 // 10
RUN = SAMPLE_RATE // 4
"""Audio is taken over in runs of so many samples."""
AGAIN = 60.0
"""Seconds of further speech after which a speaker who is known is heard again."""
SEGMENTS = 200
OUTCOMES = ("named", "unknown", "too_late", "given_up")
"""What becomes of a speaker's turn: somebody known; nobody known; its audio was gone; there was no time for it."""

Samples = NDArray[np.int16]

Edit = Callable[[str, str, SegmentEdit], Awaitable[Sequence[str] | None]]


class Voices(Protocol):
    """Whom a user knows by voice; `engine.conversation.voices` implements it."""

    async def known(self, uid: str) -> Sequence[Known]: ...

    async def learn(self, uid: str, person_id: str, pcm: Samples, source: Mapping[str, str]) -> object: ...


class People(Protocol):
    """The names of people."""

    async def names(self, uid: str) -> Mapping[str, str]: ...


class Decisions(Protocol):
    """Where decisions are kept."""

    async def decided(
        self, uid: str, conversation_id: str, decisions: Mapping[str, Any], now: int
    ) -> None: ...


class IdentifierStatistics(msgspec.Struct, frozen=True):
    """Sessions followed now, and what became of turns, by `OUTCOMES`."""

    sessions: int
    outcomes: dict[str, int]


class _Speaker(msgspec.Struct):
    """One of a session's speakers: what was heard of them, and who they are."""

    heard: Heard
    decision: Decision | None = None
    passed: float = 0.0
    """Seconds that they spoke since they were heard."""

    @property
    def sure(self) -> bool:
        """Whether they are somebody who is known."""
        return self.decision is not None and self.decision.person is not None


class _Turn(msgspec.Struct):
    """A segment as it was last, and how much of it was heard, in samples of the session."""

    segment: Segment
    conversation: OpenConversation
    offset: float
    heard_until: int = 0
    settled: bool = False
    suggested: bool = False


class Identifier:
    """Implements `Follower`."""

    def __init__(
        self,
        *,
        voices: Voices,
        people: People,
        decisions: Decisions,
        encoding: Encoding,
        edit: Edit,
        settings: Settings,
        now: Callable[[], int],
    ) -> None:
        """`edit` changes segments of a conversation, live or not; it returns those that are not there."""
        self.voices = voices
        self.people = people
        self.decisions = decisions
        self.encoding = encoding
        self.edit = edit
        self.now = now
        self.age = settings.known_age
        self.rules = Rules(
            threshold=settings.threshold, margin=settings.margin, least_seconds=settings.least_speech
        )
        self.outcomes: Counter[str] = Counter()
        self.tasks = FollowerTasks("identifying.failed")

    def began(self, session: Followed) -> "_Session | None":
        """See `Follower`."""
        parameters = session.parameters
        wanted = parameters.include_speech_profile and not parameters.multi_channel
        if not self.tasks.running or not wanted or parameters.custom_stt:
            return None
        following = _Session(self, session)
        self.tasks.start(session.id, following.run)
        return following

    def statistics(self) -> IdentifierStatistics:
        """How many are followed, and what became of what was said."""
        return IdentifierStatistics(self.tasks.count, {one: self.outcomes[one] for one in OUTCOMES})


class _Session:
    """One session that is followed."""

    def __init__(self, parent: Identifier, session: Followed) -> None:
        self.over = trio.Event()
        self._parent = parent
        self._session = session
        self._tap = session.tap("voices", lossless=False, keep=SAMPLE_RATE)
        self._names: Mapping[str, str] = {}
        self._names_at = -math.inf
        self._turns: OrderedDict[str, _Turn] = OrderedDict()
        self._waiting: OrderedDict[str, None] = OrderedDict()
        self._speakers: dict[str, _Speaker] = {}
        self._audio: deque[Run] = deque()
        self._something = trio.Event()
        self._ended = False

    # Following

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
        if self.over.is_set():
            return
        for segment in segments:
            turn = self._turns.get(segment.id)
            if turn is None:
                self._turns[segment.id] = _Turn(segment, conversation, offset)
            else:
                turn.segment, turn.conversation, turn.offset = segment, conversation, offset
            self._waiting[segment.id] = None
        for gone in deleted:
            self._turns.pop(gone, None)
            self._waiting.pop(gone, None)
        while len(self._turns) > SEGMENTS:
            oldest, _ = self._turns.popitem(last=False)
            if self._waiting.pop(oldest, True) is None:
                self._parent.outcomes["too_late"] += 1
        self._something.set()

    def ended(self) -> None:
        """See `Following`."""
        self._ended = True
        self._something.set()

    # Its tasks

    async def run(self) -> None:
        """Until the session is over and all that was said in it was looked at."""
        try:
            with self._tap:
                await self._identify()
        except DatabaseUnavailable as error:
            log.warning("identifying.stopped", error=str(error))
        finally:
            self.over.set()

    async def _identify(self) -> None:
        if not (await self._parent.voices.known(self._session.uid) or await self._people()):
            return
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._hear)
            await self._look()
            nursery.cancel_scope.cancel()

    async def _people(self) -> Mapping[str, str]:
        """The names of whom the user knows, a few seconds old."""
        if trio.current_time() - self._names_at > self._parent.age:
            self._names = await self._parent.people.names(self._session.uid)
            self._names_at = trio.current_time()
        return self._names

    async def _hear(self) -> None:
        """Keep the last of the audio."""
        while True:
            run = await self._tap.read(RUN)
            if not run.samples:
                return
            self._audio.append(run)
            while self._audio[-1].position - self._audio[0].position > KEPT:
                self._audio.popleft()

    async def _look(self) -> None:
        while True:
            while self._waiting:
                id, _ = self._waiting.popitem(last=False)
                turn = self._turns.get(id)
                if turn is None:
                    continue
                try:
                    await self._turn(turn)
                except (DatabaseUnavailable, BlobsUnavailable) as error:
                    log.warning("identifying.failed", error=str(error))
            if self._ended:
                return
            self._something = trio.Event()
            await self._something.wait()

    async def _turn(self, turn: _Turn) -> None:
        """What a segment says of who its speaker is, by their voice and by what is said."""
        segment = turn.segment
        if segment.is_user or segment.person_id is not None:
            await self._learn(turn)
            return
        self._suggest_by_name(turn, await self._people())
        known = await self._parent.voices.known(self._session.uid)
        if not known:
            return
        speaker = self._speakers.setdefault(segment.speaker, _Speaker(nothing()))
        if await self._listen_to(speaker, turn):
            speaker.decision = decide(speaker.heard.voice, known, self._parent.rules)
            self._parent.outcomes["named" if speaker.sure else "unknown"] += 1
        if speaker.decision is not None and speaker.decision.verdict != "too_short":
            await self._apply(segment.speaker, speaker.decision)

    async def _learn(self, turn: _Turn) -> None:
        """Somebody named a speaker whom we had not: what was heard of the segment is a sample of their voice."""
        person = turn.segment.person_id
        if turn.settled or person is None:
            return
        turn.settled = True
        start, end = self._span(turn)
        pcm = self._samples(max(start, end - LONGEST), end)
        if pcm is not None and len(pcm) >= self._parent.rules.least_seconds * SAMPLE_RATE:
            source = {"conversation_id": turn.conversation.id, "segment_id": turn.segment.id}
            await self._parent.voices.learn(self._session.uid, person, pcm, source)

    async def _listen_to(self, speaker: _Speaker, turn: _Turn) -> bool:
        """Hear what is new in a segment, unless the speaker is known and was heard not long ago."""
        start, end = self._span(turn)
        start = max(start, turn.heard_until, end - LONGEST)
        if end - start < SHORTEST:
            return False
        turn.heard_until = end
        speaker.passed += (end - start) / SAMPLE_RATE
        if speaker.sure and speaker.passed < AGAIN:
            return False
        pcm = self._samples(start, end)
        if pcm is None:
            self._parent.outcomes["too_late"] += 1
            return False
        urgency = Urgency.LATER if speaker.sure else Urgency.KNOWN if speaker.decision else Urgency.NEW
        windows = await self._parent.encoding.vectors(pcm, urgency)
        if windows is None:
            self._parent.outcomes["given_up"] += 1
            return False
        speaker.passed = 0.0
        speaker.heard.add(mean_direction(windows), len(pcm) / SAMPLE_RATE)
        return True

    @staticmethod
    def _span(turn: _Turn) -> tuple[int, int]:
        """From sample to sample of the session."""
        start, end = turn.segment.start - turn.offset, turn.segment.end - turn.offset
        return max(0, round(start * SAMPLE_RATE)), round(end * SAMPLE_RATE)

    def _samples(self, start: int, end: int) -> Samples | None:
        """The audio from sample to sample, but for an end that is not there yet; None when it is gone."""
        pieces = []
        at = start
        for run in self._audio:
            if run.position <= at < run.position + run.samples:
                upto = min(end, run.position + run.samples)
                pcm = np.frombuffer(run.pcm, "<i2")
                pieces.append(pcm[at - run.position : upto - run.position])
                at = upto
        return np.concatenate(pieces) if at > end - 2 * RUN and pieces else None

    # What follows from it

    async def _apply(self, label: str, decision: Decision) -> None:
        """Name all segments of a speaker that nobody has named, where they are."""
        turns = [one for one in self._turns.values() if one.segment.speaker == label and not one.settled]
        person = decision.person
        for conversation in {turn.conversation.id for turn in turns}:
            of_it = [turn for turn in turns if turn.conversation.id == conversation]
            await self._name([turn.segment.id for turn in of_it], conversation, decision)
            for turn in of_it:
                turn.settled = person is not None
        if person is not None and person != OWNER and turns:
            self._suggest(turns[-1], person, (await self._people()).get(person, ""))

    async def _name(self, ids: Sequence[str], conversation_id: str, decision: Decision) -> None:
        uid, person, parent = self._session.uid, decision.person, self._parent
        await parent.decisions.decided(uid, conversation_id, dict.fromkeys(ids, decision), parent.now())
        if person is None:
            return
        who = Speaker(is_user=True) if person == OWNER else Speaker(person_id=person)
        edit = SegmentEdit(ids=tuple(ids), speaker=who, unnamed_only=True)
        gone = await parent.edit(uid, conversation_id, edit)
        left = tuple(id for id in ids if id not in (gone or ()))
        if gone and left:  # merged into others meanwhile
            await parent.edit(uid, conversation_id, replace(edit, ids=left))

    def _suggest_by_name(self, turn: _Turn, names: Mapping[str, str]) -> None:
        found = introduced(turn.segment.text, list(names.values()))
        if found is None or turn.suggested:
            return
        turn.suggested = True
        person = next((id for id, name in names.items() if name == found.name), "")
        self._suggest(turn, person, found.name)

    def _suggest(self, turn: _Turn, person: str, name: str) -> None:
        segment = turn.segment
        self._session.notify(SpeakerLabelSuggestion(segment.speaker_id, person, name, segment.id))
