"""What a model is asked about a day, and how little of its answer is believed."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.conversation.day_summary.notes import DayNotes, day_messages, findings_of
from engine.conversation.day_summary.rules import Findings
from engine.conversation.llm.ask import Unusable
from engine.conversation.llm.schema import answer_schema
from engine.conversation.llm.sift import Sift
from engine.conversation.llm.windows import estimate_tokens
from engine.conversation.structured import Structured

from .test_day_summary_rules import day, told

DAY = day(
    told("id-one", "0: We should buy the tent.", "1: Yes.", title="Camping", minutes=30),
    told("id-two", "0: The meeting moved.", title="Work", minutes=5),
)
ANSWER: dict[str, Any] = {
    "headline": "Plans for the tent",
    "overview": "You spoke about camping and work.",
    "emoji": "⛺",
    "highlights": [{"topic": "Camping", "emoji": "⛺", "summary": "A tent is wanted.", "conversations": [1]}],
    "unresolved_questions": [{"text": "Which tent?", "conversation": 1}],
    "decisions": [{"text": "Buy a tent", "conversation": 1}],
    "insights": [{"text": "Meetings move", "conversation": 2}],
}


def read(**changes: Any) -> tuple[Findings, Counter[str]]:
    sift = Sift(datetime(2026, 11, 21, tzinfo=UTC), ZoneInfo("UTC"))
    return findings_of(ANSWER | changes, DAY, sift), +sift.doubts


def asked(budget: int, of: Any = DAY) -> str:
    return str(day_messages(of, budget)[1].content)


def test_a_good_answer_is_taken_as_it_is() -> None:
    findings, doubts = read()
    assert (findings.headline, findings.emoji) == ("Plans for the tent", "⛺")
    assert findings.highlights[0].conversation_ids == ("id-one",)
    assert findings.questions[0].conversation_id == "id-one"
    assert findings.decisions[0].decision == "Buy a tent"
    assert findings.insights[0].conversation_id == "id-two"
    assert doubts == Counter()


def test_conversations_that_there_are_not_are_dropped() -> None:
    findings, doubts = read(
        highlights=[
            {"topic": "A", "emoji": "💡", "summary": "B", "conversations": [7, 1, True, "id-two", 1]},
            {"topic": "C", "emoji": "💡", "summary": "D", "conversations": [0]},
            {"topic": "E", "emoji": "💡", "summary": "F", "conversations": []},
        ],
        decisions=[{"text": "x", "conversation": 3}, {"text": "y", "conversation": -1}],
        insights=[{"text": "z", "conversation": None}],
    )
    assert [each.conversation_ids for each in findings.highlights] == [("id-one",)]
    assert (findings.decisions, findings.insights) == ((), ())
    assert doubts["invented"] >= 5


def test_lists_that_are_too_long_are_cut_and_what_is_said_twice_is_said_once() -> None:
    many = [{"topic": str(n), "emoji": "💡", "summary": "s", "conversations": [1]} for n in range(9)]
    same = [{"text": "the same", "conversation": 1}] * 3
    findings, doubts = read(highlights=many, decisions=same, insights=same * 10)
    assert (len(findings.highlights), len(findings.decisions), len(findings.insights)) == (4, 1, 1)
    assert doubts["too_many"] == 5 + 27


@pytest.mark.parametrize("missing", [{"headline": ""}, {"overview": None}, {"headline": ["x"]}])
def test_an_answer_that_does_not_say_what_the_day_was_like_is_of_no_use(missing: dict[str, Any]) -> None:
    with pytest.raises(Unusable):
        read(**missing)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 9) | st.floats() | st.text(max_size=8),
    lambda inside: (
        st.lists(inside, max_size=4)
        | st.dictionaries(
            st.sampled_from(("text", "conversation", "topic", "conversations", "summary")), inside
        )
    ),
    max_leaves=12,
)


@settings(max_examples=40)
@given(st.dictionaries(st.sampled_from(DayNotes.__struct_fields__), JSON))
def test_whatever_a_model_says_makes_nothing_that_is_not_of_the_day(said: dict[str, Any]) -> None:
    findings, _ = read(**{"headline": "H", "overview": "O", **said}) if _told(said) else read()
    ids = {id for each in findings.highlights for id in each.conversation_ids}
    ids |= {each.conversation_id for each in findings.questions}
    ids |= {each.conversation_id for each in findings.decisions}
    ids |= {each.conversation_id for each in findings.insights}
    assert ids <= {"id-one", "id-two"}
    assert len(findings.highlights) <= 4
    assert all(len(found) <= 3 for found in (findings.questions, findings.decisions, findings.insights))


def _told(said: dict[str, Any]) -> bool:
    return not {"headline", "overview"} & said.keys()


def test_the_question_has_numbers_and_no_ids() -> None:
    question = asked(4000)
    assert "[1] 09:30, 30 min: Camping. About Camping." in question
    assert "[2] 09:30, 5 min: Work." in question
    assert "SPEAKER_0: We should buy the tent." in question
    assert "id-one" not in question


def test_the_question_keeps_to_its_budget_and_leaves_out_the_least() -> None:
    talk = [f"0: Sentence {n} of a long talk about nothing at all." for n in range(200)]
    many = day(
        *(
            told(f"c{n}", *talk, minutes=n, structured=Structured(title=f"Title {n}", overview="word " * 400))
            for n in range(60)
        )
    )
    around = estimate_tokens(asked(0, many))
    for budget in (200, 1000, 5000, 50_000):
        question = asked(budget, many)
        assert estimate_tokens(question) <= 1.02 * (budget + around)
        assert "Title 59." in question
        assert ("Title 0." in question) == (budget >= 5000)
    assert "Sentence 3 of" in asked(50_000, many)


def test_the_schema_of_the_answer_asks_for_every_field() -> None:
    assert list(answer_schema(DayNotes).schema["properties"]) == list(DayNotes.__struct_fields__)
