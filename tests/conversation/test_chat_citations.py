"""Citations in an answer that comes in pieces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.conversation.chat.citations import Citations, Sources


def sources(*ids: str) -> Sources:
    made = Sources()
    for id in ids:
        made.number(id)
    return made


def read(text: str, *ids: str) -> tuple[str, Citations]:
    citations = Citations(sources(*ids))
    return citations.feed(text) + citations.end(), citations


@pytest.mark.parametrize(
    ("said", "shown", "cited"),
    [
        ("It was on Monday [3].", "It was on Monday [1].", ["c"]),
        ("First [3], then [1] and [3] again.", "First [1], then [2] and [1] again.", ["c", "a"]),
        ("Both [2, 1].", "Both [1][2].", ["b", "a"]),
        ("Twice the same [2,2].", "Twice the same [1].", ["b"]),
        ("Made up [9].", "Made up.", []),
        ("Half made up [9, 2].", "Half made up [1].", ["b"]),
        ("No number: [x], [link](http://a), [1a], [], [12345].", None, []),
        ("Not closed [1", "Not closed [1", []),
        ("[0] [1]", " [1]", ["a"]),
    ],
)
def test_numbers_of_what_was_shown_become_numbers_of_what_is_cited(
    said: str, shown: str | None, cited: list[str]
) -> None:
    text, citations = read(said, "a", "b", "c")
    assert text == (said if shown is None else shown)
    assert citations.cited == cited


def test_invented_citations_are_counted() -> None:
    assert read("Yes [7, 1] and [8] and [0].", "a")[1].invented == 3


def test_a_conversation_has_one_number() -> None:
    made = sources("a", "b", "a")
    assert (made.number("a"), made.number("b"), made.number("c")) == (1, 2, 3)
    assert (made.id(2), made.id(4), made.id(0)) == ("b", None, None)


PIECES = st.lists(
    st.text("ab[]12, \n", max_size=6) | st.sampled_from(["[1]", " [2]", "[9]", "   [1, 2]", "[" * 3, " " * 9])
)


@given(PIECES)
def test_how_an_answer_is_cut_makes_no_difference(pieces: list[str]) -> None:
    whole, told = read("".join(pieces), "a", "b")
    citations = Citations(sources("a", "b"))
    shown = "".join([*(citations.feed(piece) for piece in pieces), citations.end()])
    assert (shown, citations.cited, citations.invented) == (whole, told.cited, told.invented)


@given(st.text("[1, 2]3 ", max_size=80))
def test_little_is_held_back(text: str) -> None:
    citations = Citations(Sources())
    fed = citations.feed(text)
    assert len(citations.end()) <= 32
    assert len(fed) <= len(text)
