"""What real sessions say, against the AsyncAPI document that promises it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from trio.testing import MockClock

from engine.testing import ScriptedVendor, counted_words
from engine.wire.asyncapi import asyncapi_document
from tests.listen.harness import MemorySocket, parameters, server, silence
from tests.listen.test_session import talk

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


def wrong(channel: str, operation: str, message: Any) -> Iterator[str]:
    """What the document does not promise about a message of `operation`."""
    named = DOCUMENT["operations"][channel + operation]["messages"]
    if f"#/channels/{channel}/messages/{kind(message)}" not in [reference["$ref"] for reference in named]:
        yield f"{kind(message)} is not among the messages of {channel}{operation}"
        return
    payload = {"$ref": f"#/components/messages/{kind(message)}/payload", "components": COMPONENTS}
    for error in Draft202012Validator(payload).iter_errors(message):
        yield f"{kind(message)}{error.json_path[1:]}: {error.message}"


def complaints(socket: MemorySocket) -> list[str]:
    said = [*socket.messages, *["ping"] * socket.pings]
    return [complaint for message in said for complaint in wrong("listen", "Sends", message)]


SUGGESTED = {
    "type": "suggested_transcript",
    "segments": [
        {"text": "I went to the", "speaker": "SPEAKER_00", "start": 0.0, "end": 2.0},
        {"text": "market.", "speaker": "SPEAKER_01", "start": 2.1, "end": 3.0},
    ],
}


async def test_every_message_of_a_recorded_session_is_as_the_document_says(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    asked = parameters(interim_results=True, timing=True, conversation_timeout=5)
    async with server(tmp_path, ScriptedVendor(counted_words(0.5))) as it:
        socket = await it.connect(asked)
        await socket.until_status("ready")
        await talk(socket, 12)
        await socket.say(json.dumps({"type": "flush"}))
        await socket.until_status("flushed")
        await socket.until(lambda s: s.events("memory_created"))
        await socket.leave()
        again = await it.connect(asked)
        await again.until(lambda s: s.events("last_memory"))
        await again.leave()
        await it.idle()
    assert complaints(socket) == complaints(again) == []
    told = {kind(message) for message in socket.messages}
    assert {"service_status", "segments", "memory_processing_started", "memory_created"} <= told
    assert socket.pings


async def test_every_message_of_a_client_that_transcribes_itself_is_as_the_document_says(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    messages: list[Any] = [SUGGESTED, {"type": "flush"}]
    async with server(tmp_path, ScriptedVendor(counted_words(0.5))) as it:
        socket = await it.connect(parameters(custom_stt=True))
        await socket.until_status("ready")
        await socket.say(silence(0.02))
        for message in messages:
            await socket.say(json.dumps(message))
        await socket.until_status("flushed")
        await socket.leave()
        await it.idle()
    assert complaints(socket) == []
    assert "segments" in {kind(message) for message in socket.messages}
    assert [list(wrong("listen", "Receives", message)) for message in messages] == [[], []]


def test_a_message_that_is_not_as_promised_is_found() -> None:
    assert list(wrong("listen", "Sends", {"type": "last_memory"})) == [
        "last_memory: 'memory_id' is a required property"
    ]
    extra = {"type": "last_memory", "memory_id": "m", "more": 1}
    assert "more" in next(wrong("listen", "Sends", extra))
    assert "not among" in next(wrong("listen", "Sends", {"type": "auth_response", "success": True}))
    assert list(wrong("webListen", "Sends", {"type": "auth_response", "success": True})) == []
