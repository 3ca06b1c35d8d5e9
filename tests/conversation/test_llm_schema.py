"""JSON Schemas of the strict form."""

from typing import Annotated

import msgspec

from engine.conversation.llm.schema import answer_schema, strict_schema


class Inner(msgspec.Struct):
    """A part."""

    title: str | None = None
    kind: Annotated[str, msgspec.Meta(extra_json_schema={"enum": ["a", "b"]})] = "a"


class Outer(msgspec.Struct):
    """The whole."""

    parts: list[Inner]
    default: int = 3


def test_every_property_is_required_and_there_are_no_others() -> None:
    schema = strict_schema(Outer)
    assert schema["type"] == "object"
    assert schema["required"] == ["parts", "default"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["parts"] == {"type": "array", "items": {"$ref": "#/$defs/Inner"}}
    assert schema["properties"]["default"] == {"type": "integer"}
    inner = schema["$defs"]["Inner"]
    assert inner["required"] == ["title", "kind"]
    assert inner["additionalProperties"] is False
    assert inner["properties"]["kind"]["enum"] == ["a", "b"]


def test_fields_may_be_called_what_schemas_call_theirs() -> None:
    odd = msgspec.defstruct("Odd", [("properties", int), ("title", list[Inner]), ("default", str, "x")])
    schema = strict_schema(odd)
    assert set(schema["properties"]) == {"properties", "default", "title"}


def test_an_answer_is_named_after_its_type() -> None:
    assert answer_schema(Outer).name == "outer"
