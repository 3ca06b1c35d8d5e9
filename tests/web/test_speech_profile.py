"""Tests of enrolling over REST: a real store, files, and the real network."""

import io
import wave
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from engine.store.user_records import PersonRow, VoiceRow
from tests.web.serving import Site, site

AUDIO = Path(__file__).parent.parent / "audio"
SPOKEN = (AUDIO / "austen-0870.wav").read_bytes()
ENROL = "/v3/upload-audio"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Site]:
    async with site(tmp_path) as running:
        yield running


def wav(samples: np.ndarray, rate: int = 16_000) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())
    return out.getvalue()


async def test_a_user_enrols_is_known_to_have_and_is_forgotten(server: Site) -> None:
    assert (await server.get("/v3/speech-profile")).json() == {"has_profile": False}
    assert (await server.get("/v4/speech-profile")).json() == {"url": None}
    enrolled = await server.request("POST", ENROL, files={"file": ("a.wav", SPOKEN)})
    assert enrolled.status_code == 200, enrolled.text
    url = (await server.get("/v4/speech-profile")).json()["url"]
    kept = await server.client.get(url)
    assert kept.status_code == 200
    assert kept.content[:4] == b"RIFF"
    status = (await server.get("/v3/speech-profile/status")).json()
    assert status["has_profile"] is True
    assert status["recordings"] == 1
    assert 3 < status["seconds"] == status["duration_seconds"] < 7.2
    assert (await server.client.get(status["url"])).content == kept.content
    assert (await server.get("/v3/speech-profile", uid="bob")).json() == {"has_profile": False}
    assert (await server.request("DELETE", "/v3/speech-profile")).status_code == 204
    assert (await server.client.get(url)).status_code == 404
    assert (await server.request("DELETE", "/v3/speech-profile")).status_code == 404


async def test_clients_are_told_whether_what_is_read_aloud_can_be_transcribed(server: Site) -> None:
    path = "/v3/speech-profile/stt-availability"
    assert (await server.get(path)).json() == {"available": False}
    server.services.readiness.watch_transcription(lambda: True)
    assert (await server.get(path)).json() == {"available": True}
    server.services.readiness.drain()
    assert (await server.get(path)).json() == {"available": False}


async def test_enrolling_again_takes_the_place_of_the_recording_before(server: Site) -> None:
    for _ in range(2):
        await server.request("POST", ENROL, files={"file": ("a.wav", SPOKEN)})
    assert len(await server.store.voices.of_person("alice", "user")) == 1
    assert len(await server.store.profile_blobs.list("alice")) == 1


async def test_further_recordings_are_listed_and_forgotten_one_by_one(server: Site) -> None:
    await server.request("POST", ENROL, files={"file": ("a.wav", SPOKEN)})
    await server.request("POST", "/v3/speech-profile/expand", files={"file": ("b.wav", SPOKEN)})
    (url,) = (await server.get("/v3/speech-profile/expand")).json()
    assert (await server.client.get(url)).status_code == 200
    path = "/v3/speech-profile/expand"
    assert (await server.request("DELETE", path, params={"index": 1})).status_code == 404
    assert (await server.request("DELETE", path)).status_code == 422
    assert (await server.request("DELETE", path, params={"index": 0})).status_code == 200
    assert (await server.get(path)).json() == []
    assert (await server.get("/v3/speech-profile")).json() == {"has_profile": True}


@pytest.mark.parametrize(
    ("recording", "why"),
    [
        (b"not a recording", "WAV"),
        (wav(np.zeros(3 * 16_000)), "5 to 120 s accepted"),
        (wav(np.zeros(6 * 16_000)), "speech"),
        (wav(np.zeros(6 * 4_000), 4_000), "8000 to 48000 accepted"),
    ],
)
async def test_a_recording_that_will_not_do_is_refused_with_what_would(
    server: Site, recording: bytes, why: str
) -> None:
    refused = await server.request("POST", ENROL, files={"file": ("a.wav", recording)})
    assert refused.status_code == 400
    assert why in refused.json()["detail"]
    assert (await server.get("/v3/speech-profile")).json() == {"has_profile": False}


async def test_a_recording_may_be_as_large_as_it_may_be_long(server: Site) -> None:
    """48 kHz in stereo, of which a few seconds are more than other requests may bring."""
    speech = np.frombuffer(SPOKEN[44:], "<i2")
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(48_000)
        file.writeframes(np.repeat(speech, 6).tobytes())
    assert len(out.getvalue()) > 2**20
    for path in (ENROL, "/v3/speech-profile/expand"):
        enrolled = await server.request("POST", path, files={"file": ("a.wav", out.getvalue())})
        assert enrolled.status_code == 200, enrolled.text


async def test_one_file_is_wanted(server: Site) -> None:
    assert (await server.request("POST", ENROL)).status_code == 422
    assert (await server.request("POST", ENROL, files={"other": ("a.wav", SPOKEN)})).status_code == 422


async def test_samples_of_a_person_are_shown_and_forgotten_by_index_and_with_the_person(server: Site) -> None:
    person = PersonRow(uid="alice", id="grace", name="Grace", created_at=1, updated_at=1)
    await server.store.people.put(person)
    for at in range(2):
        await server.store.profile_blobs.put("alice", f"voices/{at}.wav", SPOKEN)
        await server.store.voices.put(
            VoiceRow(
                uid="alice",
                id=str(at),
                person_id="grace",
                name=f"voices/{at}.wav",
                seconds=3.0,
                vector=np.zeros(256, "<f4").tobytes(),
                encoder="another",
                source={"conversation_id": "c", "segment_idx": str(at)},
                created_at=at,
            )
        )
    shown = (await server.get("/v1/users/people/grace")).json()["speech_samples"]
    assert len(shown) == 2
    assert (await server.client.get(shown[0])).status_code == 200
    samples = "/v1/users/people/grace/speech-samples"
    assert (await server.request("DELETE", f"{samples}/2")).status_code == 404
    assert (await server.request("DELETE", f"{samples}/0")).status_code == 200
    assert [row.id for row in await server.store.voices.of_person("alice", "grace")] == ["1"]
    chosen = {"memory_id": "c", "segment_idx": 1, "person_id": "grace"}
    assert (await server.request("DELETE", "/v3/speech-profile/expand", params=chosen)).status_code == 200
    assert (await server.request("DELETE", "/v1/users/people/nobody/speech-samples/0")).status_code == 404


async def test_a_voice_is_erased_with_its_user(server: Site) -> None:
    await server.request("POST", ENROL, files={"file": ("a.wav", SPOKEN)})
    await server.store.user_data.erase("alice", serving=False)
    assert await server.store.voices.of_person("alice", "user") == []
    assert await server.store.profile_blobs.list("alice") == []
