"""The AsyncAPI document of the listen sockets."""

from typing import Any

import msgspec
import pytest

from engine.wire.asyncapi import asyncapi_document
from engine.wire.client_messages import ClientMessage
from engine.wire.messages import Event
from engine.wire.parameters import ListenParameters, parse_parameters

DOCUMENT = asyncapi_document("1.2.3")
PARAMETERS: dict[str, Any] = DOCUMENT["channels"]["listen"]["bindings"]["ws"]["query"]["properties"]

SWITCHES = {"enabled": True, "disabled": False}
"""How some parameters say yes and no."""


def resolve(reference: str) -> Any:
    found: Any = DOCUMENT
    for step in reference.removeprefix("#/").split("/"):
        found = found[step]
    return found


def references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if "$ref" in value else []
        return own + [found for item in value.values() for found in references(item)]
    if isinstance(value, list):
        return [found for item in value for found in references(item)]
    return []


def test_every_reference_leads_somewhere() -> None:
    assert references(DOCUMENT)
    for reference in references(DOCUMENT):
        assert resolve(reference) is not None


def test_every_event_and_every_message_of_a_client_is_in_it() -> None:
    named = {kind.__struct_config__.tag for base in (Event, ClientMessage) for kind in base.__subclasses__()}
    assert named | {"ping", "segments", "audio", "keepalive"} == DOCUMENT["components"]["messages"].keys()
    for message in DOCUMENT["components"]["messages"].values():
        assert message["summary"]


def test_the_first_message_of_a_browser_belongs_to_its_channel_alone() -> None:
    assert "auth" in DOCUMENT["channels"]["webListen"]["messages"]
    assert "auth" not in DOCUMENT["channels"]["listen"]["messages"]
    sent = [reference["$ref"] for reference in DOCUMENT["operations"]["webListenSends"]["messages"]]
    assert "#/channels/webListen/messages/auth_response" in sent


def test_the_query_has_the_parameters_that_are_read_with_their_defaults() -> None:
    made = {"multi_channel", "notices", "idle_flush"}
    assert PARAMETERS.keys() == set(ListenParameters.__struct_fields__) - made
    defaults = msgspec.to_builtins(parse_parameters([]))
    for name, schema in PARAMETERS.items():
        if "default" in schema:
            assert schema["default"] == defaults[name], name


@pytest.mark.parametrize("name", [name for name, schema in PARAMETERS.items() if "enum" in schema])
def test_every_value_that_is_named_is_accepted(name: str) -> None:
    for value in PARAMETERS[name]["enum"]:
        audio = [("sample_rate", "16000")] if name == "codec" else []
        read = parse_parameters([(name, str(value)), *audio])
        assert msgspec.to_builtins(read)[name] == SWITCHES.get(value, value)
