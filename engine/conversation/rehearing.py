"""Who spoke in a conversation that is over, heard again in its recording, where one was kept.

Operations: `decide` compares every speaker with the voices that are known now; `learn` takes samples of people whom
somebody has named in it.
Invariants: what was said by hand stays, and what something else than a voice has said (a channel, the client). Nobody
is listened to whose user has not enrolled; and when a conversation is first processed only if its session looked for
voices at all. By voice nobody is two of its speakers, nor one whom somebody has said another voice is
(`at_most_one`). A voice heard again takes the place of what was heard live, which was less of it.
Bounded: `SPEAKERS` speakers, of each `HEARD` samples, the longest segments first; `speaker.again_timeout` for a
conversation; of each person `LEARNT` samples.
Cost: what a voice costs (see `engine.speaker.encoding`, after all that is live), and reading the pieces it is in.
Cancellation: what was named so far stays; calling again does no harm.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import msgspec
import numpy as np
import trio
from numpy.typing import NDArray

from engine._config_speaker import Speaker as Settings
from engine.conversation.identification import LEARNT, LONGEST, SHORTEST, person_of, rules_of, speaker_of
from engine.conversation.ports import Clock
from engine.conversation.recording_reader import Blobs, RecordingReader
from engine.conversation.recording_timeline import Placed, lay_out
from engine.log import get_logger
from engine.off_loop import OffLoop
from engine.speaker.embedding import Voice, mean_direction
from engine.speaker.encoding import Encoding, Urgency
from engine.speaker.matching import Decision, Known, Spoken, at_most_one, decide
from engine.speaker.roster import Heard, nothing
from engine.store.edits import SegmentEdit
from engine.store.errors import BlobsUnavailable
from engine.store.records import ConversationRow
from engine.store.user_records import RecordingRow, VoiceRow
from engine.transcript.timeline import SAMPLE_RATE
from engine.wire.messages import Segment, Speaker

__all__ = ["Rehearing"]

log = get_logger(__name__)

SPEAKERS = 32
HEARD = 30 * SAMPLE_RATE

Samples = NDArray[np.int16]


class Voices(Protocol):
    """Whom a user knows by voice; `engine.conversation.voices` implements it."""

    async def known(self, uid: str) -> Sequence[Known]:
        """The user and the people whose voices are known."""
        ...

    async def learn(self, uid: str, person_id: str, pcm: Samples, source: Mapping[str, str]) -> object:
        """Add speech (16 kHz) of somebody the user named."""
        ...

    async def recordings(self, uid: str, person_id: str) -> Sequence[VoiceRow]:
        """What there is of a person, oldest first."""
        ...


class Decisions(Protocol):
    """Where decisions are kept."""

    async def decisions(self, uid: str, conversation_id: str) -> Mapping[str, Any]:
        """Why the segments of a conversation have their speakers, by id."""
        ...

    async def decided(self, uid: str, conversation_id: str, decisions: Mapping[str, Any], now: int) -> None:
        """Keep why segments, by id, have the speakers they have. `now` in µs."""
        ...


class Conversations(Protocol):
    """Conversations in the database."""

    async def get(self, uid: str, id: str) -> ConversationRow | None:
        """The conversation, or None."""
        ...

    async def segments(self, uid: str, id: str) -> list[Segment]:
        """Its segments by start time."""
        ...


class Recordings(Protocol):
    """What was recorded of them."""

    async def of_conversation(self, uid: str, conversation_id: str) -> Sequence[RecordingRow]:
        """The pieces of a conversation, in the order of time."""
        ...


class Edits(Protocol):
    """Changes of them."""

    async def edit_segments(self, uid: str, id: str, edit: SegmentEdit) -> Sequence[str]:
        """Edit segments; those that are not there, with which nothing was changed."""
        ...


class Shelves(Protocol):
    """Where all that lies. `engine.store.Store` is one."""

    @property
    def conversations(self) -> Conversations: ...
    @property
    def recordings(self) -> Recordings: ...
    @property
    def voices(self) -> Decisions: ...
    @property
    def edits(self) -> Edits: ...
    @property
    def blobs(self) -> Blobs: ...


class _Recorded(msgspec.Struct, frozen=True):
    """A conversation with its recording, and why its segments have the speakers they have."""

    row: ConversationRow
    segments: Sequence[Segment]
    decisions: Mapping[str, Decision]
    pieces: Sequence[Placed]
    reader: RecordingReader

    async def hear(self, segment: Segment) -> Samples | None:
        """The beginning of a segment, at most `LONGEST`."""
        start, end = _span(segment)
        return await self.reader.cut(self.pieces, start, min(end, start + LONGEST))


class _Found(msgspec.Struct):
    """What came of hearing: decisions by label, and what was heard for them."""

    decisions: dict[str, Decision] = {}
    voices: dict[str, Voice] = {}


class Rehearing:
    """One per process."""

    def __init__(
        self,
        shelves: Shelves,
        voices: Voices,
        encoding: Encoding,
        settings: Settings,
        off_loop: OffLoop,
        now: Clock,
    ) -> None:
        self._shelves = shelves
        self._voices = voices
        self._encoding = encoding
        self._wanted = settings.identify
        self._rules = rules_of(settings)
        self._patience = settings.again_timeout
        self._off_loop = off_loop
        self._now = now

    async def decide(self, row: ConversationRow) -> None:
        """Before a conversation is processed: name its speakers. Raises `DatabaseUnavailable`."""
        if not await self._voices.known(row.uid):
            return
        it = await self._recorded(row)
        if it is None or not (row.processing_version or _looked_at(it)):
            return
        found = _Found()
        with trio.move_on_after(self._patience) as scope:
            try:
                await self._learn(it)
                await self._hear(it, await self._voices.known(row.uid), found)
            except BlobsUnavailable as error:
                log.warning("rehearing.interrupted", conversation=row.id, error=str(error))
        if scope.cancelled_caught:
            log.warning("rehearing.interrupted", conversation=row.id, seconds=self._patience)
        await self._settle(it, found)

    async def learn(self, uid: str, id: str) -> None:
        """Take samples of people who were named by hand. Raises `DatabaseUnavailable`, `BlobsUnavailable`."""
        row = await self._shelves.conversations.get(uid, id) if self._wanted else None
        it = None if row is None else await self._recorded(row)
        if it is not None:
            await self._learn(it)

    async def _recorded(self, row: ConversationRow) -> _Recorded | None:
        pieces = lay_out(await self._shelves.recordings.of_conversation(row.uid, row.id), row.started_at)
        if not pieces:
            return None
        decisions = await self._shelves.voices.decisions(row.uid, row.id)
        return _Recorded(
            row,
            await self._shelves.conversations.segments(row.uid, row.id),
            {id: msgspec.convert(decision, Decision) for id, decision in decisions.items()},
            pieces,
            RecordingReader(self._shelves.blobs, self._off_loop),
        )

    async def _hear(self, it: _Recorded, known: Sequence[Known], found: _Found) -> None:
        """Find whose the speakers' voices are, who said most first; then whether those named by hand are others."""
        for label, segments in _speakers(it).items():
            voice = await self._voice(it, segments)
            decision = decide(voice, known, self._rules)
            if voice.seconds and decision.verdict != "too_short":
                found.decisions[label], found.voices[label] = decision, voice
        persons = {decision.person for decision in found.decisions.values()}
        for label, segments in _named_by_hand(it).items():
            if _person(segments[-1]) in persons:
                found.voices[label] = await self._voice(it, segments)

    async def _voice(self, it: _Recorded, segments: Sequence[Segment]) -> Voice:
        heard = nothing()
        for segment in _longest(segments):
            await self._add(heard, await it.hear(segment))
        return heard.voice

    async def _settle(self, it: _Recorded, found: _Found) -> None:
        """Name the speakers who were heard, and take back what they show to be another's name."""
        speakers = _speakers(it)
        before = {label: _last_reason(it, segments) for label, segments in speakers.items()}
        known = {label: decision for label, decision in before.items() if decision is not None}
        named = _named_by_hand(it)
        by_hand = {
            label: person for label, said in named.items() if (person := _person(said[-1])) is not None
        }
        spoken = {
            label: Spoken(_seconds((speakers | named)[label]), voice) for label, voice in found.voices.items()
        }
        weighed = at_most_one({**known, **found.decisions}, self._rules, by_hand, spoken)
        for label, decision in weighed.items():
            if label in found.decisions or decision != known[label]:
                await self._name(it, speakers[label], decision)

    async def _name(self, it: _Recorded, segments: Sequence[Segment], decision: Decision) -> None:
        """One speaker's."""
        uid, id, who = it.row.uid, it.row.id, speaker_of(decision)
        ids = [
            one.id
            for one in segments
            if (one.is_user, one.person_id) != (who.is_user, who.person_id)
            or not one.speech_profile_processed
        ]
        if ids:
            await self._shelves.edits.edit_segments(
                uid, id, SegmentEdit(ids=tuple(ids), speaker=who, processed=True)
            )
        await self._shelves.voices.decided(uid, id, {one.id: decision for one in segments}, self._now())

    async def _add(self, heard: Heard, pcm: Samples | None) -> None:
        if pcm is None:
            return
        windows = await self._encoding.vectors(pcm, Urgency.LATER)
        if windows is not None:
            heard.add(mean_direction(windows), len(pcm) / SAMPLE_RATE)

    async def _learn(self, it: _Recorded) -> None:
        named = [one for one in it.segments if one.person_id is not None and _by_hand(it, one)]
        for person_id in dict.fromkeys(one.person_id for one in named):
            assert person_id is not None
            sources = [row.source or {} for row in await self._voices.recordings(it.row.uid, person_id)]
            learnt = {one["segment_id"] for one in sources if one.get("conversation_id") == it.row.id}
            theirs = [one for one in named if one.person_id == person_id and one.id not in learnt]
            for segment in _longest(theirs, self._rules.least_seconds)[: max(0, LEARNT - len(learnt))]:
                pcm = await it.hear(segment)
                source = {"conversation_id": it.row.id, "segment_id": segment.id}
                if pcm is not None:
                    await self._voices.learn(it.row.uid, person_id, pcm, source)


def _span(segment: Segment) -> tuple[int, int]:
    """From sample to sample of the conversation."""
    return round(segment.start * SAMPLE_RATE), round(segment.end * SAMPLE_RATE)


def _length(segment: Segment) -> int:
    start, end = _span(segment)
    return end - start


def _longest(segments: Iterable[Segment], least_seconds: float = SHORTEST / SAMPLE_RATE) -> list[Segment]:
    """As many as fill `HEARD`, the longest first, none shorter than `least_seconds`."""
    chosen, room = [], HEARD
    for segment in sorted(segments, key=_length, reverse=True):
        length = min(_length(segment), LONGEST)
        if length < least_seconds * SAMPLE_RATE or length > room:
            break
        chosen.append(segment)
        room -= length
    return chosen


def _looked_at(it: _Recorded) -> bool:
    """Whether its session looked for voices."""
    return bool(it.decisions) or not all(one.speech_profile_processed for one in it.segments)


def _by_hand(it: _Recorded, segment: Segment) -> bool:
    decision = it.decisions.get(segment.id)
    return decision is not None and decision.verdict == "assigned"


def _named_by_hand(it: _Recorded) -> dict[str, list[Segment]]:
    """Segments by speaker, of those whom somebody has named, and said so of all they say."""
    found: dict[str, list[Segment]] = {}
    for segment in it.segments:
        found.setdefault(segment.speaker, []).append(segment)
    return {
        label: segments
        for label, segments in found.items()
        if all(_by_hand(it, one) for one in segments) and _person(segments[-1]) is not None
    }


def _person(segment: Segment) -> str | None:
    """Whom it names."""
    return person_of(Speaker(segment.is_user, segment.person_id))


def _seconds(segments: Sequence[Segment]) -> float:
    return sum(one.end - one.start for one in segments)


def _last_reason(it: _Recorded, segments: Sequence[Segment]) -> Decision | None:
    """What a speaker's voice has shown so far."""
    reasons = [it.decisions[one.id] for one in segments if one.id in it.decisions]
    return reasons[-1] if reasons else None


def _speakers(it: _Recorded) -> dict[str, list[Segment]]:
    """Segments by speaker, of those whose speakers are named by their voices or not at all; who said most first."""
    found: dict[str, list[Segment]] = {}
    for segment in it.segments:
        who, decision = _person(segment), it.decisions.get(segment.id)
        if not _by_hand(it, segment) and who == (decision.person if decision else None):
            found.setdefault(segment.speaker, []).append(segment)
    ranked = sorted(found.items(), key=lambda one: -sum(map(_length, one[1])))
    return dict(ranked[:SPEAKERS])
