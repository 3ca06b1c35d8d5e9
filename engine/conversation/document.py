"""The full conversation as REST, events and webhooks show it, with the field names of the Omi backend."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from engine.store.records import ConversationRow
from engine.wire.messages import Segment

__all__ = ["conversation_document", "iso_time"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# Clients read these without asking whether they are there: what is not extracted is empty, never missing.
_EMPTY_STRUCTURED: dict[str, object] = {
    "title": "",
    "overview": "",
    "emoji": "🧠",
    "category": "other",
    "action_items": [],
    "events": [],
}


def iso_time(microseconds: int) -> str:
    """Microseconds since the epoch as ISO 8601 in UTC: `2026-11-21T20:18:00.250000+00:00`."""
    return (_EPOCH + timedelta(microseconds=microseconds)).isoformat()


def conversation_document(row: ConversationRow, segments: Sequence[Segment]) -> dict[str, object]:
    """Every field of a conversation, ready for `msgspec.json.encode` (segments stay structs).

    The owner's id is not part of it. What this server does not fill in yet is null or empty.
    """
    return {
        "id": row.id,
        "created_at": iso_time(row.created_at),
        "started_at": iso_time(row.started_at),
        "finished_at": iso_time(row.finished_at),
        "source": row.source,
        "language": row.language,
        "structured": _EMPTY_STRUCTURED | row.structured,
        "transcript_segments": list(segments),
        "geolocation": None,
        "photos": [],
        "audio_files": [],
        "private_cloud_sync_enabled": False,
        "apps_results": [],
        "suggested_summarization_apps": [],
        "plugins_results": [],
        "external_data": None,
        "app_id": None,
        "discarded": row.discarded,
        "visibility": row.visibility,
        "starred": row.starred,
        "processing_memory_id": None,
        "processing_conversation_id": None,
        "status": row.status,
        "is_locked": False,
        "data_protection_level": "standard",
        "folder_id": None,
    }
