from collections.abc import Sequence
from itertools import count, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from engine.transcript.merge import FULL_TEXT, LONGEST_TEXT, Merged, merge, words_to_segments
from engine.transcript.words import Word
from engine.wire.messages import Segment, Translation


def segment(
    id: str, text: str, start: float = 0.0, end: float | None = None, speaker: int = 0, **more: object
) -> Segment:
    base = Segment(
        id=id,
        text=text,
        start=start,
        end=start + 1 if end is None else end,
        speaker=f"SPEAKER_{speaker:02d}",
        stt_provider="local",
    )
    return replace(base, **more)


def texts(merged: Merged) -> list[tuple[str, str]]:
    return [(kept.id, kept.text) for kept in merged.segments]


# One speaker.


def test_the_first_segment_of_a_conversation_is_new() -> None:
    a = segment("a", "Hello.")
    assert merge(None, [a]) == Merged(segments=(a,), changed=(a,), deleted=())


def test_one_speaker_with_a_short_gap_is_one_segment_with_the_earlier_id() -> None:
    merged = merge(segment("a", "Hello."), [segment("b", "There.", 3.9)])
    assert texts(merged) == [("a", "Hello. There.")]
    assert (merged.changed, merged.deleted) == (merged.segments, ())
    assert (merged.segments[0].start, merged.segments[0].end) == (0.0, 4.9)
    assert merged.segments[0].revision == 2


def test_a_gap_of_three_seconds_or_more_starts_a_new_segment() -> None:
    merged = merge(segment("a", "Hello."), [segment("b", "There.", 4.0)])
    assert texts(merged) == [("a", "Hello."), ("b", "There.")]
    assert merged.changed == merged.segments[1:]


def test_a_complete_segment_of_full_length_takes_no_more() -> None:
    full = "x" * (FULL_TEXT - 1) + "."
    assert len(merge(segment("a", full), [segment("b", "There.", 1.5)]).segments) == 2
    assert len(merge(segment("a", full[1:]), [segment("b", "There.", 1.5)]).segments) == 1


def test_an_incomplete_segment_takes_more_at_any_length() -> None:
    assert len(merge(segment("a", "x" * 300), [segment("b", "There.", 1.5)]).segments) == 1


@pytest.mark.parametrize("ender", ".?!。！？؟۔।॥")
def test_every_scripts_sentence_end_completes_a_segment(ender: str) -> None:
    a = segment("a", "x" * FULL_TEXT + ender)
    assert len(merge(a, [segment("b", "there", 1.5)]).segments) == 2


def test_a_sentence_that_goes_on_in_small_letters_is_joined_whatever_the_gap() -> None:
    assert texts(merge(segment("a", "I was"), [segment("b", "saying.", 60.0)])) == [("a", "I was saying.")]
    assert len(merge(segment("a", "I was"), [segment("b", "Saying.", 60.0)]).segments) == 2
    assert len(merge(segment("a", "I was."), [segment("b", "saying.", 60.0)]).segments) == 2


def test_what_was_spoken_long_before_is_not_joined_because_it_came_late() -> None:
    a = segment("a", "I was", 100.0)
    assert len(merge(a, [segment("b", "saying", 10.0)]).segments) == 2
    close = merge(a, [segment("b", "saying", 99.5, 99.8)]).segments
    assert [(kept.start, kept.end) for kept in close] == [(99.5, 101.0)]


def test_no_segment_grows_without_end() -> None:
    ids = count()
    merged = merge(None, [segment(str(next(ids)), "w" * 100, index) for index in range(100)])
    assert max(len(kept.text) for kept in merged.segments) <= LONGEST_TEXT
    assert len(merged.segments) == 6


@pytest.mark.parametrize(
    ("field", "value"),
    [("stt_provider", "soniox"), ("speech_profile_processed", False), ("person_id", "ann")],
)
def test_segments_of_different_origin_never_merge(field: str, value: object) -> None:
    a = segment("a", "so I was thinking about it", person_id="bob")
    for speaker in (0, 1):
        b = replace(segment("b", "yes", 1.0, speaker=speaker), **{field: value})
        assert texts(merge(a, [b])) == [("a", a.text), ("b", "yes")]


def test_a_person_learned_from_the_newer_half_is_kept() -> None:
    assert merge(segment("a", "Hi"), [segment("b", "you", person_id="p")]).segments[0].person_id == "p"


def test_both_being_the_user_counts_as_one_speaker() -> None:
    a = segment("a", "Hello.", is_user=True)
    assert texts(merge(a, [segment("b", "You.", 1.0, speaker=1, is_user=True)])) == [("a", "Hello. You.")]


def test_a_closed_segment_stays_as_it_is() -> None:
    a = segment("a", "so I was thinking")
    for b in (segment("b", "about it", 1.0), segment("b", "yes", 1.0, speaker=1), segment("a", "other")):
        merged = merge(a, [b], closed={"a"})
        assert merged.segments[0] is a
        assert a not in merged.changed


# Two speakers.


def test_i_the_start_of_what_the_second_says_moves_to_the_first_whose_sentence_it_ends() -> None:
    a = segment("a", "so I was thinking about", 0.0, 4.0)
    b = segment("b", "it. Really? Yes.", 4.0, 5.6, speaker=1)
    merged = merge(a, [b])
    assert texts(merged) == [("a", "so I was thinking about it."), ("b", "Really? Yes.")]
    assert (merged.segments[0].end, merged.segments[1].start) == (4.3, 4.3)
    assert merged.changed == merged.segments
    assert [kept.revision for kept in merged.segments] == [2, 1]


def test_i_a_first_sentence_as_long_as_the_loose_end_stays() -> None:
    a = segment("a", "so I", 0.0, 4.0)
    assert texts(merge(a, [segment("b", "Yes. It is.", 4.0, speaker=1)])) == [("b", "so I Yes. It is.")]
    b = segment("b", "Oh. Ah.", 4.0, speaker=1)
    assert texts(merge(segment("a", "One. uh well", 0.0, 4.0), [b]))[0] == ("a", "One. uh well Oh.")
    assert texts(merge(segment("a", "One. uh", 0.0, 4.0), [b])) == [("a", "One."), ("b", "uh Oh. Ah.")]
    assert texts(merge(segment("a", "One. and", 0.0, 4.0), [b]))[0] == ("a", "One.")


def test_ii_a_short_scrap_is_swallowed() -> None:
    a = segment("a", "so I was thinking about", 0.0, 4.0)
    for scrap in ("it", "it.", "It"):
        merged = merge(a, [segment("b", scrap, 4.0, speaker=1)])
        assert texts(merged) == [("a", f"so I was thinking about {scrap}")]
        assert merged.segments[0].end == 5.0


def test_ii_an_answer_of_its_own_is_not_swallowed() -> None:
    a = segment("a", "so I was thinking about", 0.0, 4.0)
    for answer in ("Yes.", "はい。"):
        assert len(merge(a, [segment("b", answer, 4.0, speaker=1)]).segments) == 2


def test_iii_the_loose_end_of_the_first_moves_to_the_second() -> None:
    a = segment("a", "That is it. And", 0.0, 3.0)
    b = segment("b", "then we went home together.", 3.0, 5.0, speaker=1)
    merged = merge(a, [b])
    assert texts(merged) == [("a", "That is it."), ("b", "And then we went home together.")]
    assert (merged.segments[0].end, merged.segments[1].start) == (2.4, 2.4)
    assert merged.deleted == ()


def test_iii_a_segment_of_which_nothing_is_left_is_deleted() -> None:
    a = segment("a", "And", 1.0, 1.3)
    merged = merge(a, [segment("b", "then we went home.", 2.0, speaker=1)])
    assert texts(merged) == [("b", "And then we went home.")]
    assert merged.deleted == ("a",)
    assert merged.segments[0].start == 1.0


def test_what_was_never_given_out_is_not_reported_deleted() -> None:
    merged = merge(None, [segment("a", "And"), segment("b", "then we went home.", 1.0, speaker=1)])
    assert (texts(merged), merged.deleted) == ([("b", "And then we went home.")], ())


def test_complete_sentences_of_two_speakers_are_left_alone() -> None:
    a = segment("a", "So I was thinking.")
    assert texts(merge(a, [segment("b", "it", 1.0, speaker=1)])) == [("a", a.text), ("b", "it")]


def test_text_moves_over_gaps_of_up_to_three_seconds() -> None:
    a = segment("a", "so I was thinking about", 0.0, 4.0)
    assert len(merge(a, [segment("b", "it", 7.0, speaker=1)]).segments) == 1
    assert len(merge(a, [segment("b", "it", 7.001, speaker=1)]).segments) == 2


def test_loose_ends_of_equal_length_stay_where_they_are() -> None:
    assert len(merge(segment("a", "one"), [segment("b", "two", 1.0, speaker=1)]).segments) == 2


# Ids and revisions.


def test_nothing_new_changes_nothing() -> None:
    a = segment("a", "Hello.", revision=4)
    assert merge(a, []) == Merged(segments=(a,), changed=(), deleted=())
    assert merge(a, [segment("b", "  ")]) == Merged(segments=(a,), changed=(), deleted=())


def test_a_segment_that_comes_again_replaces_itself_and_unchanged_is_no_change() -> None:
    a = segment("a", "Hello.", revision=4)
    assert merge(a, [replace(a, revision=1)]).changed == ()
    merged = merge(a, [segment("a", "Hello you.")])
    assert [(kept.text, kept.revision) for kept in merged.changed] == [("Hello you.", 5)]


def test_a_batch_sent_again_changes_nothing() -> None:
    batch = [segment("a", "Hello"), segment("b", "there.", 1.0)]
    once = merge(None, batch)
    assert merge(once.segments[-1], batch).changed == ()


def test_an_earlier_segment_that_comes_again_is_changed_in_its_place() -> None:
    b = segment("b", "World.", 10.0)
    merged = merge(b, [segment("a", "Hello, all.")], sent={"a": 3, "b": 1})
    assert merged.segments == (b,)
    assert [(kept.id, kept.revision) for kept in merged.changed] == [("a", 4)]


def test_a_translation_of_the_text_before_is_dropped() -> None:
    a = segment("a", "Hello", translations=(Translation("de", "Hallo"),))
    assert merge(a, [segment("b", "you.", 1.0)]).segments[0].translations == ()
    assert merge(a, [segment("b", "You.", 9.0)]).segments[0].translations != ()


PIECES = st.lists(
    st.sampled_from(
        ["so", "I", "Then", "went.", "really?", "3.5", ",", ".", "はい。", "今日", '"no."', "x" * 60]
    ),
    max_size=8,
).map(" ".join)
SEGMENTS = st.lists(
    st.builds(
        lambda text, start, length, speaker, user, flag, provider: segment(
            "",
            text,
            start,
            start + length,
            speaker,
            is_user=user,
            speech_profile_processed=flag,
            stt_provider=provider,
        ),
        PIECES,
        st.floats(0, 12),
        st.floats(-1, 4),
        st.integers(0, 1),
        st.booleans(),
        st.sampled_from([True, True, False]),
        st.sampled_from(["local", "local", "soniox"]),
    ),
    max_size=12,
).map(lambda found: [replace(kept, id=f"s{index}") for index, kept in enumerate(found)])


def spoken(segments: Sequence[Segment]) -> str:
    return "".join("".join(kept.text.split()) for kept in segments)


@given(SEGMENTS)
def test_no_text_is_lost_doubled_or_put_out_of_order(new: list[Segment]) -> None:
    assert spoken(merge(None, new).segments) == spoken(new)


@given(SEGMENTS)
def test_starts_come_before_ends_and_ids_are_unique(new: list[Segment]) -> None:
    segments = merge(None, new).segments
    assert all(kept.start <= kept.end for kept in segments)
    assert all(kept.text for kept in segments)
    assert len({kept.id for kept in segments}) == len(segments)
    assert {kept.id for kept in segments} <= {kept.id for kept in new}


@given(SEGMENTS, st.integers(0, 12))
def test_the_result_does_not_depend_on_how_the_segments_were_divided(new: list[Segment], cut: int) -> None:
    at_once = merge(None, new).segments
    first = merge(None, new[:cut]).segments
    second = merge(first[-1] if first else None, new[cut:]).segments
    in_two = (*first[:-1], *second)
    assert [replace(kept, revision=1) for kept in in_two] == [replace(kept, revision=1) for kept in at_once]


@given(SEGMENTS)
def test_a_client_that_follows_changes_and_deletions_has_the_transcript(new: list[Segment]) -> None:
    client: dict[str, Segment] = {}
    kept: list[Segment] = []
    for one in new:
        merged = merge(
            kept[-1] if kept else None, [one], sent={id: held.revision for id, held in client.items()}
        )
        kept = [*kept[:-1], *merged.segments]
        for id in merged.deleted:
            del client[id]
        for changed in merged.changed:
            before = client.get(changed.id)
            assert changed.revision == (before.revision + 1 if before else 1)
            assert before is None or replace(changed, revision=before.revision) != before
            client[changed.id] = changed
    assert client == {held.id: held for held in kept}
    assert spoken(kept) == spoken(new)


# Words.


def to_segments(words: Sequence[Word], offset_seconds: float = 0.0) -> tuple[Segment, ...]:
    ids = count()
    return words_to_segments(
        words, offset_seconds=offset_seconds, provider="local", new_id=lambda: f"s{next(ids)}"
    )


def test_each_run_of_one_speaker_is_a_segment() -> None:
    words = [
        Word("Hello", 0, 8_000, 0),
        Word(",", 8_000, 8_000, 0),
        Word("you.", 8_000, 16_000, 0),
        Word("Hi!", 16_000, 24_000, 1),
    ]
    assert to_segments(words, 2.5) == (
        Segment(id="s0", text="Hello, you.", start=2.5, end=3.5, stt_provider="local"),
        Segment(id="s1", text="Hi!", speaker="SPEAKER_01", start=3.5, end=4.0, stt_provider="local"),
    )


def test_words_without_a_speaker_belong_to_who_spoke_before_or_first() -> None:
    words = [Word("a", 0, 1), Word("b", 1, 2, 2), Word("c", 2, 3), Word("d", 3, 4, 1), Word("e", 4, 5)]
    assert [(kept.speaker, kept.text) for kept in to_segments(words)] == [
        ("SPEAKER_02", "a b c"),
        ("SPEAKER_01", "d e"),
    ]
    assert [kept.speaker for kept in to_segments([Word("a", 0, 1)])] == ["SPEAKER_00"]


def test_no_words_make_no_segments() -> None:
    assert to_segments([]) == to_segments([Word("  ", 0, 5)]) == ()


def test_languages_without_spaces_are_joined_without() -> None:
    words = [Word("今日", 0, 10), Word("は", 10, 20), Word("。", 20, 20)]
    assert [kept.text for kept in to_segments(words)] == ["今日は。"]


@given(
    st.lists(
        st.builds(
            Word,
            st.sampled_from(["so", "I.", ",", "はい", " ", "went"]),
            st.integers(0, 10**6),
            st.integers(0, 10**6),
            st.none() | st.integers(0, 3),
        )
    )
)
def test_segments_hold_every_word_in_order_within_their_times(words: list[Word]) -> None:
    segments = to_segments(words)
    assert spoken(segments) == "".join(word.text.strip() for word in words)
    assert all(0 <= kept.start <= kept.end for kept in segments)
    neighbours = pairwise(segments)
    assert all(left.speaker != right.speaker for left, right in neighbours)
