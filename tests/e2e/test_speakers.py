"""Speakers told apart by voice in the whole server: a telephone call through the local model, which cannot."""

from pathlib import Path

import httpx2
import trio

from engine.audio.wav import read_wav
from engine.config import Local
from engine.stt import LocalWhisper
from engine.testing.diarization import SpeakerTurn, diarization_error, read_rttm
from tests.e2e.running import config, hear_all, running, talking
from tests.stt.streams import load

AUDIO = Path(__file__).parent.parent / "audio"
MOST_ERROR = 0.25
"""Share of speaker time; no collar, and where two speak at once both count."""
FRAME = 2 * 320


async def test_two_people_on_one_telephone_line_are_told_apart(tmp_path: Path) -> None:
    truth = read_rttm((AUDIO / "phone-two-speakers.rttm").read_text())
    pcm = load("phone-two-speakers").tobytes()
    vendor = LocalWhisper(Local(), data_dir=tmp_path)
    async with (
        running(config(tmp_path), vendor) as server,
        talking(server.url, "ada", codec="pcm16", sample_rate=16_000) as (client, shown),
    ):
        await hear_all(client, shown, [pcm[at : at + FRAME] for at in range(0, len(pcm), FRAME)])
        await client.close()
        await shown.until_over()
    turns = [SpeakerTurn(one.start, one.end, one.speaker) for one in shown.ordered]
    error = diarization_error(truth, turns)
    assert error.speakers == 2
    assert {turn.speaker for turn in turns} == {"SPEAKER_00", "SPEAKER_01"}
    assert error.rate <= MOST_ERROR, error


async def test_who_has_enrolled_is_recognised_and_a_stranger_is_not(tmp_path: Path) -> None:
    stranger = read_wav(AUDIO / "voices" / "two-cities.wav")[0][: 12 * 16_000]
    pcm = b"".join([stranger.tobytes(), bytes(2 * 16_000), load("austen-0890").tobytes()])
    packets = [pcm[at : at + FRAME] for at in range(0, len(pcm), FRAME)]
    vendor = LocalWhisper(Local(), data_dir=tmp_path)
    async with running(config(tmp_path), vendor) as server:
        await enrol(server.port, "ada", AUDIO / "austen-0870.wav")
        async with talking(server.url, "ada", codec="pcm16", sample_rate=16_000) as (client, shown):
            await hear_all(client, shown, packets)
            await shown.until(lambda shown: shown.ordered[-1].is_user)  # turns are looked at in order
            (conversation,) = await server.conversations("ada")
            own = shown.ordered[-1]
            path = f"/v1/conversations/{conversation['id']}/segments"
            named = await server.get(f"{path}/{own.id}/speaker", uid="ada")
            unnamed = await server.get(f"{path}/{shown.ordered[0].id}/speaker", uid="ada")
            await client.close()
        said = shown.ordered
    assert [one.speaker == own.speaker for one in said] == [one.is_user for one in said]
    assert not said[0].is_user
    assert (named["person"], named["best"], named["verdict"]) == ("user", "user", "match")
    assert named["score"] >= named["threshold"]
    assert (unnamed["person"], unnamed["verdict"]) == (None, "too_different")


async def enrol(port: int, uid: str, recording: Path) -> None:
    voice = await trio.Path(recording).read_bytes()
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as http:
        answer = await http.post(
            "/v3/upload-audio",
            files={"file": ("voice.wav", voice)},
            headers={"Authorization": f"Bearer dev:{uid}"},
        )
    assert answer.status_code == 200, answer.text
