"""What a user has set about how they are transcribed reaches whoever transcribes."""

from collections.abc import Callable
from pathlib import Path

import pytest
from trio.testing import MockClock

from engine.stt.vendor import AudioSource, StreamOptions, SttEvent
from engine.testing import ScriptedVendor, script_of
from tests.listen.harness import parameters, server

VOCABULARY = ["Omi", "Based Hardware"]


class Noting(ScriptedVendor):
    """Remembers what it was asked for; speaks German and English."""

    def __init__(self) -> None:
        super().__init__(script_of([]))
        self.asked: list[StreamOptions] = []

    def speaks(self, language: str) -> bool:
        return language in ("de", "en", "multi")

    async def transcribe(
        self, audio: AudioSource, emit: Callable[[SttEvent], None], options: StreamOptions
    ) -> None:
        self.asked.append(options)
        await super().transcribe(audio, emit, options)


@pytest.mark.parametrize(
    ("asked", "language", "single", "heard"),
    [
        ("multi", "de", True, "de"),
        ("multi", "de", False, "multi"),
        ("multi", "", True, "multi"),
        ("multi", "fr", True, "multi"),
        ("en", "de", True, "en"),
    ],
)
async def test_a_user_of_one_language_is_heard_in_it_where_several_were_asked_for(
    tmp_path: Path, autojump_clock: MockClock, asked: str, language: str, single: bool, heard: str
) -> None:
    vendor = Noting()
    async with server(tmp_path, vendor) as it:
        set_by_user = {"language": language, "single_language_mode": single, "vocabulary": VOCABULARY}
        await it.store.users.change("ada", set_by_user)
        socket = await it.connect(parameters(language=asked))
        await socket.until_status("ready")
        await socket.leave()
        await it.idle()
    (options,) = vendor.asked
    assert (options.language, options.vocabulary) == (heard, tuple(VOCABULARY))
