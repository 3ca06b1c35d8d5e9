"""The full conversation as events, REST and webhooks show it, and the events that carry it.

Names and shapes are those of the Omi backend. Every field is always written: clients read them without asking whether
they are there. `engine.conversation.document` fills them in.
"""

from datetime import datetime
from typing import Any

import msgspec

from engine.wire.messages import Event, Segment

__all__ = [
    "ActionItemDocument",
    "AppResult",
    "ConversationDocument",
    "EventDocument",
    "Geolocation",
    "MemoryCreated",
    "MemoryProcessingStarted",
    "PhotoDocument",
    "PluginResult",
    "StructuredDocument",
]


class ActionItemDocument(msgspec.Struct, frozen=True, kw_only=True):
    """Something to be done, as it stands in its conversation."""

    description: str
    completed: bool = False
    created_at: datetime | None = None
    updated_at: datetime | None = None
    due_at: datetime | None = None
    completed_at: datetime | None = None
    conversation_id: str | None = None


class EventDocument(msgspec.Struct, frozen=True, kw_only=True):
    """Something for the calendar; `duration` in minutes. `created`: it is in the user's calendar."""

    title: str
    description: str = ""
    start: datetime
    duration: int = 30
    created: bool = False


class StructuredDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What a conversation was about; empty until it was processed."""

    title: str = ""
    overview: str = ""
    emoji: str = "🧠"
    category: str = "other"
    action_items: tuple[ActionItemDocument, ...] = ()
    events: tuple[EventDocument, ...] = ()


class Geolocation(msgspec.Struct, frozen=True, kw_only=True):
    """Where a conversation took place, in degrees."""

    google_place_id: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    address: str | None = None
    location_type: str | None = None


class PhotoDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A picture; `base64` is the file."""

    id: str
    base64: str
    description: str | None = None
    created_at: datetime
    discarded: bool = False


class AppResult(msgspec.Struct, frozen=True, kw_only=True):
    """What an app made of the conversation."""

    app_id: str | None = None
    content: str


class PluginResult(msgspec.Struct, frozen=True, kw_only=True):
    """As `AppResult`, under the name that older clients read."""

    plugin_id: str | None = None
    content: str


class ConversationDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation with all that is kept of it, but whose it is."""

    id: str
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    source: str | None = None
    language: str | None = None
    structured: StructuredDocument = StructuredDocument()
    transcript_segments: tuple[Segment, ...] = ()
    geolocation: Geolocation | None = None
    photos: tuple[PhotoDocument, ...] = ()
    audio_files: tuple[dict[str, Any], ...] = ()
    private_cloud_sync_enabled: bool = False
    apps_results: tuple[AppResult, ...] = ()
    suggested_summarization_apps: tuple[str, ...] = ()
    plugins_results: tuple[PluginResult, ...] = ()
    external_data: dict[str, Any] | None = None
    app_id: str | None = None
    discarded: bool = False
    visibility: str = "private"
    starred: bool = False
    processing_memory_id: str | None = None
    processing_conversation_id: str | None = None
    status: str = "completed"
    is_locked: bool = False
    data_protection_level: str = "standard"
    folder_id: str | None = None


class MemoryProcessingStarted(Event, tag="memory_processing_started", frozen=True):
    """A conversation ended and is being processed."""

    memory: ConversationDocument
    messages: tuple[dict[str, Any], ...] | None = ()


class MemoryCreated(Event, tag="memory_created", frozen=True):
    """A conversation was processed, also when it was discarded (`memory.discarded`)."""

    memory: ConversationDocument
    messages: tuple[dict[str, Any], ...] | None = ()
