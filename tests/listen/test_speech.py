"""What counts as silence on a timeline that is partly transcribed, and on the clock after it."""

from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from engine.audio.ring import Ring
from engine.listen.backlog import Backlog
from engine.listen.speech import UNHEARD_TOLERANCE, Speech
from engine.listen.spill import Spill
from engine.stt.vendor import SAMPLE_RATE, Activity
from tests.listen.harness import inline

SECONDS = 8


def make(tmp_path: Path) -> tuple[Ring, Backlog, Speech]:
    ring = Ring(2 * SECONDS * SAMPLE_RATE)
    backlog = Backlog(ring, Spill(tmp_path, 0, inline), 0)
    return ring, backlog, Speech(ring, backlog)


def receive(ring: Ring, speech: Speech, seconds: float) -> None:
    ring.write(memoryview(bytes(2 * int(seconds * SAMPLE_RATE))).cast("h"))
    speech.came()


async def test_before_any_speech_there_is_no_silence(tmp_path: Path) -> None:
    ring, _, speech = make(tmp_path)
    receive(ring, speech, 2.0)
    assert (speech.silence(), speech.since()) == (None, None)


async def test_silence_is_counted_on_what_was_transcribed_and_then_on_the_clock(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    ring, backlog, speech = make(tmp_path)
    receive(ring, speech, 4.0)
    assert speech.spoken(0, SAMPLE_RATE) is None
    backlog.cover(2 * SAMPLE_RATE)
    assert speech.silence() == 1.0, "two seconds are not transcribed: they may be speech"
    backlog.cover(4 * SAMPLE_RATE)
    await trio.sleep(5)
    assert speech.silence() == pytest.approx(8.0)
    assert speech.age(4 * SAMPLE_RATE) == pytest.approx(5.0)


async def test_speech_after_a_silence_tells_which_silence_it_broke(tmp_path: Path) -> None:
    ring, _, speech = make(tmp_path)
    receive(ring, speech, 4.0)
    speech.spoken(100, 200)
    assert speech.spoken(150, 300) is None, "it overlaps what was spoken before"
    assert speech.activity(Activity(500, speaking=True)) == (300, 500)
    assert speech.activity(Activity(700, speaking=False)) is None
    assert speech.spoken(900, 950) == (700, 900)
    speech.forget()
    assert speech.spoken(2000, 2100) is None, "a new conversation has no silence yet"


async def test_speech_waits_while_somebody_speaks_or_the_vendor_has_not_read(tmp_path: Path) -> None:
    ring, backlog, speech = make(tmp_path)
    receive(ring, speech, 0.5)
    assert not speech.waiting
    speech.activity(Activity(100, speaking=True))
    assert speech.waiting
    speech.interrupted()
    assert not speech.waiting, "the vendor that heard it is gone"
    speech.activity(Activity(4000, speaking=False))
    assert speech.waiting, "the end of the speech is not covered"
    backlog.cover(4000)
    assert not speech.waiting
    receive(ring, speech, UNHEARD_TOLERANCE / SAMPLE_RATE)
    assert speech.waiting, "a second and more that nobody has read"


async def test_where_the_client_transcribes_nothing_waits(tmp_path: Path, autojump_clock: MockClock) -> None:
    ring, _, _ = make(tmp_path)
    speech = Speech(ring, None)
    receive(ring, speech, 3.0)
    speech.heard_elsewhere()
    await trio.sleep(2)
    assert not speech.waiting
    assert speech.silence() == pytest.approx(2.0)
