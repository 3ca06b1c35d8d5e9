"""JSON Schemas of msgspec types, in the strict form that structured output and tool calls want.

The strict form (OpenAI, "Structured model outputs"): the root is an object; every object lists all its properties
as required and takes no others; there are no defaults. What may be missing is written as `… | None`.
"""

from typing import Any

import msgspec

from engine.conversation.llm.port import AnswerSchema

__all__ = ["answer_schema", "strict_schema"]

_DROPPED = ("default", "title")


def answer_schema(type_: type[msgspec.Struct]) -> AnswerSchema:
    """The schema an answer decodable as `type_` has, under the type's name."""
    return AnswerSchema(type_.__name__.strip("_").lower(), strict_schema(type_))


def strict_schema(type_: type[msgspec.Struct]) -> dict[str, Any]:
    """The strict JSON Schema of `type_`, definitions of nested types under `$defs`."""
    document = msgspec.json.schema(type_)
    definitions: dict[str, Any] = document.pop("$defs")
    root = definitions.pop(document.pop("$ref").rpartition("/")[2])
    schema: dict[str, Any] = _strict(root)
    if definitions:
        schema["$defs"] = {name: _strict(definition) for name, definition in definitions.items()}
    return schema


def _strict(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "properties" in schema:
        properties = {name: _strict(one) for name, one in schema["properties"].items()}
        rest = {k: v for k, v in schema.items() if k not in (*_DROPPED, "properties", "required")}
        return rest | {
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }
    return {name: _strict(one) for name, one in schema.items() if name not in _DROPPED}
