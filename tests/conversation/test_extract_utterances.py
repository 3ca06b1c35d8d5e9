"""Where clauses begin, with and without punctuation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.conversation.extract.utterances import clauses, utterances
from tests.conversation.dialogues import spoken


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("yeah i can do that i need your numbers", ["yeah", "i can do that", "i need your numbers"]),
        ("I'd sign now if it weren't for the tiles.", ["I'd sign now", "it weren't for the tiles"]),
        ("mark can you order the cake", ["mark", "can you order the cake"]),
        ("sign it and hand it in", ["sign it and hand it in"]),
        ("i'll do it tomorrow my neighbor said no", ["i'll do it tomorrow", "my neighbor said no"]),
        ("let you know", ["let you know"]),
    ],
)
def test_a_clause_has_one_subject(text: str, expected: list[str]) -> None:
    assert [clause.text for clause in clauses(text)] == expected


def test_a_conjunction_is_the_clauses_link_and_not_its_text() -> None:
    assert [clause.link for clause in clauses("I'll go if you pay, but he won't.")] == ["", "if", "but"]


@given(st.text(max_size=200))
def test_clauses_lie_in_the_text_in_order(text: str) -> None:
    end = 0
    for clause in clauses(text):
        assert clause.start >= end
        assert text[clause.start : clause.end] == clause.text
        end = clause.end


def test_segments_without_text_are_left_out_and_names_are_those_of_known_speakers() -> None:
    said = utterances(spoken("A: hi", "B:  ", "B: ho", "D: hm"))
    assert [(one.text, one.name) for one in said] == [("hi", "Anna"), ("ho", "Ben"), ("hm", "")]
