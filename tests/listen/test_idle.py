"""Audio that stops coming is transcribed to its end, unless there is more that nobody has looked at yet."""

from collections.abc import Callable
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from engine.config import Config
from engine.listen.opening import breakers_for, open_pipeline, ring_pool
from engine.listen.unpacking import Unpacking
from engine.stt.vendor import AudioSource, StreamOptions, SttEvent
from tests.listen.harness import inline

IDLE = 1.0
PACKET = bytes(640)


class Unasked:
    """A vendor that is not asked for anything here."""

    name = provider = "unasked"

    def speaks(self, language: str) -> bool:
        return True

    async def prepare(self) -> None:
        return None

    async def transcribe(
        self, audio: AudioSource, emit: Callable[[SttEvent], None], options: StreamOptions
    ) -> None:
        raise AssertionError("nobody began to transcribe")


@pytest.mark.parametrize("unread", [True, False])
async def test_audio_that_is_there_but_was_not_looked_at_is_no_end(
    autojump_clock: MockClock, tmp_path: Path, unread: bool
) -> None:
    config = Config()
    opened = open_pipeline(
        codec="pcm16",
        sample_rate=16_000,
        channels=1,
        pool=ring_pool(config),
        spill_folder=tmp_path,
        off_loop=inline,
        unpacking=Unpacking(inline, 1),
        config=config,
        vendors=(Unasked(),),
        breakers=breakers_for(config),
        options=StreamOptions(session_id="s"),
    )
    with opened as pipeline:
        intake = pipeline.open_intake(keepalive=2, alarm=50)
        assert intake is not None
        intake.unread = lambda: unread
        await pipeline.feed(PACKET)
        assert pipeline.flush_when_idle(IDLE) == trio.current_time() + IDLE
        await trio.sleep(IDLE)
        assert pipeline.flush_when_idle(IDLE) == trio.current_time() + IDLE
        flushed = None
        with trio.move_on_after(IDLE):
            flushed = (await pipeline._backlog.read(16_000)).flush
        assert flushed is (None if unread else True)
