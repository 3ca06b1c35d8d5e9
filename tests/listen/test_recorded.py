"""What sessions say is what the AsyncAPI document promises: the harness looks at every message of every session."""

import json
from pathlib import Path
from typing import Any

from trio.testing import MockClock

from engine.testing import ScriptedVendor, counted_words
from tests.listen.harness import parameters, server, silence
from tests.listen.promised import kind, wrong
from tests.listen.test_session import talk

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
