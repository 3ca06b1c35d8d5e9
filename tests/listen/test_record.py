"""Where in its conversation a session's words are."""

from pathlib import Path

import trio.testing
from trio.testing import MockClock

from engine.stt.vendor import SAMPLE_RATE
from engine.testing import ScriptedVendor, script_of
from engine.transcript.words import Word
from tests.listen.harness import server, silence


async def test_a_word_in_whose_middle_a_conversation_begins_is_at_its_beginning(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    words = [
        Word("One.", 0, 8_000),
        Word("Straddling.", 15_200, 17_600),
        Word("Two.", 24_000, 28_000),
    ]
    async with server(tmp_path, ScriptedVendor(script_of(words))) as it:
        socket = await it.connect()
        await socket.until_status("ready")
        await socket.say(silence(1.0))
        await trio.testing.wait_all_tasks_blocked()
        await it.lifecycle.finish("ada")
        await socket.say(silence(1.0))
        await socket.until(lambda s: "Two." in s.text())
        await socket.leave()
        await it.idle()
        rows = await it.conversations()
    (following,) = [segments for _, segments in rows if "Two." in " ".join(s.text for s in segments)]
    assert following[0].text.startswith("Straddling.")
    assert (following[0].start, following[-1].end) == (0.0, 28_000 / SAMPLE_RATE - 1.0)
