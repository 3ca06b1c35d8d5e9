"""Who undertook what until when, and what only sounds like it."""

import tomllib
from pathlib import Path

import pytest

from engine.conversation.extract import extract
from tests.conversation.dialogues import label, local, spoken

DIALOGUES = tomllib.loads(Path(__file__).with_name("dialogues.toml").read_text(encoding="utf-8"))
FOUND = [(dialogue["said"], dialogue["items"]) for dialogue in DIALOGUES["found"]]
NOTHING = [dialogue["said"] for dialogue in DIALOGUES["nothing"]]


@pytest.mark.parametrize(("said", "expected"), FOUND, ids=[said[:60] for said, _ in FOUND])
def test_what_somebody_is_to_do_is_found(said: str, expected: list[str]) -> None:
    items = extract(spoken(*said.splitlines())).structured.action_items
    assert len(items) == len(expected), items
    for item, line in zip(items, expected, strict=True):
        who, words, due = (part.strip() for part in line.split("|"))
        assert item.speaker == label(who)
        assert item.is_user is (who == "A")
        assert set(words.split()) <= set(item.description.lower().replace(",", "").split())
        assert local(item.due_at) == due


@pytest.mark.parametrize("said", NOTHING, ids=[said[:60] for said in NOTHING])
def test_what_nobody_undertook_is_no_action_item(said: str) -> None:
    assert extract(spoken(*said.splitlines())).structured.action_items == ()
