"""Where the time of a segment goes."""

from pathlib import Path

from msgspec import UNSET
from trio.testing import MockClock

from engine.listen.stages import KEPT, Passage, Readings, no_audio
from engine.testing import ScriptedVendor, script_of
from engine.transcript.words import Word
from engine.wire.messages import Timing
from tests.listen.harness import parameters, server, silence

STAGES = ("receive", "decode", "queue", "vendor", "merge", "send")


def test_a_passage_is_told_in_microseconds() -> None:
    assert Passage(1_000, 2_999, 3_000, 4_000, told_at=10_000).timing(16_000) == Timing(1, 2, 3, 4, 6, 0)


def test_words_without_audio_have_no_stages_before_their_result() -> None:
    passage = no_audio()
    assert passage.timing(passage.told_at) == Timing(0, 0, 0, 0, 0, 0)


def test_a_position_was_read_with_the_chunk_it_is_in() -> None:
    readings = Readings()
    for position in (100, 200, 300):
        readings.note(position)
    times = [readings.of(position) for position in (50, 100, 101, 300)]
    assert None not in times
    assert times[0] == times[1]
    assert times == sorted(times, key=lambda at: at or 0)
    assert readings.of(301) is None


def test_what_is_read_again_counts_from_then() -> None:
    readings = Readings()
    readings.note(100)
    readings.note(200)
    readings.note(150)
    assert readings.of(200) is None
    assert readings.of(150) is not None


def test_old_readings_are_forgotten() -> None:
    readings = Readings()
    for position in range(1, KEPT + 100):
        readings.note(position)
    first = readings.of(1)
    assert first == readings.of(100)


async def test_segments_are_timed_for_who_asks(tmp_path: Path, autojump_clock: MockClock) -> None:
    words = [Word("Hello.", 0, 8_000)]
    async with server(tmp_path, ScriptedVendor(script_of(words))) as it:
        for asked in (True, False):
            socket = await it.connect(parameters(timing=asked), uid=f"asked-{asked}")
            await socket.until_status("ready")
            await socket.say(silence(1.0))
            await socket.until(lambda s: s.segments())
            (segment,) = socket.segments().values()
            assert ("timing" in segment) is asked
            if asked:
                assert tuple(segment["timing"]) == STAGES
                assert all(value >= 0 for value in segment["timing"].values())
            await socket.leave()
        await it.idle()
        kept = await it.conversations("asked-True")
    assert (kept[0][1][0].text, kept[0][1][0].timing) == ("Hello.", UNSET)
