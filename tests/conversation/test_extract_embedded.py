"""The extractor as a whole: what it gives for any transcript, and what it promises."""

import re

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.extraction import HALVES, score_half
from engine.conversation.extract import EmbeddedExtractor, extract
from engine.conversation.structured import (
    CATEGORIES,
    MAX_ACTION_ITEM_WORDS,
    MAX_MEMORIES,
    MAX_TITLE_WORDS,
    Extraction,
)
from engine.off_loop import worker_threads
from tests.conversation.dialogues import spoken


async def test_it_works_in_a_thread_and_says_the_same_as_the_function() -> None:
    transcript = spoken("A: I'll send you the slides tomorrow.", "B: Great, thanks.")
    assert await EmbeddedExtractor(worker_threads(1)).extract(transcript) == extract(transcript)


def test_an_empty_transcript_has_an_empty_title() -> None:
    assert extract(spoken()).structured.title == ""


def test_another_language_gets_title_and_overview_and_is_told_what_it_does_not_get() -> None:
    found = extract(
        spoken(
            "A: Wir brauchen einen neuen Drucker für das Büro, der alte Drucker ist kaputt.",
            "B: Ich bestelle den Drucker morgen bei dem Händler in Hamburg.",
            language="de-AT",
        )
    )
    assert "Drucker" in found.structured.overview
    assert "drucker" in found.structured.title.lower()
    assert found.structured.action_items == ()
    assert len(found.notices) == 1
    assert "'de-AT'" in found.notices[0]


@pytest.mark.parametrize("name", ["", ".", "Mr.", "(", "Ben|", "İ"])
def test_a_strange_name_is_only_a_name(name: str) -> None:
    transcript = spoken("A: I'll call him tomorrow.", "B: Then send it to me.")
    strange = msgspec.structs.replace(transcript, owner_name=name, people={"B": name})
    assert len(extract(strange).structured.action_items) >= 1


def test_a_long_conversation_is_read_to_its_end() -> None:
    lines = [f"{'AB'[i % 2]}: I'll send report number {i} to office {i} tomorrow." for i in range(600)]
    items = extract(spoken(*lines)).structured.action_items
    assert items[-1].description == "Send report number 599 to office 599"


def test_it_can_be_kept_as_json() -> None:
    found = extract(spoken("A: The meeting is on Friday at two.", "B: I'll send you the slides tomorrow."))
    assert msgspec.json.decode(msgspec.json.encode(found), type=Extraction) == found


SPOKEN = re.findall(
    r"\S+",
    """
    I'll can you please send it the report to me by friday at ten if he said no okay don't forget
    tomorrow on the 31st we need , . ? and then who let me know
    """,
)
SAID = st.text(max_size=80) | st.lists(
    st.sampled_from(SPOKEN),
    max_size=25,
).map(" ".join)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("ABCD"), SAID), max_size=8))
def test_whatever_is_said_the_limits_hold(said: list[tuple[str, str]]) -> None:
    found = extract(spoken(*(f"{who}: {text}" for who, text in said)))
    assert found.structured.category in CATEGORIES
    assert len(found.structured.title.split()) <= MAX_TITLE_WORDS
    assert len(found.memories) <= MAX_MEMORIES
    for item in found.structured.action_items:
        assert 1 <= len(item.description.split()) <= MAX_ACTION_ITEM_WORDS
        assert item.due_at is None or item.due_at.tzinfo is not None


def test_it_does_not_get_worse_on_the_tuning_half() -> None:
    score = score_half(HALVES[0])
    assert score.precision >= 0.85
    assert score.recall >= 0.85
    assert score.due >= 0.85
