"""Speakers told apart and recognised by voice in the whole server, through the local model, which cannot."""

import json
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import numpy as np
import pytest
import trio
from numpy.typing import NDArray

from engine.audio.encoders import create_encoder
from engine.audio.wav import read_wav
from engine.config import Local, Recordings
from engine.stt import LocalWhisper
from engine.testing import ScriptedVendor, script_of
from engine.testing.diarization import SpeakerTurn, diarization_error, read_rttm
from engine.transcript.words import Word
from engine.wire.messages import SpeakerDecision, SpeakerLabelSuggestion
from tests.e2e.running import Running, config, hear_all, running, segments_of, talking
from tests.patience import PATIENCE
from tests.stt.streams import load

AUDIO = Path(__file__).parent.parent / "audio"
MOST_ERROR = 0.25
"""Share of speaker time; no collar, and where two speak at once both count."""
FRAME = 2 * 320


@pytest.mark.parametrize("codec", ["pcm16", "opus", "aac", "lc3"])
async def test_two_people_on_one_telephone_line_are_told_apart(tmp_path: Path, codec: str) -> None:
    truth = read_rttm((AUDIO / "phone-two-speakers.rttm").read_text())
    vendor = LocalWhisper(Local(), data_dir=tmp_path)
    async with (
        running(config(tmp_path), vendor) as server,
        talking(server.url, "ada", codec=codec, sample_rate=16_000) as (client, shown),
    ):
        await hear_all(client, shown, encoded(load("phone-two-speakers"), codec))
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


async def test_who_is_named_on_the_socket_is_recognised_and_suggested_in_the_next_conversation(
    tmp_path: Path,
) -> None:
    stranger = read_wav(AUDIO / "voices" / "two-cities.wav")[0][: 12 * 16_000]
    vendor = LocalWhisper(Local(), data_dir=tmp_path)
    async with running(config(tmp_path), vendor) as server:
        await enrol(server.port, "ada", AUDIO / "beckett.wav")
        person = await asked(server, "POST", "/v1/users/people", json={"name": "Grace"})
        async with talking(server.url, "ada") as (client, shown):
            await hear_all(client, shown, packets(load("austen-0870")))
            message = {
                "type": "speaker_assigned",
                "speaker_id": shown.ordered[0].speaker_id,
                "person_id": person["id"],
                "person_name": "Grace",
                "segment_ids": [one.id for one in shown.ordered],
            }
            await client.send_text(json.dumps(message))
            await shown.until(lambda shown: all(one.person_id == person["id"] for one in shown.ordered))
            with trio.fail_after(PATIENCE):
                await server.log.until("voices.learnt")
        await asked(server, "POST", "/v1/conversations", json={})
        wishes: dict[str, Any] = {"speaker_decisions": True, "speaker_auto_assign": "enabled"}
        async with talking(server.url, "ada", **wishes) as (client, shown):
            pcm = np.concatenate([stranger, np.zeros(2 * 16_000, np.int16), load("austen-0890")])
            await hear_all(client, shown, packets(pcm))
            await shown.until(lambda shown: shown.ordered[-1].person_id)
        first, last = shown.ordered[0], shown.ordered[-1]
        assert first.speaker != last.speaker
        assert {one.person_id for one in shown.ordered if one.speaker == last.speaker} == {person["id"]}
        assert {one.person_id for one in shown.ordered if one.speaker != last.speaker} == {None}
        (suggested,) = [one for one in shown.events if isinstance(one, SpeakerLabelSuggestion)]
        assert (suggested.person_id, suggested.person_name) == (person["id"], "Grace")
        decisions = [one for one in shown.events if isinstance(one, SpeakerDecision)]
        assert {one.person for one in decisions if one.speaker_id == last.speaker_id} == {person["id"]}
        assert all(one.person is None for one in decisions if one.speaker_id != last.speaker_id)
        logged = json.dumps(server.log.entries)
        assert "Grace" not in logged
        assert "voices/" not in logged


async def test_who_enrols_today_is_named_in_yesterdays_conversation_if_it_was_recorded(
    tmp_path: Path,
) -> None:
    stranger = read_wav(AUDIO / "voices" / "two-cities.wav")[0][: 6 * 16_000]
    pcm = np.concatenate([stranger, np.zeros(4 * 16_000, np.int16), load("austen-0890")])
    words = [
        Word(text="It was the best of times.", start=0, end=6 * 16_000, speaker=0),
        Word(text="Unless to be cold.", start=10 * 16_000, end=len(pcm), speaker=1),
    ]
    settings = msgspec.structs.replace(config(tmp_path), recordings=Recordings(keep=True, piece_seconds=6))
    async with running(settings, ScriptedVendor(script_of(words))) as server:
        await asked(server, "POST", "/v1/users/store-recording-permission", params={"value": True})
        person = await asked(server, "POST", "/v1/users/people", json={"name": "Charles"})
        async with talking(server.url, "ada", conversation_timeout=600) as (client, shown):
            await hear_all(client, shown, packets(pcm))
        await server.all_ended(1)
        with trio.fail_after(PATIENCE):
            await server.log.until("recording.ended")
        done = await asked(server, "POST", "/v1/conversations", json={})
        path = f"/v1/conversations/{done['conversation']['id']}"
        assert [one.is_user for one in segments_of(done["conversation"])] == [False, False]

        await enrol(server.port, "ada", AUDIO / "austen-0870.wav")
        again = await asked(server, "POST", f"{path}/reprocess")
        assert [one.is_user for one in segments_of(again)] == [False, True]
        why = await server.get(f"{path}/segments/{segments_of(again)[1].id}/speaker", uid="ada")
        assert (why["person"], why["verdict"]) == ("user", "match")

        named = {"assign_type": "person_id", "value": person["id"]}
        await asked(server, "PATCH", f"{path}/assign-speaker/0", params=named)
        with trio.fail_after(PATIENCE):
            await server.log.until("voices.learnt")
        (shown_person,) = await server.get("/v1/users/people", uid="ada")
        assert len(shown_person["speech_samples"]) == 1
        why = await server.get(f"{path}/segments/{segments_of(again)[0].id}/speaker", uid="ada")
        assert (why["person"], why["verdict"]) == (person["id"], "assigned")


def encoded(pcm: NDArray[np.int16], codec: str) -> list[bytes]:
    """All packets of a recording at 16 kHz."""
    encoder = create_encoder(codec, 16_000)
    return [*encoder.encode(pcm), *encoder.flush()]


def packets(pcm: NDArray[np.int16]) -> list[bytes]:
    data = pcm.tobytes()
    return [data[at : at + FRAME] for at in range(0, len(data), FRAME)]


async def asked(server: Running, method: str, path: str, **options: Any) -> Any:
    """What a request of Ada's is answered, which must be well."""
    headers = {"Authorization": "Bearer dev:ada"}
    answer = await server._http.request(method, path, headers=headers, **options)
    assert answer.status_code in (200, 201), f"{path}: {answer.status_code} {answer.text}"
    return answer.json()


async def enrol(port: int, uid: str, recording: Path) -> None:
    voice = await trio.Path(recording).read_bytes()
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE) as http:
        answer = await http.post(
            "/v3/upload-audio",
            files={"file": ("voice.wav", voice)},
            headers={"Authorization": f"Bearer dev:{uid}"},
        )
    assert answer.status_code == 200, answer.text
