"""What clients say is recorded to the sample, by a whole server, if they allow it; and what becomes of it."""

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import trio
from numpy.typing import NDArray

from engine.audio import decode_wav, read_wav
from engine.audio.flac import decode_flac
from engine.config import Recordings
from engine.stt.vendor import SAMPLE_RATE
from engine.testing import ScriptedVendor, counted_words, script_of
from engine.transcript.words import Word
from engine.wire import ConversationSession
from tests.e2e.process import started
from tests.e2e.running import Api, Running, config, hear_all, running, send_all, talking
from tests.patience import PATIENCE

Samples = NDArray[np.int16]

SPEECH = Path(__file__).parents[1] / "audio" / "austen-0870.wav"
PACKET = 640
RUN = 5 * SAMPLE_RATE


def speech(seconds: float) -> Samples:
    samples, rate = read_wav(SPEECH)
    assert rate == SAMPLE_RATE
    return np.tile(samples, int(seconds * rate / len(samples)) + 1)[: int(seconds * rate)]


def packets(samples: Samples) -> list[bytes]:
    data = samples.tobytes()
    return [data[at : at + PACKET] for at in range(0, len(data), PACKET)]


async def allow(server: Api, value: bool = True, uid: str = "ada") -> None:
    path = "/v1/users/store-recording-permission"
    answer = await server._http.post(path, params={"uid": uid, "value": value})
    assert answer.status_code == 200, answer.text


async def heard(server: Api, conversation_id: str, uid: str = "ada") -> Samples:
    """The whole recording of a conversation."""
    path = f"/v1/conversations/{conversation_id}/recording/audio"
    answer = await server._http.get(path, params={"uid": uid})
    assert answer.status_code == 200, answer.text
    samples, rate = decode_wav(answer.content)
    assert rate == SAMPLE_RATE
    return samples


async def recording_of(server: Api, conversation_id: str) -> dict[str, Any]:
    found: dict[str, Any] = await server.get(f"/v1/conversations/{conversation_id}/recording", uid="ada")
    return found


def left(tmp_path: Path, *folders: str) -> list[Path]:
    """What there is of the user's on the disk."""
    return [path for name in folders or ("blobs", "recording") for path in tmp_path.glob(f"{name}/ada/**/*")]


async def over(server: Running, sessions: int) -> None:
    with trio.fail_after(PATIENCE):
        await server.log.until("recording.ended", count=sessions)


def recording(tmp_path: Path, **settings: Any) -> Any:
    return msgspec.structs.replace(
        config(tmp_path), recordings=Recordings(**{"keep": True, "piece_seconds": 6, **settings})
    )


@pytest.mark.both_ways
async def test_what_was_said_is_heard_again_to_the_sample_whole_and_in_pieces(tmp_path: Path) -> None:
    said = speech(13.37)
    async with running(recording(tmp_path), ScriptedVendor(counted_words())) as server:
        await allow(server)
        async with talking(server.url, "ada", conversation_timeout=600) as (client, shown):
            await hear_all(client, shown, packets(said))
        await over(server, 1)
        (conversation,) = await server.conversations("ada")
        id = conversation["id"]
        np.testing.assert_array_equal(await heard(server, id), said)
        found = await recording_of(server, id)
        assert (found["has_recording"], found["pieces"]) == (True, 3)
        assert found["seconds"] == pytest.approx(13.37)
        assert found["bytes"] < said.nbytes
        pieces = await server.get(f"/v1/conversations/{id}/recording/pieces", uid="ada")
        assert [piece["start"] for piece in pieces] == [0.0, 6.0, 12.0]
        last = await server._http.get(pieces[2]["url"])  # whoever has the link
        samples, _ = decode_flac(last.content)
        np.testing.assert_array_equal(samples, said[12 * SAMPLE_RATE :])
        (listed,) = await server.get("/v1/recordings", uid="ada")
        assert (listed["conversation_id"], listed["pieces"]) == (id, 3)
        assert listed["seconds"] == pytest.approx(13.37)


async def test_a_silence_that_ends_a_conversation_cuts_the_recording_where_it_does(tmp_path: Path) -> None:
    """Also where it lies in pieces that were heard long before it was known that there was one."""
    said = speech(14.0)
    words = [
        Word(text=f"w{at}.", start=at * SAMPLE_RATE, end=at * SAMPLE_RATE + 8000) for at in (0, 1, 9, 13)
    ]
    async with running(recording(tmp_path), ScriptedVendor(script_of(words))) as server:
        await allow(server)
        async with talking(server.url, "ada", conversation_timeout=4) as (client, shown):
            await hear_all(client, shown, packets(said))
        await over(server, 1)
        later, first = await server.conversations("ada")
        cut = round((9 - later["transcript_segments"][0]["start"]) * SAMPLE_RATE)
        assert 5.5 * SAMPLE_RATE <= cut < 9 * SAMPLE_RATE, "4 s after the last word of the first, at least"
        np.testing.assert_array_equal(await heard(server, first["id"]), said[:cut])
        np.testing.assert_array_equal(await heard(server, later["id"]), said[cut:])


async def test_two_sessions_of_one_conversation_lie_where_they_were_on_its_timeline(tmp_path: Path) -> None:
    one, two = speech(7.0), speech(9.0)[2 * SAMPLE_RATE :]
    async with running(recording(tmp_path), ScriptedVendor(counted_words())) as server:
        await allow(server)
        for count, part in enumerate((one, two), start=1):
            async with talking(server.url, "ada", conversation_timeout=600) as (client, shown):
                await hear_all(client, shown, packets(part))
            await over(server, count)
        (conversation,) = await server.conversations("ada")
        whole = await heard(server, conversation["id"])
        pieces = await server.get(f"/v1/conversations/{conversation['id']}/recording/pieces", uid="ada")
        again = next(piece["start"] for piece in pieces if piece["start"] not in (0.0, 6.0))
        later = round(again * SAMPLE_RATE)
        last = 13 * 0.5 + 0.375  # where the last word ends, in its session
        said = max(segment["end"] for segment in conversation["transcript_segments"])
        assert said == pytest.approx(again + last, abs=0.001), "words are where their sound is"
        expected = np.zeros(max(len(one), later + len(two)), np.int32)
        expected[: len(one)] += one
        expected[later : later + len(two)] += two
        np.testing.assert_array_equal(whole, np.clip(expected, -32768, 32767))


@pytest.mark.parametrize(("keep", "allowed"), [(True, False), (False, True)])
async def test_nothing_is_recorded_unless_operator_and_user_want_it(
    tmp_path: Path, keep: bool, allowed: bool
) -> None:
    async with running(recording(tmp_path, keep=keep), ScriptedVendor(counted_words())) as server:
        await allow(server, allowed)
        async with talking(server.url, "ada", conversation_timeout=600) as (client, shown):
            await hear_all(client, shown, packets(speech(7.0)))
        await server.all_ended(1)
        (conversation,) = await server.conversations("ada")
        assert not (await recording_of(server, conversation["id"]))["has_recording"]
        assert await server.get("/v1/recordings", uid="ada") == []
        assert left(tmp_path) == []


async def test_where_nothing_was_said_nothing_is_recorded(tmp_path: Path) -> None:
    async with running(recording(tmp_path), ScriptedVendor(script_of([]))) as server:
        await allow(server)
        async with talking(server.url, "ada", conversation_timeout=600) as (client, shown):
            await hear_all(client, shown, packets(np.zeros(20 * SAMPLE_RATE, np.int16)))
        await over(server, 1)
        assert await server.get("/v1/recordings", uid="ada") == []
        assert left(tmp_path) == []


async def test_a_recording_goes_with_its_conversation_and_by_itself(tmp_path: Path) -> None:
    async with running(recording(tmp_path), ScriptedVendor(counted_words())) as server:
        await allow(server)
        for count in (1, 2):
            async with talking(server.url, "ada", conversation_timeout=600) as (client, shown):
                await hear_all(client, shown, packets(speech(7.0)))
            await over(server, count)
            assert (await server._http.post("/v1/conversations", params={"uid": "ada"})).status_code == 200
        later, first = await server.conversations("ada")
        path = f"/v1/conversations/{later['id']}/recording"
        assert (await server._http.delete(path, params={"uid": "ada"})).status_code == 200
        with trio.fail_after(PATIENCE):
            await server.log.until("blobs.erased")
        assert (await server._http.delete(path, params={"uid": "ada"})).status_code == 404
        assert (await server._http.get(f"{path}/audio", params={"uid": "ada"})).status_code == 404
        assert len(await heard(server, first["id"])) == 7 * SAMPLE_RATE
        whole = f"/v1/conversations/{first['id']}"
        assert (await server._http.delete(whole, params={"uid": "ada"})).status_code < 300
        with trio.fail_after(PATIENCE):
            await server.log.until("blobs.erased", count=2)
        assert left(tmp_path) == []


async def test_a_recording_whose_server_was_killed_keeps_what_was_heard(tmp_path: Path) -> None:
    """But for the last seconds: here all of a piece that was not yet made."""
    said = speech(25.0)
    environ = {"LISTEN_RECORDINGS_KEEP": "true", "LISTEN_RECORDINGS_PIECE_SECONDS": "60"}
    async with started(tmp_path, **environ) as server:
        await allow(server)
        async with talking(server.url, "ada", conversation_timeout=600) as (client, shown):
            await hear_all(client, shown, packets(said))
            (conversation_id,) = {
                event.conversation_id for event in shown.events if isinstance(event, ConversationSession)
            }
            assert await server.get("/v1/recordings", uid="ada") == []
            await server.kill()
    async with started(tmp_path, **environ) as server:
        with trio.fail_after(PATIENCE):
            await server.log.until("recording.swept")
        found = await heard(server, conversation_id)
        assert len(found) >= RUN
        assert len(found) % RUN == 0
        np.testing.assert_array_equal(found, said[: len(found)])
        assert left(tmp_path, "recording") == []


async def test_a_drain_ends_once_all_that_was_heard_is_kept(tmp_path: Path) -> None:
    said = speech(8.2)
    async with running(recording(tmp_path), ScriptedVendor(counted_words())) as server:
        await allow(server)
        async with talking(server.url, "ada", conversation_timeout=600) as (client, shown):
            await hear_all(client, shown, packets(said))
            server.drain()
            await shown.until_over()
    assert left(tmp_path, "recording") == []
    async with running(recording(tmp_path, keep=False), ScriptedVendor(counted_words())) as server:
        (conversation,) = await server.conversations("ada")
        np.testing.assert_array_equal(await heard(server, conversation["id"]), said)


async def test_of_a_call_both_channels_are_heard_together(tmp_path: Path) -> None:
    mine, theirs = speech(7.0), speech(11.0)[4 * SAMPLE_RATE :]
    async with running(recording(tmp_path), ScriptedVendor(counted_words())) as server:
        await allow(server)
        call: dict[str, Any] = {"source": "phone_call", "channels": 2}
        async with talking(server.url, "ada", conversation_timeout=600, **call) as (client, shown):
            both = zip(packets(mine), packets(theirs), strict=True)
            await send_all(client, [marked for a, b in both for marked in (b"\x00" + a, b"\x01" + b)])
            await client.flush()
            await shown.until_status("flushed")
        await over(server, 2)
        (conversation,) = await server.conversations("ada")
        whole = np.clip(mine.astype(np.int32) + theirs, -32768, 32767)
        np.testing.assert_array_equal(await heard(server, conversation["id"]), whole)


async def test_who_takes_the_permission_back_is_not_recorded_any_more(tmp_path: Path) -> None:
    said = speech(30.0)
    settings = msgspec.structs.replace(
        recording(tmp_path), store=msgspec.structs.replace(config(tmp_path).store, settings_age=0)
    )
    async with running(settings, ScriptedVendor(counted_words())) as server:
        await allow(server)
        async with talking(server.url, "ada", conversation_timeout=600) as (client, shown):
            await hear_all(client, shown, packets(said[: 13 * SAMPLE_RATE]))
            (conversation,) = await server.conversations("ada")
            with trio.fail_after(PATIENCE):
                await server.log.until("recording.kept", count=2)
            await allow(server, False)
            await send_all(client, packets(said[13 * SAMPLE_RATE :]))
        await over(server, 1)
        np.testing.assert_array_equal(await heard(server, conversation["id"]), said[: 12 * SAMPLE_RATE])
        assert left(tmp_path, "recording") == []


async def test_what_a_client_transcribed_by_itself_is_recorded_too(tmp_path: Path) -> None:
    said = speech(9.0)
    async with running(recording(tmp_path), ScriptedVendor(counted_words())) as server:
        await allow(server)
        own = talking(server.url, "ada", conversation_timeout=600, custom_stt="enabled")
        async with own as (client, shown):
            await send_all(client, packets(said))
            segment = {"id": "s1", "text": "Heard here.", "start": 1.0, "end": 2.0}
            await client.send_text(
                json.dumps({"type": "suggested_transcript", "segments": [segment], "stt_provider": "mine"})
            )
            await shown.until(lambda shown: "Heard here." in shown.text)
        await over(server, 1)
        (conversation,) = await server.conversations("ada")
        np.testing.assert_array_equal(await heard(server, conversation["id"]), said)
