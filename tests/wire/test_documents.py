"""The events that carry a whole conversation."""

import json
from datetime import UTC, datetime

import pytest

from engine.wire import ConversationDocument, Event, MemoryCreated, MemoryProcessingStarted, encode

DOCUMENT = ConversationDocument(id="c1", created_at=datetime(2026, 11, 21, 20, 18, tzinfo=UTC))

# Of the Omi backend: what clients read without asking whether it is there.
# fmt: off
FIELDS = {
    "id", "created_at", "started_at", "finished_at", "source", "language", "structured", "transcript_segments",
    "geolocation", "photos", "audio_files", "private_cloud_sync_enabled", "apps_results",
    "suggested_summarization_apps", "plugins_results", "external_data", "app_id", "discarded", "visibility",
    "starred", "processing_memory_id", "processing_conversation_id", "status", "is_locked",
    "data_protection_level", "folder_id",
}
# fmt: on


@pytest.mark.parametrize(
    ("event", "kind", "messages"),
    [
        (MemoryProcessingStarted(DOCUMENT), "memory_processing_started", []),
        (MemoryCreated(DOCUMENT, None), "memory_created", None),
    ],
)
def test_events_carry_a_conversation_with_every_field(event: Event, kind: str, messages: object) -> None:
    text = encode(event)
    assert text.startswith('{"type":')
    wire = json.loads(text)
    assert (wire.keys(), wire["type"], wire["messages"]) == ({"type", "memory", "messages"}, kind, messages)
    assert wire["memory"].keys() == FIELDS
    assert wire["memory"]["created_at"] == "2026-11-21T20:18:00Z"
    assert wire["memory"]["structured"] == {
        "title": "",
        "overview": "",
        "emoji": "🧠",
        "category": "other",
        "action_items": [],
        "events": [],
    }
