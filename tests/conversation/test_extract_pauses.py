"""Reading in small steps."""

from types import SimpleNamespace

import pytest

from engine.conversation.extract import extract, pauses
from engine.conversation.extract.pauses import REST, WORK, Pauses, WithPauses
from tests.conversation.dialogues import spoken

SAID = (
    "A: I'll send you the contract by Friday.",
    "B: Thanks. Can you book the room for the meeting tomorrow at nine?",
    "A: Sure, I will do that this afternoon.",
    "B: My daughter is allergic to peanuts, by the way.",
)


def test_what_is_found_is_the_same_and_every_step_may_pause() -> None:
    steps = 0

    def pause() -> None:
        nonlocal steps
        steps += 1

    transcript = spoken(*SAID)
    assert extract(transcript, pause) == extract(transcript)
    assert steps >= 5 * len(SAID)


def test_other_languages_are_read_in_steps_too() -> None:
    steps: list[None] = []
    german = spoken(*SAID, language="de")
    assert extract(german, lambda: steps.append(None)) == extract(german)
    assert len(steps) >= 2 * len(SAID)


def test_whoever_has_worked_long_enough_rests_and_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    now = 10.0
    monkeypatch.setattr(pauses, "time", SimpleNamespace(perf_counter=lambda: now, sleep=slept.append))
    pause = Pauses()
    pause()
    now += 0.9 * WORK
    pause()
    assert slept == []
    now += 0.2 * WORK
    pause()
    pause()
    assert slept == [REST]
    now += 1.1 * WORK
    pause()
    assert slept == [REST, REST]


def test_items_are_those_there_are_with_a_pause_before_each() -> None:
    steps: list[None] = []
    items = WithPauses((1, 2, 3), lambda: steps.append(None))
    assert (list(items), len(steps)) == ([1, 2, 3], 3)
    assert (len(items), items[1], items[:2], len(steps)) == (3, 2, (1, 2), 3)
