"""Messages of listen sockets against the AsyncAPI document that promises them."""

from collections.abc import Iterator
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from engine.wire.asyncapi import asyncapi_document

__all__ = ["kind", "wrong"]

DOCUMENT = asyncapi_document("1.2.3")


def strict(schema: Any) -> Any:
    """As `schema`, but an object has no field that is not named."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: strict(value) for key, value in schema.items()}
    return {**inner, "additionalProperties": False} if "properties" in schema else inner


COMPONENTS = {
    "messages": DOCUMENT["components"]["messages"],
    "schemas": strict(DOCUMENT["components"]["schemas"]),
}


def kind(message: Any) -> str:
    if isinstance(message, str):
        return "ping"
    return "segments" if isinstance(message, list) else str(message["type"])


@cache
def _validator(name: str) -> Any:
    payload = {"$ref": f"#/components/messages/{name}/payload", "components": COMPONENTS}
    return Draft202012Validator(payload)


def wrong(channel: str, operation: str, message: Any) -> Iterator[str]:
    """What the document does not promise about a message of `operation`."""
    named = DOCUMENT["operations"][channel + operation]["messages"]
    if f"#/channels/{channel}/messages/{kind(message)}" not in [reference["$ref"] for reference in named]:
        yield f"{kind(message)} is not among the messages of {channel}{operation}"
        return
    for error in _validator(kind(message)).iter_errors(message):
        yield f"{kind(message)}{error.json_path[1:]}: {error.message}"
