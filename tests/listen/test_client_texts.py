"""What a client's text messages do, over a whole session on a memory socket."""

import json
from pathlib import Path

from trio.testing import MockClock

from engine.stt.vendor import SAMPLE_RATE
from engine.testing import ScriptedVendor, counted_words
from tests.listen.harness import server, silence


async def test_what_is_no_message_we_know_changes_nothing_but_a_count(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with server(tmp_path, ScriptedVendor(counted_words(0.5))) as it:
        socket = await it.connect()
        await socket.until_status("ready")
        for text in ("{", "[1]", '{"type": "sing"}', '"flush"'):
            await socket.say(text)
        await socket.say(silence(1.0))
        await socket.say(json.dumps({"type": "flush"}))
        await socket.until_status("flushed")
        (session,) = it.service.live()
        assert (session.ignored, session.pipeline.received) == (4, SAMPLE_RATE)
        await socket.leave()
        await it.idle()


async def test_a_transcript_of_its_own_is_refused_with_what_it_needs(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with server(tmp_path, ScriptedVendor(counted_words(0.5))) as it:
        socket = await it.connect()
        await socket.until_status("ready")
        segment = {"text": "Bring milk.", "start": 1.0, "end": 2.0, "is_user": True, "id": "a"}
        await socket.say(json.dumps({"type": "suggested_transcript", "segments": [segment]}))
        await socket.until(lambda s: any("custom_stt" in e["status_text"] for e in s.statuses("notice")))
        assert socket.segments() == {}
        await socket.leave()
        await it.idle()
