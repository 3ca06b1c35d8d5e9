"""What rules say of a day: real sentences, and nothing that was not said."""

from datetime import date
from typing import Any

import pytest

from engine.conversation.day_summary.document import Stats
from engine.conversation.day_summary.material import Day, Told
from engine.conversation.day_summary.rules import Findings, by_rules
from engine.conversation.structured import Structured
from engine.wire.messages import Segment


def told(id: str, *lines: str, title: str = "", minutes: float = 10.0, **changes: Any) -> Told:
    """A conversation; lines are "name: text"."""
    segments = []
    for n, line in enumerate(lines):
        name, _, text = line.partition(": ")
        segments.append(
            Segment(id=f"{id}-{n}", text=text, speaker=f"SPEAKER_{name}", start=2.0 * n, end=2.0 * n + 2)
        )
    values: dict[str, Any] = {
        "began": "09:30",
        "minutes": minutes,
        "language": "en",
        "structured": Structured(title=title, overview=f"About {title}." if title else ""),
        "segments": segments,
        "to_do": 0,
    }
    return Told(id=id, **values | changes)


def day(*conversations: Told) -> Day:
    stats = Stats(total_conversations=len(conversations), total_duration_minutes=1, action_items_count=0)
    return Day(on=date(2026, 11, 21), conversations=conversations, stats=stats)


def found(*lines: str, **changes: Any) -> Findings:
    return by_rules(day(told("c", *lines, **changes)))


def test_the_day_is_told_by_what_took_most_of_it_in_its_order() -> None:
    titles = ("Breakfast", "Garden fence", "School play", "Tax return", "Bus ride")
    lengths = (2, 40, 30, 50, 1)
    findings = by_rules(
        day(*(told(t, "0: Hello.", title=t, minutes=m) for t, m in zip(titles, lengths, strict=True)))
    )
    assert [each.topic for each in findings.highlights] == ["Breakfast", *titles[1:4]]
    assert [each.conversation_ids for each in findings.highlights] == [(t,) for t in titles[:4]]
    assert findings.headline == "Tax return, Garden fence and School play"
    assert findings.overview.startswith("You had 5 conversations today. About Breakfast. About Garden fence.")


def test_what_came_of_a_conversation_counts_as_minutes_do() -> None:
    short = told("a", "0: Hi.", title="Errands", minutes=1, to_do=9)
    findings = by_rules(day(told("b", "0: Hi.", title="Chatter", minutes=20), short))
    assert findings.headline == "Errands and Chatter"


def test_of_a_day_without_titles_it_is_said_how_many_conversations_there_were() -> None:
    findings = found("0: Hm.")
    assert (findings.headline, findings.overview) == ("Your Day in Review", "You had 1 conversation today.")
    assert findings.highlights == ()


def test_a_long_overview_is_cut_at_a_word() -> None:
    long = Structured(title="Talk", overview="word " * 1000)
    findings = by_rules(day(told("c", "0: Hi.", structured=long)))
    assert len(findings.overview) < 1000
    assert findings.overview.endswith("word…")
    assert len(findings.highlights[0].summary) <= 300


@pytest.mark.parametrize(
    ("filler", "said"),
    [
        ("So ", "We've decided to move the launch to March."),
        ("Okay, ", "Let's go with the blue one for the kitchen."),
        ("", "We agreed to split the bill three ways."),
        ("", "I've decided to take the job in Lisbon."),
        ("Then ", "We’re going with the second supplier."),
    ],
)
def test_decisions_are_found(filler: str, said: str) -> None:
    (decision,) = found(f"0: {filler}{said}").decisions
    assert decision.decision == said
    assert decision.conversation_id == "c"


@pytest.mark.parametrize(
    "said",
    [
        "We haven't decided on the date.",
        "If we decided to move, what would it cost us?",
        "Should we go for the blue one?",
        "I would never have agreed to that.",
        "They decided to close the shop early.",
        "We decided.",
    ],
)
def test_what_is_no_decision_is_not(said: str) -> None:
    assert found(f"0: {said}").decisions == ()


def test_insights_are_sentences_that_say_so() -> None:
    findings = found(
        "0: It turns out that bees can recognise human faces quite well.",
        "1: Really? Did you know about that before today?",
        "1: The trick is to water them only in the evening.",
        "0: Nice weather today, is it not, my friend.",
    )
    assert [each.insight for each in findings.insights] == [
        "It turns out that bees can recognise human faces quite well.",
        "The trick is to water them only in the evening.",
    ]


def test_questions_stay_open_that_nobody_answers() -> None:
    findings = found(
        "0: What time does the train leave tomorrow?",
        "1: At ten past eight.",
        "0: Who pays for the hotel then?",
        "1: Good question, I have to ask.",
        "1: Are we still inviting your cousin?",
    )
    assert [each.question for each in findings.questions] == [
        "Who pays for the hotel then?",
        "Are we still inviting your cousin?",
    ]


def test_who_talks_alone_leaves_open_what_they_say_is() -> None:
    findings = found("0: What was I saying just now? We still need to decide where to stay.")
    assert [each.question for each in findings.questions] == ["We still need to decide where to stay."]


def test_no_more_than_three_of_a_kind_and_none_twice() -> None:
    lines = [
        f"0: We decided to paint the {room} next week." for room in ("hall", "hall", "bath", "roof", "door")
    ]
    decisions = [each.decision for each in found(*lines).decisions]
    assert [each.split()[5] for each in decisions] == ["hall", "bath", "roof"]


def test_sentences_in_another_language_are_left_alone() -> None:
    findings = found("0: Ich habe we decided to move there soon.", language="de", title="Umzug")
    assert (findings.headline, findings.decisions) == ("Umzug", ())
