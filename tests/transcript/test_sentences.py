import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.transcript.sentences import (
    ENDERS,
    append,
    ends_sentence,
    is_whole_sentence,
    join,
    sentences,
    starts_lowercase,
    tidy,
)

TEXT = st.text(st.sampled_from("abZ 1  .?!。！？,،»\"'你好はไท\n한"), max_size=60)


def letters(text: str) -> str:
    return "".join(text.split())


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        (["Hello", "there", ",", "you", "."], "Hello there, you."),
        ([" a ", "", "  ", "b"], "a b"),
        (["use", ".NET", "now"], "use .NET now"),
        (["今日", "は", "いい", "天気", "です", "。"], "今日はいい天気です。"),
        (["สวัสดี", "ครับ"], "สวัสดีครับ"),
        (["한국어", "띄어쓰기"], "한국어 띄어쓰기"),
        (["私は", "Omi", "です"], "私は Omi です"),
        (["what", "?", "!", "no"], "what?! no"),
    ],
)
def test_pieces_are_joined_as_the_language_writes_them(pieces: list[str], text: str) -> None:
    assert join(pieces) == text


@given(TEXT.map(tidy), TEXT.map(tidy))
def test_appending_to_a_tidy_text_is_joining(first: str, second: str) -> None:
    assert append(first, second) == join([first, second])


@given(st.lists(TEXT))
def test_joining_keeps_every_character_in_order(pieces: list[str]) -> None:
    assert letters(join(pieces)) == letters("".join(pieces))


@given(TEXT)
def test_tidying_twice_is_tidying_once(text: str) -> None:
    once = tidy(text)
    assert tidy(once) == once
    assert once == once.strip()
    assert "  " not in once


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("One two", ["One two"]),
        ("One. Two? three", ["One.", "Two?", "three"]),
        ("It is 3.5 percent. Yes", ["It is 3.5 percent.", "Yes"]),
        ('He said "no." Then', ['He said "no."', "Then"]),
        ("好。是的！你", ["好。", "是的！", "你"]),
        ("क्या। हाँ", ["क्या।", "हाँ"]),
        ("What?! No...", ["What?!", "No..."]),
    ],
)
def test_sentences_end_where_a_reader_sees_an_end(text: str, found: list[str]) -> None:
    assert sentences(text) == found


@given(TEXT.map(tidy))
def test_sentences_hold_every_character_and_all_but_the_last_are_complete(text: str) -> None:
    found = sentences(text)
    assert letters("".join(found)) == letters(text)
    assert all(found)
    assert all(ends_sentence(sentence) for sentence in found[:-1])
    assert not found or ends_sentence(found[-1]) == ends_sentence(text)


@pytest.mark.parametrize("ender", ENDERS)
def test_every_sentence_end_counts_also_inside_quotes(ender: str) -> None:
    assert ends_sentence("x" + ender)
    assert ends_sentence("x" + ender + "”")
    assert sentences(f"x{ender} y") == [f"x{ender}", "y"]


def test_a_comma_or_nothing_ends_no_sentence() -> None:
    assert not ends_sentence("x,")
    assert not ends_sentence("")
    assert not ends_sentence('"')


def test_scripts_without_small_letters_count_as_capitalised() -> None:
    assert starts_lowercase("so")
    assert not starts_lowercase("So")
    assert not starts_lowercase("は")
    assert is_whole_sentence("はい。")
    assert is_whole_sentence("Yes.")
    assert not is_whole_sentence("yes.")
    assert not is_whole_sentence("Yes")


def test_a_hostile_run_of_sentence_ends_is_read_in_one_pass() -> None:
    text = "." * 20_000 + "x"
    assert sentences(text) == [text]
    assert tidy(" " + text) == text
