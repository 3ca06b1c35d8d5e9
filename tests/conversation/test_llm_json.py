"""JSON found in what models answer."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.conversation.llm.answer_json import DEPTH, LIMIT, NotJson, find_json

OBJECT = {"title": 'A {b} [c], "d"', "items": [{"x": 1}, {"y": None}], "n": {"deep": [[1, 2], []]}}
TEXT = json.dumps(OBJECT)

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
objects = st.dictionaries(st.text(max_size=5), values, max_size=5)


@pytest.mark.parametrize(
    ("text", "repairs"),
    [
        (TEXT, ()),
        (f"\ufeff  {TEXT}\n", ()),
        (f"```json\n{TEXT}\n```", ("fence",)),
        (f"```\n{TEXT}```", ("fence",)),
        (f"Here {{you}} are:\n```JSON\n{TEXT}\n```\nBye!", ("fence",)),
        (f"```json\n{TEXT}", ("fence",)),
        (f"Sure! {TEXT}", ("prose",)),
        (f"{TEXT} I hope {{that}} helps.", ("prose",)),
        (f"As {{asked}}: {TEXT}", ("prose",)),
    ],
)
def test_an_object_is_found_in_what_is_around_it(text: str, repairs: tuple[str, ...]) -> None:
    found = find_json(text)
    assert found.value == OBJECT
    assert found.repairs == repairs


def test_of_an_object_cut_off_all_that_is_complete_is_kept() -> None:
    text = '{"title": "A", "items": [{"d": "x", "due": null}, {"d": "y", "du'
    found = find_json(text)
    assert found.value == {"title": "A", "items": [{"d": "x", "due": None}, {"d": "y"}]}
    assert found.repairs == ("truncated",)


def test_numbers_that_are_none_are_null() -> None:
    found = find_json('{"a": NaN, "b": [-Infinity, 1], "c": "NaN, Infinity"}')
    assert found.value == {"a": None, "b": [None, 1], "c": "NaN, Infinity"}
    assert found.repairs == ("not_a_number",)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        (" \n\t ", "empty"),
        ("I cannot.", "not_json"),
        ("{", "not_json"),
        ("{'single': 1}", "not_json"),
        ("{]", "not_json"),
        ("[1, 2]", "wrong_shape"),
        ('"text"', "wrong_shape"),
        ("null", "wrong_shape"),
        ('{"a":' * 100_000, "too_long"),
        ("x" * (LIMIT + 1), "too_long"),
    ],
)
def test_what_is_no_object_is_named(text: str, reason: str) -> None:
    with pytest.raises(NotJson) as caught:
        find_json(text)
    assert caught.value.reason == reason


def test_what_is_nested_too_deeply_is_cut_off() -> None:
    found = find_json("See: " + '{"a":' * (2 * DEPTH) + "1" + "}" * (2 * DEPTH))
    assert msgspec.json.encode(found.value).count(b"{") <= DEPTH + 1
    assert found.repairs == ("prose", "truncated")


@given(objects)
def test_any_object_comes_back(value: dict[str, Any]) -> None:
    text = json.dumps(value)
    assert find_json(text).value == value
    assert find_json(f"so: {text} and").value == value


@given(objects, st.data())
def test_any_object_cut_anywhere_gives_part_of_it_or_says_so(
    value: dict[str, Any], data: st.DataObject
) -> None:
    text = json.dumps(value)
    cut = data.draw(st.integers(0, len(text)))
    try:
        found = find_json(text[:cut])
    except NotJson:
        return
    assert found.value.keys() <= value.keys()
    whole = [key for key in found.value if found.value[key] == value[key]]
    assert len(whole) >= len(found.value) - 1


@given(st.text(alphabet='{}[]",:\\ NaInfity01e-x`j\n', max_size=200))
def test_no_text_whatever_does_more_than_say_so(text: str) -> None:
    try:
        found = find_json(text)
    except NotJson:
        return
    assert isinstance(found.value, dict)
    msgspec.json.encode(found.value)
