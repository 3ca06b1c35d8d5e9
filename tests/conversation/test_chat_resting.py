"""What an answer without citations rests on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.conversation.chat.resting import rests_on

SHOWN = {
    "contract": "I will send the contract to the lawyer by Friday. Please book the room for the meeting.",
    "dentist": "The dentist found a hole in one of Emma's teeth. Sure, I will buy the toothpaste tomorrow.",
}
TEXTS = st.text(st.sampled_from("abc .é漢"), max_size=40)


@pytest.mark.parametrize(
    ("answer", "question", "found"),
    [
        ("The contract will be sent by Friday.", "What will be sent to the lawyer?", "contract"),
        ("Emma's dentist found a hole.", "What did Emma's dentist say?", "dentist"),
        ("The room for the meeting, and toothpaste.", "What is to do?", "contract"),
        ("I am not sure what will be sent to the lawyer.", "What will be sent to the lawyer?", None),
        ("A letter will be sent to those who make up their minds.", "What will be sent to the lawyer?", None),
        ("To the lawyer, by Friday.", "What goes to the lawyer by Friday?", None),
        ("Hello! How can I help you?", "Hi", None),
        ("", "", None),
    ],
)
def test_an_answer_rests_on_what_has_the_words_that_the_question_has_not(
    answer: str, question: str, found: str | None
) -> None:
    assert rests_on(answer, question, SHOWN) == found


@given(TEXTS, TEXTS, st.dictionaries(st.sampled_from("abc"), TEXTS))
def test_it_is_one_of_those_shown_or_none(answer: str, question: str, shown: dict[str, str]) -> None:
    found = rests_on(answer, question, shown)
    assert found is None or found in shown
    assert rests_on(question, question, shown) is None
