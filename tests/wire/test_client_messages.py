import json
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.wire.client_messages import (
    SEGMENTS_PER_MESSAGE,
    TEXT_CHARACTERS,
    AuthMessage,
    BadImage,
    Flush,
    Ignored,
    ImageChunk,
    SkipQuestion,
    SpeakerAssigned,
    SuggestedTranscript,
    decode_client,
)
from engine.wire.messages import Segment


def suggestion(*segments: dict[str, object], **more: object) -> SuggestedTranscript:
    message = decode_client(json.dumps({"type": "suggested_transcript", "segments": segments, **more}))
    assert isinstance(message, SuggestedTranscript)
    return message


def ignored(message: object) -> str:
    answer = decode_client(message if isinstance(message, str) else json.dumps(message))
    assert isinstance(answer, Ignored)
    return answer.reason


@pytest.mark.parametrize(
    ("wire", "message"),
    [
        ({"type": "flush"}, Flush()),
        ({"type": "skip_question", "extra": [1]}, SkipQuestion()),
        ({"type": "auth", "token": "t"}, AuthMessage("t")),
        (
            {"type": "image_chunk", "id": "i", "index": 0, "total": 2, "data": "aGk="},
            ImageChunk("i", 0, 2, "aGk="),
        ),
        (
            {
                "type": "speaker_assigned",
                "speaker_id": 1,
                "person_id": "user",
                "person_name": "Me",
                "segment_ids": ["a"],
            },
            SpeakerAssigned(1, "user", "Me", ("a",)),
        ),
    ],
)
def test_each_message_is_read(wire: dict[str, object], message: object) -> None:
    assert decode_client(json.dumps(wire)) == message


def test_suggested_segments_become_segments_with_the_provider_on_each() -> None:
    message = suggestion(
        {"text": " Hi ", "speaker": "SPEAKER_1", "start": 0, "end": 1.5, "is_user": True, "id": "mine"},
        {"text": "Hello", "speaker_id": 2, "start": 2, "end": 3, "is_user": False, "person_id": "p"},
        stt_provider="whisper-ios",
    )
    assert message.to_segments(lambda: "made", offset_seconds=10.0) == (
        Segment(
            id="mine",
            text="Hi",
            speaker="SPEAKER_01",
            start=10.0,
            end=11.5,
            is_user=True,
            stt_provider="whisper-ios",
        ),
        Segment(
            id="made",
            text="Hello",
            speaker="SPEAKER_02",
            start=12.0,
            end=13.0,
            person_id="p",
            stt_provider="whisper-ios",
        ),
    )


@pytest.mark.parametrize(
    ("speaker", "speaker_id", "label"),
    [
        (None, None, "SPEAKER_00"),
        (None, 3, "SPEAKER_03"),
        ("SPEAKER_1", 3, "SPEAKER_01"),
        ("Alice", 3, "SPEAKER_03"),
        ("Alice", None, "Alice"),
        ("", None, "SPEAKER_00"),
    ],
)
def test_labels_have_one_form_wherever_there_is_a_number(
    speaker: str | None, speaker_id: int | None, label: str
) -> None:
    message = suggestion({"text": "x", "start": 0, "end": 1, "speaker": speaker, "speaker_id": speaker_id})
    assert message.to_segments(str)[0].speaker == label


def test_times_before_the_start_and_ends_before_starts_are_moved_up() -> None:
    message = suggestion({"text": "x", "start": -1, "end": -2}, {"text": "y", "start": 5, "end": 4})
    times = [(segment.start, segment.end) for segment in message.to_segments(str)]
    assert times == [(0.0, 0.0), (5.0, 5.0)]


def test_blank_segments_are_left_out_and_no_id_is_made_for_them() -> None:
    ids = count(1)
    message = suggestion({"text": " \n", "start": 0, "end": 1}, {"text": "a\0b", "start": 0, "end": 1})
    assert [(s.id, s.text) for s in message.to_segments(lambda: str(next(ids)))] == [("1", "ab")]


def test_the_provider_is_custom_when_the_client_does_not_say() -> None:
    assert suggestion({"text": "x", "start": 0, "end": 1}).to_segments(str)[0].stt_provider == "custom"


@pytest.mark.parametrize(
    ("segment", "field"),
    [
        ({"start": 0, "end": 1}, "text"),
        ({"text": 3, "start": 0, "end": 1}, "text"),
        ({"text": "x", "end": 1}, "start"),
        ({"text": "x", "start": "0", "end": 1}, "start"),
        ({"text": "x", "start": 0, "end": 1e300}, "end"),
        ({"text": "x", "start": 0, "end": 1, "speaker_id": -1}, "speaker_id"),
        ({"text": "x", "start": 0, "end": 1, "speaker_id": 10**30}, "speaker_id"),
        ({"text": "x", "start": 0, "end": 1, "is_user": "yes"}, "is_user"),
        ({"text": "x", "start": 0, "end": 1, "id": "a" * 129}, "id"),
        ({"text": "x", "start": 0, "end": 1, "id": "a\0"}, "id"),
        ({"text": "x" * (TEXT_CHARACTERS + 1), "start": 0, "end": 1}, "text"),
    ],
)
def test_a_wrong_segment_is_ignored_with_the_name_of_the_field(
    segment: dict[str, object], field: str
) -> None:
    assert field in ignored({"type": "suggested_transcript", "segments": [segment]})


def test_more_segments_than_a_message_may_hold_are_ignored() -> None:
    segment = {"text": "x", "start": 0, "end": 1}
    full = [segment] * SEGMENTS_PER_MESSAGE
    assert len(suggestion(*full).segments) == SEGMENTS_PER_MESSAGE
    assert "segments" in ignored({"type": "suggested_transcript", "segments": [*full, segment]})


@pytest.mark.parametrize("text", ["", "ping", "{", "\ud800", '{"type":"auth","token":"\\ud800"}', "NaN"])
def test_what_is_not_json_is_ignored(text: str) -> None:
    assert ignored(text) == "not JSON"


@pytest.mark.parametrize("message", [[], 1, None, {}, {"type": None}, {"type": 5}, {"type": "nope"}])
def test_json_of_another_shape_or_type_is_ignored(message: object) -> None:
    assert "Expected" in ignored(message) or "type" in ignored(message)


def test_deep_nesting_is_ignored() -> None:
    assert ignored('{"type":"flush","x":' + "[" * 100_000 + "]" * 100_000 + "}") == "nested too deeply"


def test_a_reason_never_repeats_transcript_or_token() -> None:
    assert "secret" not in ignored(
        {"type": "suggested_transcript", "segments": [{"text": "secret", "start": "secret"}]}
    )
    assert "secret" not in ignored('{"type":"auth","token":"secret')


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text() | st.sampled_from(["text", "start", "id"]), inner, max_size=4)
    ),
    max_leaves=12,
)
TYPES = st.sampled_from(["suggested_transcript", "speaker_assigned", "image_chunk", "auth", "flush"])
FIELDS = st.sampled_from(["segments", "stt_provider", "speaker_id", "id", "index", "total", "token"])


@given(st.text() | JSON.map(json.dumps))
def test_no_text_raises(text: str) -> None:
    assert decode_client(text) is not None


@given(TYPES, st.dictionaries(FIELDS, JSON, max_size=5))
def test_no_fields_of_a_known_type_raise_and_reasons_are_short(name: str, fields: dict[str, object]) -> None:
    message = decode_client(json.dumps({**fields, "type": name}))
    if isinstance(message, Ignored):
        assert 0 < len(message.reason) <= 100
        assert message.reason.isprintable()


@pytest.mark.parametrize(
    "text", ['{"type":"image_chunk"}', '{"type":"image_chunk","id":"i","index":-1,"total":1,"data":""}']
)
def test_a_piece_of_a_picture_that_is_none_is_told_from_what_is_only_ignored(text: str) -> None:
    assert isinstance(decode_client(text), BadImage)
    assert not isinstance(decode_client(text.replace("image_chunk", "flushed")), BadImage)
