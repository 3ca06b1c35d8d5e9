"""What each spoil does to an answer."""

import json
from typing import Any

import msgspec
import pytest

from engine.testing import Wrong
from engine.testing._openai_spoils import spoiled

GOOD: dict[str, Any] = {
    "title": "A talk",
    "category": "work",
    "items": [{"due": "2026-01-01", "speaker": "SPEAKER_00", "lines": [1, 2], "done": True, "minutes": 5}],
    "topics": ["boats"],
}
TEXT = msgspec.json.encode(GOOD).decode()


@pytest.mark.parametrize(
    ("wrong", "changes"),
    [
        (Wrong.EXTRA, {"confidence": 0.99, "__proto__": {"admin": True}}),
        (Wrong.WRONG_ENUM, {"category": "Banana"}),
        (Wrong.CUT, {}),
    ],
)
def test_only_what_is_meant_changes(wrong: Wrong, changes: dict[str, Any]) -> None:
    found = json.loads(spoiled(TEXT, wrong))
    if wrong is Wrong.EXTRA:
        assert found["items"][0].pop("confidence") == 0.99
        del found["items"][0]["__proto__"]
    assert found == GOOD | changes


@pytest.mark.parametrize(
    ("wrong", "item"),
    [
        (Wrong.MISSING, {"due": "2026-01-01", "lines": [1, 2], "minutes": 5}),
        (Wrong.INVENTED, GOOD["items"][0] | {"speaker": "SPEAKER_77", "lines": [1001, 1002]}),
    ],
)
def test_items_are_spoiled(wrong: Wrong, item: dict[str, Any]) -> None:
    assert json.loads(spoiled(TEXT, wrong))["items"] == [item]


def test_numbers_become_nan() -> None:
    text = spoiled(TEXT, Wrong.NAN)
    assert '"minutes":NaN' in text
    assert '"lines":[NaN,NaN]' in text
    assert '"done":true' in text


def test_what_is_to_be_no_json_is_none() -> None:
    for wrong in (Wrong.NOT_JSON, Wrong.EMPTY, Wrong.TRUNCATED, Wrong.LENGTH, Wrong.FENCE, Wrong.PROSE):
        with pytest.raises(json.JSONDecodeError):
            json.loads(spoiled(TEXT, wrong))
    assert isinstance(json.loads(spoiled(TEXT, Wrong.WRONG_SHAPE)), list)


def test_there_is_too_much_of_everything() -> None:
    assert len(json.loads(spoiled(TEXT, Wrong.TOO_MANY))["topics"]) == 500
    assert len(json.loads(spoiled(TEXT, Wrong.TOO_LONG))["title"]) > 1000
    assert json.loads(spoiled(TEXT, Wrong.REPEATED))["title"].count("A talk") == 50


def test_dates_and_types_are_others() -> None:
    assert json.loads(spoiled(TEXT, Wrong.ABSURD_DATES))["items"][0]["due"] != "2026-01-01"
    item = json.loads(spoiled(TEXT, Wrong.WRONG_TYPES))["items"][0]
    assert (item["minutes"], item["speaker"], item["lines"]) == ("forty-two", 42, {"first": [1, 2]})
