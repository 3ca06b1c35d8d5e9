"""What a session adds to its conversation: words become segments that are merged, kept, and then sent.

Operations: `enter` the conversation joined, `move_to` the one that follows it; `words`, `interim` and `suggested`
bring what was said; `silence_passed` tells of silences on the audio's timeline.
Invariants: a segment is in the journal before it is queued for the client. Times are the conversation's: the
session's own, plus where the session's audio began in it.
Bounded: it keeps no segments, only silences as long as the conversation timeout that no word has passed yet.
"""

import math
from collections import deque
from collections.abc import Callable, Sequence
from time import monotonic_ns
from uuid import uuid4

import msgspec
import trio
from msgspec.structs import replace

from engine.listen.channels import CallAudio
from engine.listen.following import Followings
from engine.listen.naming import SpeakerNames
from engine.listen.outbox import Outbox
from engine.listen.pipeline import Pipeline
from engine.listen.ports import OpenConversation, Participant, Translator, WallClock
from engine.listen.relabelling import Relabelling
from engine.listen.stages import Passage, no_audio
from engine.metrics import Metrics
from engine.moments import SECOND
from engine.stt.vendor import SAMPLE_RATE, Vendor
from engine.transcript import merge, words_to_segments
from engine.transcript.words import Word
from engine.wire.client_messages import SuggestedTranscript
from engine.wire.messages import ConversationSession, InterimSegments, Segment, speaker_label
from engine.wire.parameters import ListenParameters

INTERIM_SPACING = 0.2
"""Seconds between two interim results; those in between are not worth sending."""

OWN_CHANNEL = 0
"""The channel of a call on which the user speaks."""


class _Break(msgspec.Struct, frozen=True):
    """A silence as long as the conversation timeout, in samples: speech ended, speech began."""

    ended: int
    began: int


def _new_id() -> str:
    return str(uuid4())


class Record:
    """One session's part in its conversations."""

    def __init__(
        self,
        participant: Participant,
        parameters: ListenParameters,
        audio: Pipeline | CallAudio,
        outbox: Outbox,
        wall_clock: WallClock,
        metrics: Metrics,
        followings: Followings,
        translator: Translator | None = None,
    ) -> None:
        self.conversation: OpenConversation | None = None
        self.joined = trio.Event()
        self.segments = 0
        self.names = SpeakerNames()
        self._participant = participant
        self._parameters = parameters
        self._audio = audio
        self._outbox = outbox
        self._wall_clock = wall_clock
        self._followings = followings
        self._translator = translator
        self._latency = metrics.segment_latency
        self._receive, self._decode, self._waiting, self._vendor, self._merge = map(
            metrics.stage, ("receive", "decode", "queue", "vendor", "merge")
        )
        self._origin: int | None = None
        self.began_at: int | None = None
        self._breaks: deque[_Break] = deque()
        self._next_interim = -math.inf
        self._unused_ids: list[str] = []
        self._relabelling = Relabelling()
        self._before_keeping: Callable[[], None] | None = None

    def before_keeping(self, callback: Callable[[], None]) -> None:
        """Call `callback` whenever words are about to be kept; `segments` counts theirs already."""
        self._before_keeping = callback

    def begin(self) -> None:
        """The client's first audio or transcript is here: its timeline begins now."""
        if self.began_at is None:
            self.began_at = self._wall_clock()

    # The conversation

    def enter(self, conversation: OpenConversation) -> None:
        """From now on this is the session's conversation."""
        if conversation is self.conversation:
            return
        self.conversation = conversation
        self._relabelling.forget()
        self.joined.set()
        self._outbox.event(
            ConversationSession(
                conversation_id=conversation.id,
                status="in_progress",
                recording_session_id=self._participant.id,
                lifecycle_version=1,
                lifecycle_phase="recording",
                lifecycle_sequence=len(conversation.revisions),
            )
        )
        self._followings.entered(conversation, self._origin or 0)

    def move_to(self, conversation: OpenConversation) -> None:
        """The last one ended now, by the clock or because somebody asked."""
        self._breaks.clear()
        self._begin_at(conversation, self._audio.received)

    def show(self, conversation: OpenConversation, segments: Sequence[Segment]) -> None:
        """Tell the client, and whoever follows, what somebody else changed of the session's conversation."""
        if conversation is self.conversation:
            self._tell(conversation, segments)

    def same_speaker(self, gone: int, kept: int) -> None:
        """Two numbers are one speaker's: their segments are changed, kept, and told again."""
        self.names.join(speaker_label(gone), speaker_label(kept))
        conversation = self.conversation
        if conversation is None:
            return
        changed = self._relabelling.relabelled(gone, kept, self._audio.owner)
        done = conversation.rewrite(self._participant, changed)
        if done:
            self._tell(conversation, done)

    def _tell(self, conversation: OpenConversation, segments: Sequence[Segment]) -> None:
        self._relabelling.refresh(segments)
        self._outbox.segments(segments)
        self._followings.changed(conversation, segments, (), self._offset_seconds())

    def leave(self) -> None:
        """The session is over."""
        if self.conversation is not None:
            self.conversation.leave(self._participant)

    def heard(self) -> None:
        """Speech or silence went on."""
        if self.conversation is not None:
            self.conversation.heard()

    def _begin_at(self, conversation: OpenConversation, position: int) -> None:
        """A new conversation, whose time 0 is sample `position` of this session."""
        self._origin = position
        self._audio.speech.forget()
        self.enter(conversation)

    def _current(self) -> OpenConversation:
        assert self.conversation is not None, "nothing is said before the session has joined"
        return self.conversation

    def _offset_seconds(self) -> float:
        """What is added to this session's times to have the conversation's."""
        if self._origin is not None:
            return -self._origin / SAMPLE_RATE
        conversation = self._current()
        began = self.began_at or self._wall_clock()
        if not conversation.revisions:
            conversation.start_at(self._participant, began)
        # Audio may come before its conversation was made: then its first sample is the conversation's time 0.
        return max(began - conversation.started_at, 0) / SECOND

    # What is said

    def silence_passed(self, ended: int, began: int) -> None:
        """Audio may come faster than the clock, so silences are measured in samples, too."""
        if began - ended >= self._parameters.conversation_timeout * SAMPLE_RATE:
            self._breaks.append(_Break(ended, began))

    def words(self, words: Sequence[Word], vendor: Vendor) -> None:
        """Final words; those after a long silence belong to another conversation."""
        while words and self._breaks and words[-1].end > self._breaks[0].began:
            pause = self._breaks.popleft()
            before = [word for word in words if word.end <= pause.began]
            self._publish_words(before, vendor)
            words = words[len(before) :]
            self._split(pause)
        self._publish_words(words, vendor)

    def interim(self, words: Sequence[Word], vendor: Vendor) -> None:
        """The open utterance so far; sent, but not more often than every `INTERIM_SPACING`, and never kept."""
        now = trio.current_time()
        if now < self._next_interim:
            return
        self._next_interim = now + INTERIM_SPACING
        self._outbox.event(InterimSegments(segments=self.names.named(self._to_segments(words, vendor))))

    def suggested(self, message: SuggestedTranscript) -> None:
        """What the client transcribed itself."""
        passage = no_audio()
        self.begin()
        self._audio.speech.heard_elsewhere()
        self._publish(message.to_segments(_new_id, offset_seconds=self._offset_seconds()), passage)

    def _split(self, pause: _Break) -> None:
        """The conversation's timeout passed inside the audio: what follows is another conversation."""
        position = pause.ended + self._parameters.conversation_timeout * SAMPLE_RATE
        self._begin_at(self._current().split(self._participant), position)

    def _publish_words(self, words: Sequence[Word], vendor: Vendor) -> None:
        if not words:
            return
        passage = self._audio.passage(words[-1].end)
        self._receive.observe(passage.receive / 1e9)
        self._decode.observe(passage.decode / 1e9)
        self._waiting.observe(passage.queue / 1e9)
        self._vendor.observe(passage.vendor / 1e9)
        segments = self._to_segments(words, vendor)
        kept_at = self._publish(segments, passage)
        given_out = self._current().revisions
        self._unused_ids = [segment.id for segment in segments if segment.id not in given_out]
        self._latency.observe((passage.latency + kept_at - passage.told_at) / 1e9)

    def _next_id(self) -> str:
        """An id that no segment has: most words join the segment before them, which leaves one unused."""
        return self._unused_ids.pop() if self._unused_ids else _new_id()

    def _to_segments(self, words: Sequence[Word], vendor: Vendor) -> tuple[Segment, ...]:
        segments = words_to_segments(
            words,
            offset_seconds=self._offset_seconds(),
            provider=vendor.provider,
            new_id=self._next_id,
            speech_profile_processed=not self._audio.preroll_pending(vendor),
        )
        if any(s.start < 0 or s.end < 0 for s in segments):  # a word may have begun before its conversation
            segments = tuple(replace(s, start=max(s.start, 0.0), end=max(s.end, 0.0)) for s in segments)
        owner = OWN_CHANNEL if self._parameters.multi_channel else self._audio.owner
        if owner is None:
            return segments
        return tuple(replace(s, is_user=s.speaker_id == owner) for s in segments)

    def _publish(self, new: tuple[Segment, ...], passage: Passage) -> int:
        """Merge into the conversation, keep, then send. Returns when they were kept (CLOCK_MONOTONIC, ns)."""
        conversation = self._current()
        revisions = conversation.revisions
        merged = merge(conversation.tail, self.names.named(new), sent=revisions)
        self.segments += sum(segment.id not in revisions for segment in merged.changed) - len(merged.deleted)
        if self._before_keeping is not None:
            self._before_keeping()
        speech_at = self._wall_clock() - int((self._audio.speech.since() or 0.0) * SECOND)
        conversation.publish(self._participant, merged, speech_at)
        kept_at = monotonic_ns()
        self._merge.observe((kept_at - passage.told_at) / 1e9)
        self._relabelling.note(merged.changed, merged.deleted)
        self._outbox.deleted(merged.deleted)
        if self._parameters.timing:
            timing = passage.timing(kept_at)
            self._outbox.segments([replace(segment, timing=timing) for segment in merged.changed])
        else:
            self._outbox.segments(merged.changed)
        self._followings.changed(conversation, merged.changed, merged.deleted, self._offset_seconds())
        if self._translator is not None:
            language = self._parameters.language
            self._translator.offer(self._participant, conversation, merged.changed, language)
        return kept_at
