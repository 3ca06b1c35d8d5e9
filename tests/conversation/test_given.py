"""Texts that are given whole, as processing reads them."""

from hypothesis import given
from hypothesis import strategies as st

from engine.conversation.given import LINE_LIMIT, Given, row_of, segments_of_text, transcript_row
from engine.wire.messages import Segment


def test_a_transcript_has_a_speaker_for_each_name() -> None:
    text = "Anna: Hello.\n[00:05] Ben: Hi there.\n  anna: How are you?\nUser: Fine.\n\nno name here"
    found = segments_of_text({"text": text, "text_source": "audio_transcript"})
    assert [(s.speaker, s.text, s.is_user) for s in found] == [
        ("SPEAKER_00", "Hello.", False),
        ("SPEAKER_01", "Hi there.", False),
        ("SPEAKER_00", "How are you?", False),
        ("SPEAKER_02", "Fine.", True),
        ("SPEAKER_03", "no name here", False),
    ]
    assert [s.start for s in found[:2]] == [0.0, 0.4]


def test_in_other_texts_a_colon_names_nobody() -> None:
    (found,) = segments_of_text({"text": "Note: buy milk", "text_source": "other_text"})
    assert found.text == "Note: buy milk"


@given(st.one_of(st.none(), st.dictionaries(st.sampled_from(["text", "text_source"]), st.text())))
def test_any_text_can_be_read(external: dict[str, str] | None) -> None:
    found = segments_of_text(external)
    assert len(found) <= LINE_LIMIT
    assert all(segment.text and segment.end >= segment.start for segment in found)
    assert [segment.start for segment in found] == sorted(segment.start for segment in found)


def test_times_that_contradict_each_other_are_those_of_a_conversation_that_ended_when_it_began() -> None:
    row = row_of(50, "ada", Given(started_at=40, finished_at=30))
    assert (row.created_at, row.started_at, row.finished_at) == (50, 40, 40)
    segments = [Segment(id="s", text="Hi.", start=0, end=2)]
    ended = transcript_row(9_000_000, "ada", segments, Given(finished_at=5_000_000))
    assert (ended.started_at, ended.finished_at) == (3_000_000, 5_000_000)
