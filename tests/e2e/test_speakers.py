"""Speakers told apart by voice in the whole server: a telephone call through the local model, which cannot."""

from pathlib import Path

from engine.config import Local
from engine.stt import LocalWhisper
from engine.testing.diarization import SpeakerTurn, diarization_error, read_rttm
from tests.e2e.running import config, hear_all, running, segments_of, talking
from tests.stt.streams import load

AUDIO = Path(__file__).parent.parent / "audio"
MOST_ERROR = 0.25
"""Share of speaker time; no collar, and where two speak at once both count."""
FRAME = 2 * 320


async def test_two_people_on_one_telephone_line_are_told_apart(tmp_path: Path) -> None:
    truth = read_rttm((AUDIO / "phone-two-speakers.rttm").read_text())
    pcm = load("phone-two-speakers").tobytes()
    vendor = LocalWhisper(Local(), data_dir=tmp_path)
    async with running(config(tmp_path), vendor) as server:
        async with talking(server.url, "ada", codec="pcm16", sample_rate=16_000) as (client, shown):
            await hear_all(client, shown, [pcm[at : at + FRAME] for at in range(0, len(pcm), FRAME)])
            await client.close()
        await server.all_ended(1)
        (conversation,) = await server.conversations("ada")
    turns = [SpeakerTurn(one.start, one.end, one.speaker) for one in segments_of(conversation)]
    error = diarization_error(truth, turns)
    assert error.speakers == 2
    assert {turn.speaker for turn in turns} == {"SPEAKER_00", "SPEAKER_01"}
    assert error.rate <= MOST_ERROR, error
