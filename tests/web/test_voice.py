"""/v2/voice-messages and /v2/voice-message/transcribe over the whole application, heard by a scripted vendor."""

import base64
import io
import wave
from pathlib import Path
from typing import Any

import msgspec

from engine.stt.vendor import SAMPLE_RATE
from engine.testing import ScriptedVendor, script_of
from engine.transcript.words import Word
from tests.web.serving import Site, site

WORDS = [Word("When", 1_600, 4_800), Word("is", 4_800, 8_000), Word("it?", 8_000, 11_200)]


def recording(seconds: float = 1.0, channels: int = 1, rate: int = SAMPLE_RATE) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setnchannels(channels)
        written.setsampwidth(2)
        written.setframerate(rate)
        written.writeframes(bytes(2 * channels * round(seconds * rate)))
    return file.getvalue()


async def send(served: Site, path: str, *files: bytes) -> Any:
    named = [("files", (f"{n}.wav", file, "audio/wav")) for n, file in enumerate(files)]
    return await served.request("POST", path, files=named or None)


async def test_recordings_are_transcribed(tmp_path: Path) -> None:
    async with site(tmp_path, vendors=[ScriptedVendor(script_of(WORDS))]) as served:
        for file in (recording(), recording(channels=2)):
            answer = await send(served, "/v2/voice-message/transcribe", file)
            assert answer.json() == {"transcript": "When is it?"}
        both = await send(served, "/v2/voice-message/transcribe", recording(), recording())
        assert both.json() == {"transcript": "When is it? When is it?"}


async def test_a_question_asked_aloud_comes_back_as_a_message_before_its_answer(tmp_path: Path) -> None:
    async with site(tmp_path, vendors=[ScriptedVendor(script_of(WORDS))]) as served:
        answer = await send(served, "/v2/voice-messages", recording())
        first, *_, last, end = answer.text.split("\n\n")
        assert end == ""
        question = msgspec.json.decode(base64.b64decode(first.removeprefix("message: ")))
        done = msgspec.json.decode(base64.b64decode(last.removeprefix("done: ")))
        assert (question["text"], question["sender"]) == ("When is it?", "human")
        assert (await served.get("/v2/messages")).json() == [done, question]


async def test_what_cannot_be_transcribed_is_refused_with_the_reason(tmp_path: Path) -> None:
    async with site(tmp_path, vendors=[ScriptedVendor(script_of([]))]) as served:
        for path, files, status, detail in (
            ("/v2/voice-message/transcribe", [], 422, "files=0 files is not accepted"),
            ("/v2/voice-message/transcribe", [recording(0.1)] * 9, 422, "files=9 files is not accepted"),
            ("/v2/voice-message/transcribe", [b"OggS and so on"], 422, "not a WAV file"),
            ("/v2/voice-message/transcribe", [recording(rate=192_000)], 422, "192000"),
            ("/v2/voice-messages", [recording()], 422, "nothing is said in it"),
            ("/v2/voice-messages?app_id=pirate", [recording()], 403, "pirate"),
        ):
            answer = await send(served, path, *files)
            assert answer.status_code == status, (path, answer.text)
            assert detail in answer.json()["detail"]
        assert (await served.get("/v2/messages")).json() == []
    deaf = tmp_path / "deaf"
    deaf.mkdir()
    async with site(deaf) as served:
        answer = await send(served, "/v2/voice-message/transcribe", recording())
        assert answer.status_code == 503
