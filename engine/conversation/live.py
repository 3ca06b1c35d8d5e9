"""A conversation in progress, with or without a session that writes to it.

Operations: sessions `join` and `leave`, `publish` segments and say when they `heard` something; the lifecycle asks
`remaining`, edits by hand `amend`.
Invariants: a segment is in a journal before `publish` returns; `revisions` names every segment given out; the
conversation is over once `closed` is true, and nothing is published to it after that; once `over` is set, it is
in the database with all that was said in it, to be processed, or, `removed`, no more.
Bounded by its own segments: an id and a number each. The segments themselves are in the database, but the last.
"""

import math
from collections.abc import Callable, Sequence
from types import MappingProxyType

import trio
from msgspec.structs import replace

from engine.listen.ports import OpenConversation, Participant
from engine.store.records import (
    ConversationRestarted,
    ConversationRow,
    JournalRecord,
    SegmentsChanged,
    SegmentsDeleted,
)
from engine.transcript import Merged
from engine.wire.messages import Segment, Translation

ROUNDING = 0.001
"""Seconds by which a deadline that was reckoned twice may differ."""

Keep = Callable[[Participant, JournalRecord], None]
Split = Callable[["LiveConversation", Participant], OpenConversation]


class LiveConversation:
    """One user's conversation in progress. Implements `OpenConversation`."""

    def __init__(self, row: ConversationRow, *, silent_for: float, keep: Keep, split: Split) -> None:
        """`silent_for`: seconds since its last speech (or since it was opened)."""
        self.row = row
        self.tail: Segment | None = None
        self.participants: dict[str, Participant] = {}
        self.closed = False
        self.removed = False
        self.over = trio.Event()
        self.changed = trio.Event()
        self._revisions: dict[str, int] = {}
        self._photos = 0
        self._photo_at = -math.inf
        self._next_look = -math.inf
        self._quiet_since = trio.current_time() - silent_for
        self._keep = keep
        self._split = split

    def recover(self, segments: Sequence[Segment], photos: int) -> None:
        """Take up again what an earlier process kept."""
        self._photos = photos
        self._revisions.update((segment.id, segment.revision) for segment in segments)
        self.tail = segments[-1] if segments else None

    @property
    def id(self) -> str:
        """See `OpenConversation`."""
        return self.row.id

    @property
    def started_at(self) -> int:
        """See `OpenConversation`."""
        return self.row.started_at

    @property
    def revisions(self) -> MappingProxyType[str, int]:
        """See `OpenConversation`."""
        return MappingProxyType(self._revisions)

    @property
    def empty(self) -> bool:
        """Whether nothing was said in it and nothing is to be seen."""
        return not (self._revisions or self._photos)

    def pictured(self, by: Participant, moment: int) -> None:
        """See `OpenConversation`."""
        self._photos += 1
        self._photo_at = trio.current_time()
        finished_at = max(moment, self.row.finished_at)
        self.row = replace(self.row, finished_at=finished_at, last_speech_at=finished_at)
        self._keep(by, SegmentsChanged(self.row.uid, self.id, (), finished_at, finished_at))

    def start_at(self, by: Participant, moment: int) -> None:
        """See `OpenConversation`."""
        if self.empty and moment > self.row.started_at:
            self.row = replace(self.row, started_at=moment)
            self._keep(by, ConversationRestarted(self.row.uid, self.id, moment))

    def publish(self, by: Participant, merged: Merged, speech_at: int) -> None:
        """See `OpenConversation`. Raises `JournalFull` when the disk takes no more."""
        if merged.changed or merged.deleted:
            finished_at = max(speech_at, self.row.finished_at)
            self.row = replace(self.row, finished_at=finished_at, last_speech_at=finished_at)
            self._keep(by, SegmentsChanged(self.row.uid, self.id, merged.changed, finished_at, finished_at))
        if merged.deleted:
            self._keep(by, SegmentsDeleted(self.row.uid, self.id, merged.deleted))
        for segment in merged.changed:
            self._revisions[segment.id] = segment.revision
        for gone in merged.deleted:
            self._revisions.pop(gone, None)
        if merged.segments:
            self.tail = merged.segments[-1]

    def translate(
        self, by: Participant, segment: Segment, translations: tuple[Translation, ...]
    ) -> Segment | None:
        """See `OpenConversation`."""
        here = not self.closed and by.id in self.participants
        if not here or self._revisions.get(segment.id) != segment.revision:
            return None
        changed = replace(segment, translations=translations, revision=segment.revision + 1)
        times = self.row.finished_at, self.row.last_speech_at
        self._keep(by, SegmentsChanged(self.row.uid, self.id, (changed,), *times))
        self.amend([changed])
        return changed

    def rewrite(self, by: Participant, segments: Sequence[Segment]) -> Sequence[Segment]:
        """See `OpenConversation`."""
        here = not self.closed and by.id in self.participants
        kept = tuple(s for s in segments if here and self._revisions.get(s.id) == s.revision - 1)
        if kept:
            times = self.row.finished_at, self.row.last_speech_at
            self._keep(by, SegmentsChanged(self.row.uid, self.id, kept, *times))
            self.amend(kept)
        return kept

    def amend(self, segments: Sequence[Segment]) -> None:
        """See `OpenConversation`."""
        self._revisions.update((segment.id, segment.revision) for segment in segments)
        for segment in segments:
            if self.tail is not None and self.tail.id == segment.id:
                self.tail = segment

    def split(self, by: Participant) -> OpenConversation:
        """See `OpenConversation`."""
        return self._split(self, by)

    # Silence

    def join(self, participant: Participant) -> None:
        """A session writes to this conversation from now on."""
        self.participants[participant.id] = participant
        self.changed.set()

    def leave(self, by: Participant) -> None:
        """See `OpenConversation`."""
        silence = by.silence()
        if silence is not None:
            self._quiet_since = max(self._quiet_since, trio.current_time() - silence)
        self.participants.pop(by.id, None)
        self.changed.set()

    def heard(self) -> None:
        """See `OpenConversation`. Cheap: this is called several times a second."""
        remaining = self.remaining()
        if remaining is not None and trio.current_time() + remaining < self._next_look - ROUNDING:
            self.changed.set()

    def restart(self, moment: int) -> None:
        """The timeout passed without a word: count the silence, and the conversation, from now (`moment`)."""
        self._quiet_since = trio.current_time()
        for participant in self.participants.values():
            self.start_at(participant, moment)
            participant.move_to(self)

    @property
    def silence(self) -> float:
        """Seconds since the end of the last speech in it or its last photo, or since it was opened."""
        now = trio.current_time()
        silences = [s for p in self.participants.values() if (s := p.silence()) is not None]
        return (
            min(*silences, now - self._photo_at) if silences else now - max(self._quiet_since, self._photo_at)
        )

    def remaining(self) -> float | None:
        """Seconds of silence until the timeout; None while speech waits to be transcribed."""
        for participant in self.participants.values():
            if participant.speech_waiting:
                return None
        return self.row.timeout_seconds - self.silence

    @property
    def silent(self) -> bool:
        """Whether the timeout has passed."""
        remaining = self.remaining()
        return remaining is not None and remaining <= 0

    async def wait(self) -> None:
        """Wait until the timeout may have passed, or something changed.

        While speech waits to be transcribed nobody knows; then another look is taken after the timeout at the
        latest, so that `heard` need not wake anybody each time that somebody has spoken.
        """
        remaining = self.remaining()
        self.changed = trio.Event()
        if remaining is None:
            remaining = float(self.row.timeout_seconds)
        self._next_look = trio.current_time() + max(remaining, 0)
        with trio.move_on_at(self._next_look):
            await self.changed.wait()
