import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.wire import messages
from engine.wire.messages import Segment, Translation, encode, encode_segments, speaker_label, speaker_number


def test_a_segment_is_encoded_with_the_documents_names_in_their_order() -> None:
    segment = Segment(id="a", text="Hello there", start=0, end=1.5, stt_provider="deepgram", is_user=True)
    assert encode_segments([segment]) == (
        '[{"id":"a","text":"Hello there","speaker":"SPEAKER_00","speaker_id":0,"is_user":true,'
        '"person_id":null,"start":0.0,"end":1.5,"translations":[],"speech_profile_processed":true,'
        '"stt_provider":"deepgram","revision":1}]'
    )


@pytest.mark.parametrize(
    ("label", "number"),
    [
        ("SPEAKER_00", 0),
        ("SPEAKER_1", 1),
        ("SPEAKER_12", 12),
        ("SPEAKER_", 0),
        ("SPEAKER_-1", 0),
        ("SPEAKER_٣", 0),
        ("Alice", 0),
        ("7", 0),
        ("SPEAKER_" + "9" * 5000, 0),
    ],
)
def test_the_speaker_id_is_derived_from_the_label_whatever_was_passed(label: str, number: int) -> None:
    segment = Segment(id="a", text="x", speaker=label, speaker_id=77, start=0, end=1)
    assert segment.speaker_id == number
    assert msgspec.json.decode(msgspec.json.encode(segment), type=Segment) == segment
    assert msgspec.structs.replace(segment, speaker="SPEAKER_05").speaker_id == 5


@given(st.integers(0, 9999))
def test_labels_have_at_least_two_digits_and_give_their_number_back(number: int) -> None:
    assert speaker_number(speaker_label(number)) == number
    assert len(speaker_label(number)) >= len("SPEAKER_00")


def test_times_are_kept_to_the_millisecond() -> None:
    segment = Segment(id="a", text="x", start=0.1 + 0.2, end=1.00049)
    assert (segment.start, segment.end) == (0.3, 1.0)


def test_translations_are_objects_in_an_array() -> None:
    segment = Segment(id="a", text="x", start=0, end=1, translations=(Translation("de", "y"),))
    assert json.loads(encode_segments([segment]))[0]["translations"] == [{"lang": "de", "text": "y"}]


def test_a_status_without_text_says_null_and_leaves_out_what_is_unset() -> None:
    assert encode(messages.ServiceStatus("ready")) == (
        '{"type":"service_status","status":"ready","status_text":null}'
    )
    failed = messages.ServiceStatus(
        "stt_failed", "No vendor", provider="soniox", retryable=True, retry_after=2.5
    )
    assert json.loads(encode(failed)) == {
        "type": "service_status",
        "status": "stt_failed",
        "status_text": "No vendor",
        "provider": "soniox",
        "retryable": True,
        "retry_after": 2.5,
    }


SEGMENT = Segment(id="a", text="x", start=0, end=1)
EVENTS: list[tuple[messages.Event, dict[str, object]]] = [
    (messages.LastMemory("m"), {"type": "last_memory", "memory_id": "m"}),
    (messages.SegmentsDeleted(("a", "b")), {"type": "segments_deleted", "segment_ids": ["a", "b"]}),
    (
        messages.SpeakerLabelSuggestion(1, "", "Ann", "s"),
        {
            "type": "speaker_label_suggestion",
            "speaker_id": 1,
            "person_id": "",
            "person_name": "Ann",
            "segment_id": "s",
        },
    ),
    (messages.PhotoProcessing("t", "p"), {"type": "photo_processing", "temp_id": "t", "photo_id": "p"}),
    (
        messages.PhotoDescribed("p", "A dog", False),
        {"type": "photo_described", "photo_id": "p", "description": "A dog", "discarded": False},
    ),
    (
        messages.FreemiumThresholdReached(180),
        {"type": "freemium_threshold_reached", "remaining_seconds": 180, "action": "none"},
    ),
    (
        messages.ConversationSession("c", "in_progress", "r", 1, "recording", 0),
        {
            "type": "conversation_session",
            "conversation_id": "c",
            "status": "in_progress",
            "recording_session_id": "r",
            "lifecycle_version": 1,
            "lifecycle_phase": "recording",
            "lifecycle_sequence": 0,
        },
    ),
    (
        messages.ProactiveMessage("app", "Title", "Text"),
        {"type": "proactive_message", "app_id": "app", "title": "Title", "message": "Text"},
    ),
    (messages.AuthResponse(True), {"type": "auth_response", "success": True}),
    (
        messages.ErrorEvent(1013, "full", retry_after=5.0),
        {
            "type": "error",
            "code": 1013,
            "message": "full",
            "parameter": None,
            "value": None,
            "accepted": None,
            "retry_after": 5.0,
        },
    ),
]


@pytest.mark.parametrize(("event", "wire"), EVENTS, ids=lambda value: type(value).__name__)
def test_every_event_has_the_type_and_fields_running_clients_expect(
    event: messages.Event, wire: dict[str, object]
) -> None:
    text = encode(event)
    assert json.loads(text) == wire
    assert text.startswith('{"type":')


@pytest.mark.parametrize(
    ("event", "name"),
    [(messages.Translating((SEGMENT,)), "translating"), (messages.InterimSegments((SEGMENT,)), "interim")],
)
def test_events_that_carry_segments_carry_them_whole(event: messages.Event, name: str) -> None:
    segments = json.loads(encode_segments([SEGMENT]))
    assert json.loads(encode(event)) == {"type": name, "segments": segments}
