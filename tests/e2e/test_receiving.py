"""The receiving side fed by this project's own webhook: what the second server hears is what the first one heard."""

import base64
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import trio

from engine.audio.wav import decode_wav, read_wav
from engine.stt.vendor import SAMPLE_RATE
from tests import buckets
from tests.e2e.process import Process, started
from tests.e2e.running import segments_of, send_all, talking
from tests.patience import PATIENCE
from tests.store.test_blob_places import ACCOUNT

RECORDING = Path(__file__).parents[1] / "audio" / "austen-0870.wav"
SECONDS = 12.7
CHUNK_SECONDS = 2
PACKET = 3200

RECEIVING = {
    "LISTEN_RECEIVER_TRANSCRIBE": "true",
    "LISTEN_RECEIVER_SAVE": "session",
    "LISTEN_RECEIVER_SESSION_GAP": "3",  # longer than any pause between two deliveries
    "LISTEN_RECEIVER_PROCESSORS": "vad,level,tone",
}
SENDING = {"LISTEN_WEBHOOK_ALLOW": "127.0.0.0/8"}


def speech() -> bytes:
    samples, rate = read_wav(RECORDING)
    assert rate == SAMPLE_RATE
    return samples[: round(SECONDS * rate)].tobytes()


async def words(server: Process) -> list[str]:
    """What ann said, as it is kept."""
    (conversation,) = await server.conversations("ann")
    whole = await server.get(f"/v1/conversations/{conversation['id']}", uid="ann")
    return " ".join(segment.text for segment in segments_of(whole)).split()


async def heard(server: Process) -> bytes:
    """The samples that were received."""
    (one,) = await server.get("/v1/received/audio", uid="ann")
    return await samples_of(server, one["id"])


async def samples_of(server: Process, id: str) -> bytes:
    linked = await server.get(f"/v1/received/audio/{id}", uid="ann")
    samples, rate = decode_wav((await server._http.get(linked["url"])).content)
    assert rate == SAMPLE_RATE
    return samples.tobytes()


async def until_received(server: Process, count: int) -> None:
    with trio.fail_after(2 * PATIENCE):
        await server.log.until("receiver.session_ended", count=count)


@pytest.mark.parametrize(
    "vendors",
    [
        {},
        pytest.param(
            {"SCRIPT_OWN_VENDORS": "1", "LISTEN_STT_SERVICE_MODELS": "local-whisper"},
            marks=pytest.mark.campaign,
        ),
    ],
    ids=["scripted", "local model"],
)
async def test_the_transcript_of_the_second_server_is_that_of_the_first(
    tmp_path: Path, vendors: dict[str, Any]
) -> None:
    said = speech()
    async with (
        started(tmp_path / "second", **RECEIVING, **vendors) as second,
        started(tmp_path / "first", **SENDING, **vendors) as first,
    ):
        url = f"http://127.0.0.1:{second.port}/audio,{CHUNK_SECONDS}"
        answer = await first._http.post(
            "/v1/users/developer/webhook/audio_bytes", params={"uid": "ann"}, json={"url": url}
        )
        assert answer.status_code == 200, answer.text
        async with talking(first.url, "ann") as (client, shown):
            await shown.until_status("ready")
            await send_all(client, [said[at : at + PACKET] for at in range(0, len(said), PACKET)])
            await client.flush()
            await shown.until_status("flushed")
        await until_received(second, 1)
        assert await heard(second) == said
        first_words, second_words = await words(first), await words(second)
        assert len(first_words) > 10
        assert second_words == first_words


async def test_two_workers_join_what_comes_in_by_either(tmp_path: Path) -> None:
    pieces = [speech()[at : at + 16_000] for at in range(0, 160_000, 16_000)]
    async with started(tmp_path, LISTEN_WORKERS=2, **RECEIVING) as server:

        async def post(place: int, piece: bytes) -> None:
            answer = await server._http.post(
                "/audio",
                params={"uid": "ann"},
                content=piece,
                headers={
                    "Connection": "close",  # so that the kernel deals them out
                    "Listen-Session": "s",
                    "Listen-Position": str(place * 8000),
                },
            )
            assert answer.status_code == 200, answer.text

        async with trio.open_nursery() as nursery:
            for place, piece in reversed(list(enumerate(pieces))):
                nursery.start_soon(post, place, piece)
        await until_received(server, 1)
        assert await heard(server) == b"".join(pieces)
        assert len(await words(server)) == 10


async def post(server: Process, piece: bytes, **headers: str) -> None:
    """By either worker, if there are two: the kernel deals new connections out."""
    answer = await server._http.post(
        "/audio", params={"uid": "ann"}, content=piece, headers={"Connection": "close", **headers}
    )
    assert answer.status_code == 200, answer.text


async def pieces_of(server: Process, size: int) -> list[bytes]:
    """All that is kept of ann's audio, in pieces of so many bytes."""
    rows = await server.get("/v1/received/audio", uid="ann")
    rows.sort(key=lambda row: (row["session_began_at"], row["start"]))
    received = b"".join([await samples_of(server, row["id"]) for row in rows])
    return [received[at : at + size] for at in range(0, len(received), size)]


KEEPING = {
    "LISTEN_RECEIVER_SESSION_GAP": "1",
    "LISTEN_RECEIVER_SWEEP_INTERVAL": "1",
    "LISTEN_RECEIVER_SAVE": "session",
}
PIECES = [bytes([number, 1]) * 8000 for number in range(30)]


@pytest.mark.parametrize("save", ["session", "request"])
async def test_what_was_answered_survives_a_kill(tmp_path: Path, save: str) -> None:
    environ = KEEPING | {"LISTEN_RECEIVER_SAVE": save}
    async with started(tmp_path, **environ) as server:
        for piece in PIECES[:-1]:
            await post(server, piece)
        await server.kill()  # with what is answered in files, in memory or on the way between them
    async with started(tmp_path, **environ) as server:
        with trio.fail_after(PATIENCE):
            await server.log.until("receiver.swept")
        await post(server, PIECES[-1])
        assert await server.terminate() == 0  # with nothing left
    async with started(tmp_path, **environ) as server:
        assert await pieces_of(server, 16_000) == PIECES


async def test_what_a_killed_worker_had_taken_is_taken_by_the_next(tmp_path: Path) -> None:
    async with started(tmp_path, LISTEN_WORKERS=2, **KEEPING) as server:
        for place, piece in enumerate(PIECES[:-1]):
            await post(server, piece, **{"Listen-Session": "s", "Listen-Position": str(place * 8000)})
        with trio.fail_after(PATIENCE):
            joining, *_ = await server.log.until("receiver.session_began")
            (victim,) = server.log.all("worker.started", worker=joining["worker"])
            os.kill(victim["pid"], signal.SIGKILL)
            await server.log.until("worker.started", count=2, worker=joining["worker"])
        await post(server, PIECES[-1], **{"Listen-Session": "s", "Listen-Position": str(29 * 8000)})
        assert await server.terminate() == 0
    async with started(tmp_path, **KEEPING) as server:
        with trio.fail_after(PATIENCE):
            await server.log.until("receiver.swept")
        assert await server.terminate() == 0
    async with started(tmp_path, **KEEPING) as server:
        assert await pieces_of(server, 16_000) == PIECES


async def test_with_two_variables_received_audio_goes_to_googles_bucket(tmp_path: Path) -> None:
    pcm = speech()[:32_000]
    account = base64.b64encode(json.dumps(ACCOUNT).encode()).decode()
    with buckets.google() as bucket:
        variables = {
            "GCS_BUCKET_NAME": buckets.BUCKET,
            "GOOGLE_APPLICATION_CREDENTIALS_JSON": account,
            "LISTEN_BLOBS_ENDPOINT": bucket.endpoint,  # instead of Google's own
            "LISTEN_BLOBS_LINKS": "proxied",
        }
        async with started(tmp_path, **variables) as server:
            answer = await server._http.post("/audio", params={"uid": "ann"}, content=pcm)
            assert answer.status_code == 200, answer.text
            assert (await server.terminate()) == 0  # what was taken is kept before it ends
        async with started(tmp_path, **variables) as server:
            assert await heard(server) == pcm
        assert not await trio.Path(tmp_path / "blobs").exists()
