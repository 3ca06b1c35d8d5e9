"""The conversation as clients and webhooks see it."""

import json

import msgspec
import pytest

from engine.conversation.document import conversation_document, iso_time
from engine.store import ConversationRow
from engine.wire import Segment

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
ROW = ConversationRow(
    uid="alice",
    id="c1",
    status="completed",
    created_at=0,
    started_at=1_500_000,
    finished_at=1_700_000_000_000_001,
    last_speech_at=0,
    timeout_seconds=120,
    source="omi",
    language="en",
)


def test_every_field_is_there_and_the_owner_is_not() -> None:
    document = json.loads(msgspec.json.encode(conversation_document(ROW, [])))
    assert document.keys() == FIELDS
    assert "alice" not in json.dumps(document)
    assert document["transcript_segments"] == []
    assert document["source"] == "omi"


def test_segments_are_written_as_on_the_socket() -> None:
    segment = Segment(id="s1", text="Hello.", start=0.25, end=1.0, speaker="SPEAKER_01")
    document = json.loads(msgspec.json.encode(conversation_document(ROW, [segment])))
    assert document["transcript_segments"] == [json.loads(msgspec.json.encode(segment))]


def test_an_empty_structure_is_complete_and_what_is_known_replaces_it() -> None:
    empty = conversation_document(ROW, [])["structured"]
    assert empty == {
        "title": "",
        "overview": "",
        "emoji": "🧠",
        "category": "other",
        "action_items": [],
        "events": [],
    }
    titled = msgspec.structs.replace(ROW, structured={"title": "Lunch"})
    assert conversation_document(titled, [])["structured"] == {**empty, "title": "Lunch"}
    assert conversation_document(ROW, [])["structured"] == empty


@pytest.mark.parametrize(
    ("microseconds", "text"),
    [
        (0, "1970-01-01T00:00:00+00:00"),
        (1_700_000_000_250_000, "2023-11-14T22:13:20.250000+00:00"),
        (1_700_000_000_000_001, "2023-11-14T22:13:20.000001+00:00"),
        (-1, "1969-12-31T23:59:59.999999+00:00"),
    ],
)
def test_times_are_iso_8601_in_utc_to_the_microsecond(microseconds: int, text: str) -> None:
    assert iso_time(microseconds) == text
