"""Every trigger on a real receiver, byte for byte as documented; the audio is what the session decoded, to its tail."""

import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import trio
import trustme
from msgspec.structs import replace
from numpy.typing import NDArray

from engine.audio.codecs import create_decoder
from engine.audio.encoders import create_encoder
from engine.audio.ring import Ring
from engine.audio.wav import read_wav
from engine.config import Webhook
from engine.stt.vendor import SAMPLE_RATE
from engine.testing import ScriptedVendor, counted_words
from engine.wire.messages import Segment
from tests.e2e.process import Process, started
from tests.e2e.received import Receiver, Request, receiving
from tests.e2e.running import Api, config, hear_all, running, send_all, talking
from tests.listen.harness import silence
from tests.patience import PATIENCE
from tests.webhooks.receiving import hanging, receiver

LOOPBACK = ("127.0.0.0/8", "::1/128")
RECORDING = Path(__file__).parents[1] / "audio" / "austen-0870.wav"
SECONDS = 13.37
CHUNK = 5 * SAMPLE_RATE * 2


def speech(seconds: float, rate: int) -> NDArray[np.int16]:
    """So much of a recording of a voice, at that rate by leaving samples out (how it sounds does not matter)."""
    samples, recorded = read_wav(RECORDING)
    samples = samples[:: recorded // rate]
    return samples[: round(seconds * rate)].astype(np.int16)


def packets(codec: str, rate: int) -> list[bytes]:
    return list(create_encoder(codec, rate).encode(speech(SECONDS, rate)))


def decoded(codec: str, rate: int, said: list[bytes]) -> bytes:
    """What a decoder of its own makes of the same packets, PCM16LE at 16 kHz."""
    decoder, ring = create_decoder(codec, rate), Ring(60 * SAMPLE_RATE)
    for packet in said:
        for piece in decoder.pieces(packet):
            decoder.decode(piece, ring)
    decoder.flush(ring)
    pcm = ring.window(0, ring.write_position).tobytes()
    decoder.close()
    ring.close()
    return pcm


async def set_webhook(server: Api, kind: str, url: str, uid: str = "ada") -> None:
    path = f"/v1/users/developer/webhook/{kind}"
    answer = await server._http.post(path, params={"uid": uid}, json={"url": url})
    assert answer.status_code == 200, answer.text


async def secret_of(server: Api, uid: str = "ada") -> str:
    secret: str = (await server.get("/v1/users/developer/webhooks/secret", uid=uid))["secret"]
    return secret


def certificates(folder: Path) -> tuple[Path, Path, Path]:
    """Of the authority; of a server called localhost, and its key."""
    authority = trustme.CA()
    made = authority.issue_cert("localhost")
    paths = folder / "ca.pem", folder / "server.pem", folder / "server.key"
    authority.cert_pem.write_to_path(paths[0])
    for blob in made.cert_chain_pems:
        blob.write_to_path(paths[1], append=True)
    made.private_key_pem.write_to_path(paths[2])
    return paths


def wav_of(folder: Path, requests: list[Request]) -> bytes:
    """The samples of a WAV file that a receiver makes of what it got, read again by Python's own reader."""
    path = folder / "received.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        for request in requests:
            file.writeframes(request.body)
    with wave.open(str(path), "rb") as file:
        return file.readframes(file.getnframes())


def check_audio(folder: Path, requests: list[Request], session: str, pcm: bytes) -> None:
    for request in requests:
        assert request.line == "POST /audio?sample_rate=16000&uid=ada HTTP/1.1"
        assert request.headers["content-type"] == "application/octet-stream"
        assert request.headers["webhook-id"] == request.headers["idempotency-key"]
    assert [len(request.body) for request in requests[:-1]] == [CHUNK] * (len(pcm) // CHUNK)
    positions = [int(request.headers["listen-position"]) for request in requests]
    assert positions == [5 * SAMPLE_RATE * number for number in range(len(requests))]
    assert {request.headers["listen-session"] for request in requests} == {session}
    assert wav_of(folder, requests) == pcm


def check_transcripts(requests: list[Request], session: str, seen: dict[tuple[str, int], Segment]) -> None:
    """Each body as documented, and nothing in it but what the client was sent."""
    told = set()
    for request in requests:
        assert request.line == f"POST /live?session_id={session}&uid=ada HTTP/1.1"
        assert request.headers["content-type"] == "application/json"
        segments = msgspec.convert(request.json["segments"], list[Segment])
        body = b'{"segments":%b,"session_id":"%b","delivery_id":"%b"}' % (
            msgspec.json.encode(segments),
            session.encode(),
            request.headers["webhook-id"].encode(),
        )
        assert request.body == body
        told |= {(segment.id, segment.revision) for segment in segments}
        assert all(seen[segment.id, segment.revision] == segment for segment in segments)
    latest = {id: max(revision for of, revision in seen if of == id) for id, _ in seen}
    assert told >= set(latest.items())


def check_memory(request: Request, shown: bytes) -> None:
    assert request.line == "POST /memory?tenant=7&uid=ada HTTP/1.1"
    assert request.headers["content-type"] == "application/json"
    id = request.headers["webhook-id"].encode()
    assert request.body == shown[:-1] + b',"delivery_id":"%b"}' % id


@asynccontextmanager
async def receivers(folder: Path) -> AsyncIterator[tuple[Receiver, Receiver, Webhook]]:
    """One without and one behind TLS, and what a server must be configured with to reach them."""
    authority, certificate, key = certificates(folder)
    async with receiving() as plain, receiving(certificate, key) as secured:
        yield plain, secured, Webhook(allow=LOOPBACK, ca_file=str(authority))


@pytest.mark.both_ways
@pytest.mark.parametrize(("codec", "rate"), [("pcm16", 16_000), ("opus", 16_000), ("pcm16", 8_000)])
async def test_every_trigger_comes_as_documented_and_the_audio_is_what_was_decoded(
    tmp_path: Path, codec: str, rate: int
) -> None:
    said = packets(codec, rate)
    async with (
        receivers(tmp_path) as (plain, secured, webhook),
        running(replace(config(tmp_path), webhook=webhook), ScriptedVendor(counted_words(0.5))) as server,
    ):
        await set_webhook(server, "audio_bytes", plain.url("/audio") + ",5")
        await set_webhook(server, "realtime_transcript", secured.url("/live"))
        await set_webhook(server, "memory_created", secured.url("/memory?tenant=7"))
        secret = await secret_of(server)
        parameters: dict[str, Any] = {"codec": codec, "sample_rate": rate, "conversation_timeout": 2}
        async with talking(server.url, "ada", **parameters) as (client, shown):
            await hear_all(client, shown, said)
            session = shown.session_id
        await secured.until(lambda receiver: receiver.at("/memory"))
        pcm = decoded(codec, rate, said)
        await plain.until(lambda _: sum(len(one.body) for one in plain.at("/audio")) >= len(pcm))
        (conversation,) = await server.conversations("ada")
        whole = await server._http.get(f"/v1/conversations/{conversation['id']}", params={"uid": "ada"})
    check_audio(tmp_path, plain.at("/audio"), session, pcm)
    check_transcripts(secured.at("/live"), session, shown.revisions)
    (memory,) = secured.at("/memory")
    check_memory(memory, whole.content)
    for request in (*plain.requests, *secured.requests):
        request.verify(secret)


@pytest.mark.both_ways
async def test_a_webhook_that_hangs_is_sent_one_chunk_and_slows_nobody(tmp_path: Path) -> None:
    said = [silence(0.02)] * 1500
    async with (
        receiver(hanging) as hung,
        running(
            replace(config(tmp_path), webhook=Webhook(allow=LOOPBACK, live_timeout=80.0), drain_timeout=2.0),
            ScriptedVendor(counted_words(0.5)),
        ) as server,
    ):
        await set_webhook(server, "audio_bytes", hung.url("/audio") + ",1")
        async with talking(server.url, "ada", conversation_timeout=600) as (client, shown):
            await hear_all(client, shown, said[:1000])
            await hung.until(1)
            await send_all(client, said[1000:])
            await client.flush()
            await shown.until_status("flushed", 2)
            assert len(shown.text.split()) == 60  # all words came while the first chunk waits for its answer
            assert (len(hung.requests), hung.most_open) == (1, 1)
        server.drain()
        await server.log.until("session.ended")


async def test_killed_the_next_process_says_what_was_not_cut_and_delivers_what_was(tmp_path: Path) -> None:
    environ = {"LISTEN_WEBHOOK_ALLOW": "127.0.0.0/8,::1/128", "LISTEN_WEBHOOK_CLAIM_TIME": "1"}
    said = [silence(0.02)] * 600
    async with receiving() as plain:
        async with started(tmp_path, **environ) as server:
            await set_webhook(server, "audio_bytes", plain.url("/audio") + ",5")
            async with talking(server.url, "ada") as (client, shown):
                await hear_all(client, shown, said)
                await plain.until(lambda receiver: len(receiver.at("/audio")) == 2)
                await server.kill()
        async with started(tmp_path, **environ) as server:
            lost = await lost_of(server)
            assert await server.terminate() == 0
    assert [len(request.body) for request in plain.at("/audio")] == [CHUNK, CHUNK]
    assert lost["reason"] == "the process died before this audio was cut"
    # 12 s were said and 10 s cut; what is heard is written down every second.
    assert lost["size"] in (SAMPLE_RATE * 2, 2 * SAMPLE_RATE * 2)


async def lost_of(server: Process) -> dict[str, Any]:
    """The one line of an endpoint's log that is about audio that was never cut."""
    with trio.fail_after(PATIENCE):
        await server.log.until("webhook.audio_lost")
    (row,) = (await server.get("/v1/users/developer/webhooks/deliveries", uid="ada", state="lost"))[
        "deliveries"
    ]
    found: dict[str, Any] = row
    return found


async def test_a_conversation_is_told_of_once_however_often_processes_die(tmp_path: Path) -> None:
    environ = {
        "LISTEN_WEBHOOK_ALLOW": "127.0.0.0/8,::1/128",
        "LISTEN_WEBHOOK_CLAIM_TIME": "1",
        "LISTEN_CONVERSATION_CLAIM_TIME": "1",
    }
    async with receiving() as plain:
        async with started(tmp_path, **environ) as server:
            await set_webhook(server, "memory_created", plain.url("/memory"))
            async with talking(server.url, "ada", conversation_timeout=2) as (client, shown):
                await hear_all(client, shown, [silence(0.02)] * 100)
            with trio.fail_after(PATIENCE):
                await server.log.until("conversation.completed")
            await server.kill()
        async with started(tmp_path, **environ) as server:
            await plain.until(lambda receiver: receiver.at("/memory"))
            (conversation,) = await server.conversations("ada")
            path = f"/v1/conversations/{conversation['id']}"
            again = await server._http.post(f"{path}/reprocess", params={"uid": "ada"})
            assert again.status_code == 200
            triggered = await server._http.post(f"{path}/trigger-webhook", params={"uid": "ada"})
            assert triggered.json() == {"deliveries": 1}
            await plain.until(lambda receiver: len(receiver.at("/memory")) == 2)
            assert await server.terminate() == 0
    assert [request.json["id"] for request in plain.at("/memory")] == [conversation["id"]] * 2
