"""What the client is told of how transcription goes."""

from collections.abc import Callable
from pathlib import Path

from trio.testing import MockClock

from engine.stt.vendor import AudioSource, Lag, Ready, StreamOptions, SttEvent
from engine.testing import ScriptedVendor, counted_words
from tests.listen.harness import server


class LateVendor(ScriptedVendor):
    """Falls behind as soon as it is ready, falls further behind, and catches up."""

    async def transcribe(
        self, audio: AudioSource, emit: Callable[[SttEvent], None], options: StreamOptions
    ) -> None:
        def emit_lags(event: SttEvent) -> None:
            emit(event)
            if isinstance(event, Ready):
                for seconds in (12.34, 20.0, 0.0):
                    emit(Lag(seconds))

        await super().transcribe(audio, emit_lags, options)


async def test_a_client_is_told_once_that_its_transcript_is_late_and_once_that_it_is_not(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with server(tmp_path, LateVendor(counted_words(0.5))) as it:
        socket = await it.connect()
        await socket.until_status("stt_caught_up")
        (lagging,) = socket.statuses("stt_lagging")
        assert lagging["lag_seconds"] == 12.3
        assert len(socket.statuses("stt_caught_up")) == 1
        await socket.leave()
        await it.idle()
