"""The conversation as clients and webhooks see it."""

import json
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from engine.conversation.document import conversation_document, iso_time, shared_document
from engine.moments import instant
from engine.store import ConversationRow
from engine.store.user_records import ActionItemRow, PhotoRow
from engine.wire import Segment

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


def written(document: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(msgspec.json.encode(document))
    return found


def test_the_owner_is_not_in_it() -> None:
    document = written(conversation_document(ROW, []))
    assert "alice" not in json.dumps(document)
    assert document["transcript_segments"] == []
    assert (document["source"], document["started_at"]) == ("omi", "1970-01-01T00:00:01.500000Z")


def test_segments_are_written_as_on_the_socket() -> None:
    segment = Segment(id="s1", text="Hello.", start=0.25, end=1.0, speaker="SPEAKER_01")
    document = written(conversation_document(ROW, [segment]))
    assert document["transcript_segments"] == [json.loads(msgspec.json.encode(segment))]


def test_what_was_extracted_is_there_with_the_action_items_of_their_own_table() -> None:
    event = {"title": "Lunch", "start": "2026-11-22T12:00:00Z", "duration": 45}
    row = replace(ROW, structured={"title": "Plans", "category": "social", "events": [event]})
    item = ActionItemRow(
        uid="alice",
        id="i1",
        conversation_id="c1",
        description="Book a table",
        created_at=0,
        updated_at=0,
        due_at=2_000_000,
    )
    structured = written(conversation_document(row, [], [item]))["structured"]
    assert (structured["title"], structured["overview"], structured["category"]) == ("Plans", "", "social")
    assert structured["events"] == [event | {"description": "", "created": False}]
    assert structured["action_items"] == [
        {
            "description": "Book a table",
            "completed": False,
            "created_at": "1970-01-01T00:00:00Z",
            "updated_at": "1970-01-01T00:00:00Z",
            "due_at": "1970-01-01T00:00:02Z",
            "completed_at": None,
            "conversation_id": "c1",
        }
    ]


def test_photos_and_what_apps_made_of_it_are_there() -> None:
    row = replace(ROW, apps_results=[{"app_id": "a1", "content": "A haiku."}])
    photo = PhotoRow(uid="alice", conversation_id="c1", id="p1", image=b"\xff\xd8", created_at=0)
    document = written(conversation_document(row, [], (), [photo]))
    assert document["photos"] == [
        {
            "id": "p1",
            "base64": "/9g=",
            "description": None,
            "created_at": "1970-01-01T00:00:00Z",
            "discarded": False,
        }
    ]
    assert document["apps_results"] == [{"app_id": "a1", "content": "A haiku."}]
    assert document["plugins_results"] == [{"plugin_id": "a1", "content": "A haiku."}]


def test_what_is_shared_tells_neither_place_nor_people() -> None:
    row = replace(
        ROW,
        geolocation={"latitude": 52.5, "longitude": 13.4, "address": "Home Street 1"},
        external_data={"from": "a calendar"},
        folder_id="f1",
    )
    segment = Segment(id="s1", text="Hello.", start=0, end=1, person_id="p1")
    document = conversation_document(row, [segment])
    assert written(document)["geolocation"]["address"] == "Home Street 1"
    shared = written(shared_document(document))
    assert (shared["geolocation"], shared["external_data"], shared["folder_id"]) == (None, None, None)
    assert shared["transcript_segments"][0]["person_id"] is None
    assert shared["transcript_segments"][0]["text"] == "Hello."


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
    assert instant(microseconds).isoformat() == text
