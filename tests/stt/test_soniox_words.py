"""Soniox's tokens become words, however they are divided, in every script, whatever is missing."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.transcript.words import Word
from tests.stt.soniox_results import MS, covered, guess, protocol, say, texts, token, words


def test_a_word_is_complete_when_the_next_begins_across_messages() -> None:
    made = protocol()
    assert texts(say(made, token("Hel", 600, 680), final=680)) == []
    assert texts(say(made, token("lo", 680, 760), guess(" wor", 820, 900), final=760)) == []
    events = say(made, token(" world", 820, 1000), final=1000)
    assert words(events) == [Word("Hello", 600 * MS, 760 * MS, confidence=0.9)]
    assert texts(say(made, token(".", 1000, 1040), token("<end>"), final=1400)) == ["world."]


def test_a_token_may_hold_several_words() -> None:
    events = say(
        protocol(), token(" one two ", 0, 900), token("three", 900, 1000), token("<end>"), final=1000
    )
    assert [(word.text, word.start // MS, word.end // MS) for word in words(events)] == [
        ("one", 0, 400),
        ("two", 400, 800),
        ("three", 900, 1000),
    ]


@pytest.mark.parametrize("control", ["<end>", "<fin>"])
def test_control_tokens_end_words_in_mid_message_and_are_no_text(control: str) -> None:
    made = protocol()
    events = say(made, token(" yes", 0, 200), token(control), token("no", 900, 1000), final=1000)
    assert texts(events) == ["yes"]
    assert texts(say(made, token("<end>"), final=1400)) == ["no"]


def test_a_change_of_speaker_ends_a_word() -> None:
    made = protocol()
    events = say(
        made,
        token("yes", 0, 200, speaker="1"),
        token(".", 200, 210, speaker="2"),
        token("No", 300, 400, speaker="2"),
        token("<end>"),
        final=500,
    )
    assert [(word.text, word.speaker) for word in words(events)] == [("yes.", 0), ("No", 1)]


@pytest.mark.parametrize(
    ("speaker", "number"),
    [("1", 0), ("15", 14), (2, 1), ("0", None), ("", None), ("S1", None), ("9" * 5000, None), (None, None)],
)
def test_speakers_are_counted_from_zero(speaker: object, number: int | None) -> None:
    events = say(protocol(), token("hi", 0, 100, speaker=speaker), token("<end>"), final=200)
    assert [word.speaker for word in words(events)] == [number]


def test_a_word_without_a_speaker_is_said_by_the_one_before() -> None:
    events = say(
        protocol(), token("a", 0, 100, speaker="3"), token(" b", 100, 200), token("<end>"), final=200
    )
    assert [word.speaker for word in words(events)] == [2, 2]


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ((" Bonjour", " !", " Ça", " va", "?"), ["Bonjour!", "Ça", "va?"]),
        (("¿", "Qué", " tal", "?"), ["¿Qué", "tal?"]),
        ((' "', "Hi", '"', " said"), ['"Hi"', "said"]),
        ((" 3", ".", "5", " km"), ["3.5", "km"]),
        ((" -", " ok"), ["ok"]),
        ((" well", " -", " ok"), ["well -", "ok"]),
        ((" don", "'t"), ["don't"]),
        ((" a", " ", "b"), ["a", "b"]),
        ((" $", "5"), ["$5"]),
        (("你好", "，", "世界", "。"), ["你好，", "世界。"]),
        (("東京", "タ", "ワー", "に", "行", "った"), ["東京", "タ", "ワー", "に", "行った"]),
        (("สวัส", "ดี", "ครับ"), ["สวัส", "ดี", "ครับ"]),
        (("买", "iPhone", "15", "手机"), ["买", "iPhone15", "手机"]),
        (("안녕", "하세요", " 여러분"), ["안녕하세요", "여러분"]),
    ],
)
def test_punctuation_is_glued_and_every_script_has_words(
    tokens: tuple[str, ...], expected: list[str]
) -> None:
    said = [token(text, 100 * n, 100 * n + 90) for n, text in enumerate(tokens)]
    assert texts(say(protocol(), *said, token("<end>"), final=2000)) == expected


def test_tokens_in_one_message_or_in_many_are_the_same_words() -> None:
    said = [
        token(text, 80 * n, 80 * n + 80)
        for n, text in enumerate(("Try", " a", "gain", ".", " Fa", "il", " !"))
    ]
    at_once = words(say(protocol(), *said, token("<fin>"), final=900))
    made = protocol()
    one_by_one = [word for one in (*said, token("<fin>")) for word in words(say(made, one, final=0))]
    assert [word.text for word in at_once] == ["Try", "again.", "Fail!"]
    assert one_by_one == at_once


def test_confidence_is_the_mean_and_language_the_first() -> None:
    events = say(
        protocol(language="multi"),
        token("gu", 0, 100, confidence=0.5, language="de"),
        token("t", 100, 200, confidence=1.0, language="en"),
        token(".", 200, 210, confidence=0.1, language="de"),
        token("<end>"),
        final=300,
    )
    (word,) = words(events)
    assert (word.confidence, word.language) == (0.75, "de")


def test_translations_are_left_out() -> None:
    events = say(
        protocol(),
        token("Hallo", 0, 200, translation_status="original"),
        token(" hello", translation_status="translation", source_language="de"),
        token("<end>"),
        final=300,
    )
    assert texts(events) == ["Hallo"]


def test_missing_times_are_taken_from_the_neighbours() -> None:
    made = protocol()
    events = say(made, token("a", 100), token(" b", 300, 400), token(" c"), token("<end>"), final=600)
    assert [(word.start // MS, word.end // MS) for word in words(events)] == [
        (100, 300),
        (300, 400),
        (400, 600),
    ]


def test_final_tokens_that_are_said_again_yield_no_word() -> None:
    made = protocol()
    tokens = (token("one", 0, 100), token(" two", 100, 200))
    first, again = say(made, *tokens, final=200), say(made, *tokens, final=200)
    last = say(made, token("<end>"), final=300)
    assert texts([*first, *again, *last]) == ["one", "two"]


def test_a_word_nobody_finishes_is_complete_after_a_pause() -> None:
    made = protocol()
    assert texts(say(made, token("Done", 0, 400), final=400)) == []
    assert texts(say(made, final=1300)) == []
    events = say(made, final=1400)
    assert texts(events) == ["Done"]
    assert covered(events) == 1400


def test_a_word_without_end_is_cut() -> None:
    made = protocol()
    long = [event for n in range(100) for event in say(made, token("abcde", 10 * n, 10 * n + 10), final=0)]
    assert {len(text) for text in texts(long)} == {200}


@given(
    st.lists(st.text("abc", min_size=1, max_size=8), min_size=1, max_size=12),
    st.lists(st.integers(1, 4), min_size=1, max_size=8),
    st.lists(st.integers(1, 5), min_size=1, max_size=8),
)
@settings(max_examples=150, deadline=None)
def test_words_survive_any_division_into_tokens_and_messages(
    said: list[str], cuts: list[int], messages: list[int]
) -> None:
    tokens: list[dict[str, object]] = []
    at = 0
    for number, word in enumerate(said):
        rest = f" {word}" if number else word
        while rest:
            size = cuts[len(tokens) % len(cuts)]
            tokens.append(token(rest[:size], at, at + 40))
            rest, at = rest[size:], at + 40
    made = protocol()
    heard: list[Word] = []
    first = 0
    while first < len(tokens):
        size = messages[first % len(messages)]
        heard += words(say(made, *tokens[first : first + size], final=0))
        first += size
    heard += words(say(made, token("<end>"), final=at))
    assert [word.text for word in heard] == said
