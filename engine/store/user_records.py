"""The rows of what belongs to a user besides conversations. Times are integer microseconds since the epoch (UTC)."""

from typing import Any

import msgspec

__all__ = [
    "ActionItemRow",
    "DaySummaryRow",
    "FolderRow",
    "GoalRow",
    "MemoryRow",
    "MessageRow",
    "PersonRow",
    "PhotoRow",
    "RecordingRow",
    "UserRow",
    "VoiceRow",
]


class ActionItemRow(msgspec.Struct, frozen=True, kw_only=True):
    """Something to be done. `ordinal` is its place in the conversation it came from; `speaker` who is to do it.

    `is_locked`: it came from a conversation that is. `by_owner`: its owner wrote it, or changed something of it.
    """

    uid: str
    id: str
    conversation_id: str | None = None
    ordinal: int = 0
    description: str
    completed: bool = False
    created_at: int
    updated_at: int
    due_at: int | None = None
    completed_at: int | None = None
    speaker: str | None = None
    is_user: bool = False
    exported: bool = False
    export_date: int | None = None
    export_platform: str | None = None
    is_locked: bool = False
    by_owner: bool = False


class MemoryRow(msgspec.Struct, frozen=True, kw_only=True):
    """A durable fact about a user. `user_review`: what its owner said of it, None while nothing.

    `is_locked`: it came from a conversation that is.
    """

    uid: str
    id: str
    conversation_id: str | None = None
    content: str
    category: str = "system"
    visibility: str = "private"
    tags: list[str] = []
    created_at: int
    updated_at: int
    reviewed: bool = False
    user_review: bool | None = None
    manually_added: bool = False
    edited: bool = False
    app_id: str | None = None
    is_locked: bool = False


class PhotoRow(msgspec.Struct, frozen=True, kw_only=True):
    """A picture of a conversation; `image` is the file's bytes. `description` is None until it was looked at.

    `blob`: the name of the blob that has the bytes; None while the row has them.
    """

    uid: str
    conversation_id: str
    id: str
    image: bytes
    description: str | None = None
    created_at: int
    discarded: bool = False
    blob: str | None = None


class RecordingRow(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of a conversation's recording: `samples` of 16 kHz, in `bytes` of a blob.

    Sample 0 of its session was received at `base_at` (µs since the epoch), on the clock of its conversation; the piece
    begins at sample `start` of the session.
    """

    uid: str
    id: str
    conversation_id: str
    base_at: int
    start: int
    samples: int
    bytes: int
    created_at: int


class PersonRow(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody whom the user knows."""

    uid: str
    id: str
    name: str
    created_at: int
    updated_at: int


class VoiceRow(msgspec.Struct, frozen=True, kw_only=True):
    """A recording of somebody's voice: the owner's (`person_id` is `user`) or that of a person they know.

    `name` is its blob's; `vector` is 256 float32 in little-endian order, made by `encoder` from `seconds` of speech.
    `source` says which segment of which conversation it was cut from; None for what was uploaded.
    """

    uid: str
    id: str
    person_id: str
    name: str
    seconds: float
    vector: bytes
    encoder: str
    vendors: list[str] = []
    source: dict[str, str] | None = None
    created_at: int


class FolderRow(msgspec.Struct, frozen=True, kw_only=True):
    """A folder of conversations. `description` says what belongs in it, `place` where it is among the others."""

    uid: str
    id: str
    name: str
    description: str | None = None
    color: str | None = None
    icon: str | None = None
    place: int = 0
    created_at: int
    updated_at: int


class GoalRow(msgspec.Struct, frozen=True, kw_only=True):
    """Something the user wants to reach. `goal_type`: "boolean", "scale" or "numeric"."""

    uid: str
    id: str
    title: str
    goal_type: str = "scale"
    target_value: float
    current_value: float = 0.0
    min_value: float = 0.0
    max_value: float = 10.0
    unit: str | None = None
    is_active: bool = True
    created_at: int
    updated_at: int


class DaySummaryRow(msgspec.Struct, frozen=True, kw_only=True):
    """What a day was like. `date` is in the user's time zone (2026-11-21), `summary` the document that clients read.

    `scheduled`: made when the user's hour came, not by hand.
    """

    uid: str
    id: str
    date: str
    created_at: int
    scheduled: bool = False
    summary: dict[str, Any]


class MessageRow(msgspec.Struct, frozen=True, kw_only=True):
    """One message of the chat. `sender`: "human" or "ai"; `citations`: ids of the conversations it rests on."""

    uid: str
    id: str
    app_id: str | None = None
    sender: str
    type: str = "text"
    text: str
    citations: list[str] = []
    created_at: int


class UserRow(msgspec.Struct, frozen=True, kw_only=True):
    """What a user has set. `time_zone` is an IANA name; `vocabulary` are words that speech to text should know.

    `geolocation` has where they were `at` a time (µs). `daily_summary_hour`: of the local day, 0 to 23.
    """

    uid: str
    name: str = ""
    language: str = ""
    time_zone: str = "UTC"
    single_language_mode: bool = False
    vocabulary: list[str] = []
    private_cloud_sync: bool = False
    store_recording_permission: bool = False
    geolocation: dict[str, Any] | None = None
    daily_summary_enabled: bool = True
    daily_summary_hour: int = 22
    updated_at: int = 0
