"""Single values out of a model's answer."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.conversation.llm.sift import Sift, similar


def sift() -> Sift:
    return Sift(datetime(2026, 3, 27, tzinfo=UTC), ZoneInfo("Europe/Berlin"))


@pytest.mark.parametrize(
    ("said", "kept", "doubt"),
    [
        ("Call  Bob\n today", "Call Bob today", None),
        ("Beta Launch Beta Launch Beta Launch Beta", "Beta Launch", "repeated"),
        ("very very good", "very very good", None),
        ("no no no no no no", "no", "repeated"),
        ("a b a b a c", "a b a b a c", None),
        ("one two three four five six", "one two three four five…", "too_long"),
        ("x" * 500, "x" * 39 + "…", "too_long"),
        ("zero\x00width\u200b\u202eright", "zero width right", None),
        (42, "", "wrong_type"),
        (None, "", None),
    ],
)
def test_a_text_is_one_line_said_once_within_its_limits(said: object, kept: str, doubt: str | None) -> None:
    one = sift()
    assert one.text(said, characters=40, words=5 if doubt == "too_long" else 6) == kept
    assert +one.doubts == ({doubt: 1} if doubt else {})


@given(st.text(), st.integers(2, 50), st.none() | st.integers(1, 5))
def test_any_text_stays_within_its_limits(said: str, characters: int, words: int | None) -> None:
    kept = sift().text(said, characters=characters, words=words)
    assert len(kept) <= characters
    assert words is None or len(kept.split()) <= words
    assert "\n" not in kept
    assert kept == kept.strip()


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=6), st.integers(4, 30), st.integers(0, 5))
def test_a_phrase_said_over_and_over_is_said_once(phrase: list[str], times: int, rest: int) -> None:
    said = phrase * times + phrase[: rest % len(phrase)]
    # A run of one word that the end cuts below four is left as it is.
    assert len(sift().text(" ".join(said), characters=1000).split()) <= len(phrase) + 3


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (30, 30),
        (29.6, 30),
        (0, 7),
        (10**400, 7),
        (float("nan"), 7),
        (float("inf"), 7),
        (True, 7),
        ("30", 7),
        (None, 7),
    ],
)
def test_a_number_is_within_its_bounds_or_the_usual_one(said: object, kept: int) -> None:
    assert sift().number(said, 1, 100, 7) == kept


def test_what_is_no_list_has_no_items_and_long_ones_are_cut() -> None:
    one = sift()
    assert one.items({"a": 1}, 3) == []
    assert one.items(None, 3) == []
    assert one.items([1, 2, 3, 4, 5], 3) == [1, 2, 3]
    assert +one.doubts == {"wrong_type": 1, "too_many": 2}


def test_texts_that_differ_in_case_are_one() -> None:
    one = sift()
    assert one.texts(["Anna", "ANNA", "", 3, "Bob"], 9, 40) == ["Anna", "Bob"]
    assert +one.doubts == {"duplicate": 1, "wrong_type": 1}


def test_likeness_is_by_words() -> None:
    assert similar("Call the harbour!", "call the harbour")
    assert not similar("Call the harbour", "Call the dentist")
    assert similar("⛵", " ⛵")
    assert not similar("⛵", "🧠")
