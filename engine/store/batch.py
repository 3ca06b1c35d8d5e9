"""Records folded together until they are written: what the database must be told, each thing once.

Operations: `add` a record; `parts`, to write in pieces.
Invariants: the order in which records are added does not change the outcome, except between two records that
say different things with the same revision or rank: there the later one counts.
Bounded: by what is not written yet: one entry per segment id, conversation and usage entry (`len`).
Cost: O(1) a segment.
"""

from collections.abc import Iterable, Iterator

import msgspec

from engine.store.records import (
    STATUS_RANK,
    ConversationClosed,
    ConversationOpened,
    ConversationRestarted,
    ConversationRow,
    JournalRecord,
    SegmentsChanged,
    SegmentsDeleted,
    UsageAdded,
    UsageSoFar,
)
from engine.wire.messages import Segment

Key = tuple[str, str]
"""A conversation: (uid, id)."""


class Times(msgspec.Struct):
    """Where a conversation's times (µs) move to, each one forward only."""

    started_at: int = 0
    finished_at: int = 0
    last_speech_at: int = 0


class ConversationChanges(msgspec.Struct):
    """What is new about one conversation. A segment of None was deleted."""

    opened: ConversationRow | None = None
    segments: dict[str, Segment | None] = msgspec.field(default_factory=dict)
    times: Times | None = None
    closed: ConversationClosed | None = None

    def __len__(self) -> int:
        single = (self.opened is not None) + (self.times is not None) + (self.closed is not None)
        return len(self.segments) + single


class Batch:
    """Changes that wait to be written."""

    def __init__(self) -> None:
        self.conversations: dict[Key, ConversationChanges] = {}
        self.usage: dict[Key, UsageAdded] = {}
        self._length = 0

    @classmethod
    def of(cls, records: Iterable[JournalRecord]) -> "Batch":
        """All of `records`, folded."""
        batch = cls()
        for record in records:
            batch.add(record)
        return batch

    def __len__(self) -> int:
        return self._length

    def add(self, record: JournalRecord) -> None:
        """Fold one record in. `UsageSoFar` is for who replays a dead process's journal, not for the database."""
        if isinstance(record, UsageSoFar):
            return
        if isinstance(record, UsageAdded):
            self._length += (record.row.uid, record.id) not in self.usage
            self.usage.setdefault((record.row.uid, record.id), record)
            return
        if isinstance(record, ConversationOpened):
            key = (record.row.uid, record.row.id)
        else:
            key = (record.uid, record.conversation_id)
        changes = self.conversations.get(key)
        if changes is None:
            changes = self.conversations[key] = ConversationChanges()
        before = len(changes)
        _fold(changes, record)
        self._length += len(changes) - before

    def parts(self, limit: int) -> Iterator["Batch"]:
        """The same changes in batches of about `limit` entries, no conversation torn apart."""
        part = Batch()
        for key, changes in self.conversations.items():
            part.conversations[key] = changes
            part._length += len(changes)
            if part._length >= limit:
                yield part
                part = Batch()
        for entry, record in self.usage.items():
            part.usage[entry] = record
            part._length += 1
            if part._length >= limit:
                yield part
                part = Batch()
        if part._length:
            yield part

    def ids(self) -> list[Key]:
        """The (uid, id) of all conversations and usage entries."""
        return [*self.conversations, *self.usage]

    def uids(self) -> set[str]:
        """Whose changes these are."""
        return {uid for uid, _ in self.ids()}


def _fold(
    changes: ConversationChanges,
    record: ConversationOpened
    | ConversationRestarted
    | SegmentsChanged
    | SegmentsDeleted
    | ConversationClosed,
) -> None:
    match record:
        case SegmentsChanged():
            for segment in record.segments:
                _fold_segment(changes.segments, segment)
            changes.times = times = changes.times or Times()
            times.finished_at = max(times.finished_at, record.finished_at)
            times.last_speech_at = max(times.last_speech_at, record.last_speech_at)
        case SegmentsDeleted():
            changes.segments.update(dict.fromkeys(record.ids))
        case ConversationOpened():
            changes.opened = changes.opened or record.row
        case ConversationRestarted():
            changes.times = times = changes.times or Times()
            times.started_at = max(times.started_at, record.started_at)
        case ConversationClosed():
            if changes.closed is None or STATUS_RANK[record.status] >= STATUS_RANK[changes.closed.status]:
                changes.closed = record


def _fold_segment(segments: dict[str, Segment | None], segment: Segment) -> None:
    known = segments.get(segment.id, segment)
    if known is not None and segment.revision >= known.revision:
        segments[segment.id] = segment
