"""Durable facts about the owner, and nobody else."""

import pytest

from engine.conversation.extract import extract
from engine.conversation.structured import MAX_MEMORIES, MAX_MEMORY_WORDS
from tests.conversation.dialogues import spoken


def kept(*said: str) -> list[str]:
    return [memory.content for memory in extract(spoken(*said)).memories]


@pytest.mark.parametrize(
    ("said", "content"),
    [
        ("A: I'm allergic to peanuts.", "Anna is allergic to peanuts"),
        ("A: Well, I live in Hamburg.", "Anna lives in Hamburg"),
        ("A: I play the cello.", "Anna plays the cello"),
        ("A: i work from home", "Anna works from home"),
        ("A: I don't eat meat.", "Anna doesn't eat meat"),
        ("A: My daughter is a pilot.", "Anna's daughter is a pilot"),
        ("A: I'm training for my first marathon.", "Anna is training for their first marathon"),
    ],
)
def test_a_fact_is_told_of_the_owner_in_the_third_person(said: str, content: str) -> None:
    assert kept(said) == [content]


def test_a_fact_the_owner_only_confirms_is_kept() -> None:
    assert kept("D: You're still allergic to penicillin, right?", "A: Yes.") == [
        "Anna is allergic to penicillin"
    ]
    assert kept("D: You're still allergic to penicillin, right?", "A: No.") == []


@pytest.mark.parametrize(
    "said",
    [
        "B: I'm allergic to peanuts.",
        "A: If I live in Hamburg one day, fine.",
        "A: She said I work too much.",
        "A: I'm a bit tired.",
        "A: I'm working on it right now.",
        "A: Do I live in a museum?",
    ],
)
def test_what_passes_or_is_not_the_owners_is_no_memory(said: str) -> None:
    assert kept(said) == []


def test_there_are_few_and_short_ones_and_the_strongest_first() -> None:
    long = " and ".join(["very nice towns with many old houses"] * 4)
    found = kept(
        "A: I love jazz.", f"A: I live in {long}.", "A: I play the drums.", "A: I'm allergic to cats."
    )
    assert found == ["Anna is allergic to cats", "Anna plays the drums"]
    assert len(found) <= MAX_MEMORIES
    assert all(len(content.split()) <= MAX_MEMORY_WORDS for content in found)
