"""Recordings given whole: who transcribes them, and what is said when nobody can."""

import io
import wave
from collections.abc import Callable

import pytest
from trio.testing import MockClock

from engine.config import Config, Session
from engine.listen.recordings import Recordings, Untranscribable
from engine.stt.vendor import SAMPLE_RATE, AudioSource, Fault, StreamOptions, SttEvent, VendorError
from engine.testing import ScriptedVendor, script_of
from engine.transcript.words import Word
from tests.listen.harness import inline

HELLO = script_of([Word("Hello.", 1_600, 8_000)])


def recording(seconds: float = 1.0) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(2)
        written.setframerate(SAMPLE_RATE)
        written.writeframes(bytes(2 * round(seconds * SAMPLE_RATE)))
    return file.getvalue()


class German(ScriptedVendor):
    def speaks(self, language: str) -> bool:
        return language == "de"


class Gone(ScriptedVendor):
    async def transcribe(
        self, audio: AudioSource, emit: Callable[[SttEvent], None], options: StreamOptions
    ) -> None:
        raise VendorError(Fault.RETRY_NOW, "gone")


async def test_the_first_who_speaks_the_language_transcribes(autojump_clock: MockClock) -> None:
    german = German(script_of([Word("Hallo.", 1_600, 8_000)]), name="german")
    recordings = Recordings([german, ScriptedVendor(HELLO)], Config(), inline)
    assert await recordings.transcribe(recording(), "de") == "Hallo."
    assert await recordings.transcribe(recording(), "en") == "Hello."
    assert await recordings.transcribe(recording(0), "en") == ""


async def test_who_is_at_fault_is_told_apart(autojump_clock: MockClock) -> None:
    config = Config(session=Session(stt_exhausted_timeout=5))
    recordings = Recordings([German(HELLO, name="german"), Gone(HELLO)], config, inline)
    for file, language, text, theirs in (
        (b"RIFF", "de", "not a WAV file", True),
        (recording(), "en", "right now", False),
    ):
        with pytest.raises(Untranscribable, match=text) as caught:
            await recordings.transcribe(file, language)
        assert caught.value.theirs is theirs
    with pytest.raises(Untranscribable, match="language: 'en'") as caught:
        await Recordings([German(HELLO)], config, inline).transcribe(recording(), "en")
    assert not caught.value.theirs
