"""The rows that others see, and the records of a session's journal.

Times are integer microseconds since the epoch (UTC). Records state facts ("this segment is now so"), never
changes to what was there before, so that applying one twice, or an old one late, does no harm.
"""

from typing import Any

import msgspec

from engine.wire.messages import Segment

IN_PROGRESS, PROCESSING, MERGING, COMPLETED, FAILED = (
    "in_progress",
    "processing",
    "merging",
    "completed",
    "failed",
)

STATUS_RANK = {IN_PROGRESS: 0, PROCESSING: 1, MERGING: 1, COMPLETED: 2, FAILED: 2}
"""Every status of a conversation. A journal record moves a conversation to a higher rank only."""


class ConversationRow(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation without its segments.

    `started_at` is where segment times count from. `last_speech_at` is the end of the last speech on the wall
    clock (of a stub: when it was made); silence of `timeout_seconds` after it ends the conversation. `labels` has the
    "people", "topics", "entities" and "dates" it is found by. `processing_version` counts how often it was processed
    (0: never yet); `failure` says why the last time failed. `deleted_at`: hidden since then, to be erased.
    """

    uid: str
    id: str
    status: str = IN_PROGRESS
    created_at: int
    started_at: int
    finished_at: int
    last_speech_at: int
    timeout_seconds: int
    source: str = "unknown"
    language: str | None = None
    structured: dict[str, Any] = {}
    discarded: bool = False
    visibility: str = "private"
    starred: bool = False
    labels: dict[str, list[str]] = {}
    emotions: str = ""
    apps_results: list[dict[str, Any]] = []
    external_data: dict[str, Any] | None = None
    geolocation: dict[str, Any] | None = None
    app_id: str | None = None
    folder_id: str | None = None
    is_locked: bool = False
    processing_version: int = 0
    failure: str | None = None
    deleted_at: int | None = None


class UsageRow(msgspec.Struct, frozen=True, kw_only=True):
    """What one user used in the hour that begins at `hour`. Seconds are seconds of audio."""

    uid: str
    hour: int
    audio_seconds: float = 0.0
    speech_seconds: float = 0.0
    words: int = 0
    segments: int = 0
    conversations: int = 0
    sessions: int = 0
    vendor_seconds: dict[str, float] = {}


class TokenRow(msgspec.Struct, frozen=True, kw_only=True):
    """A bearer token as its owner may see it: `id` is public, the token itself is not kept. `scopes` None: all."""

    id: str
    uid: str
    label: str
    scopes: list[str] | None = None
    created_at: int
    last_used_at: int | None = None
    expires_at: int | None = None
    revoked_at: int | None = None

    def expired(self, now: int) -> bool:
        """Whether the token's time was over at `now`."""
        return self.expires_at is not None and self.expires_at <= now


class ConversationOpened(msgspec.Struct, frozen=True, tag="opened"):
    """A conversation exists. Changes nothing when it is there already (or was there and has been deleted)."""

    row: ConversationRow


class ConversationRestarted(msgspec.Struct, frozen=True, tag="restarted"):
    """Nothing had been said yet: the conversation, and its segments' times, count from `started_at` on."""

    uid: str
    conversation_id: str
    started_at: int


class SegmentsChanged(msgspec.Struct, frozen=True, tag="segments"):
    """Segments as they are now, new or changed (or none: only the times move). Times never move back."""

    uid: str
    conversation_id: str
    segments: tuple[Segment, ...]
    finished_at: int
    last_speech_at: int


class SegmentsDeleted(msgspec.Struct, frozen=True, tag="deleted"):
    """Segments that are gone for good; their ids never come back."""

    uid: str
    conversation_id: str
    ids: tuple[str, ...]


class ConversationClosed(msgspec.Struct, frozen=True, tag="closed"):
    """A conversation left `in_progress`: it is now `processing`, `completed` or `failed`.

    With `processing` comes the job that does it. `forced`: its owner asked for it, so it is never discarded.
    """

    uid: str
    conversation_id: str
    status: str
    finished_at: int
    discarded: bool = False
    forced: bool = False


class UsageAdded(msgspec.Struct, frozen=True, tag="usage"):
    """Something was used. `id` is unique per user; a second record with the same id adds nothing.

    Its hour is not before the one in which its journal was opened: older ids are forgotten.
    """

    id: str
    row: UsageRow


class UsageSoFar(msgspec.Struct, frozen=True, tag="so_far"):
    """What a portion of usage has come to that is not over; its `UsageAdded`, under the same id, will replace it.

    It counts only when that never came, because the process died: then the last one of a journal does.
    """

    id: str
    row: UsageRow


JournalRecord = (
    ConversationOpened
    | ConversationRestarted
    | SegmentsChanged
    | SegmentsDeleted
    | ConversationClosed
    | UsageAdded
    | UsageSoFar
)


def owner(record: JournalRecord) -> str:
    """The uid that a record is about."""
    if isinstance(record, (ConversationOpened, UsageAdded, UsageSoFar)):  # a union is made anew by each call
        return record.row.uid
    return record.uid
