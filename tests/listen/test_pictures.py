"""Pictures over a session's socket, on the virtual clock."""

import base64
import json
from pathlib import Path
from typing import Any

import trio
import trio.testing
from trio.testing import MockClock

from engine.listen.pictures import WAITING, Pictures, PicturesStatistics
from engine.wire.client_messages import ImageChunk
from engine.wire.messages import Event, PhotoProcessing, ServiceStatus
from tests.listen.harness import MemorySocket, Server, parameters, server

JPEG = b"\xff\xd8\xff\xe0" + bytes(range(200))
CUSTOM = parameters(custom_stt=True, conversation_timeout=30)


async def send(socket: MemorySocket, image: bytes, id: str = "t1", size: int = 50) -> None:
    text = base64.b64encode(image).decode()
    cut = [text[at : at + size] for at in range(0, len(text), size)]
    for index, data in enumerate(cut):
        chunk = {"type": "image_chunk", "id": id, "index": index, "total": len(cut), "data": data}
        await socket.say(json.dumps(chunk))


async def kept(it: Server, conversation_id: str) -> list[Any]:
    return list(await it.store.photos.of_conversation("ada", conversation_id))


async def test_a_picture_is_kept_before_its_client_is_told_so(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with server(tmp_path) as it:
        socket = await it.connect(CUSTOM)
        await send(socket, JPEG)
        await socket.until(lambda socket: socket.events("photo_processing"))
        (told,) = socket.events("photo_processing")
        ((row, _),) = await it.conversations()
        (photo,) = await kept(it, row.id)
        assert told == {"type": "photo_processing", "temp_id": "t1", "photo_id": photo.id}
        assert (photo.image, row.source) == (JPEG, "openglass")
        await socket.leave()
        await it.idle()


async def test_a_conversation_of_pictures_alone_ends_after_its_silence_and_is_processed(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with server(tmp_path) as it:
        socket = await it.connect(CUSTOM)
        await trio.sleep(20)
        await send(socket, JPEG)
        await socket.until(lambda socket: socket.events("photo_processing"))
        await trio.sleep(25)
        ((row, _),) = await it.conversations()
        assert row.status == "in_progress", "the picture ended the silence"
        await socket.until(lambda socket: socket.events("memory_created"))
        (created,) = socket.events("memory_created")
        assert created["memory"]["id"] == row.id
        assert created["memory"]["source"] == "openglass"
        assert [photo["base64"] for photo in created["memory"]["photos"]] == [base64.b64encode(JPEG).decode()]
        await socket.leave()
        await it.idle()


async def test_a_picture_is_kept_when_its_client_leaves_at_once(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with server(tmp_path) as it:
        socket = await it.connect(CUSTOM)
        await send(socket, JPEG)
        await socket.leave()
        await it.idle()
        ((row, _),) = await it.conversations()
        assert len(await kept(it, row.id)) == 1


async def test_what_is_no_picture_closes_the_session_with_1008(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    for n, wrong in enumerate(
        (
            {"type": "image_chunk", "id": "t", "index": 1, "total": 1, "data": ""},
            {"type": "image_chunk", "id": "t", "index": -1, "total": 1, "data": ""},
            {"type": "image_chunk", "id": "t", "index": 0, "total": 1, "data": "!"},
            {"type": "image_chunk"},
        )
    ):
        async with server(tmp_path / str(n)) as it:
            socket = await it.connect(CUSTOM)
            await socket.say(json.dumps(wrong))
            await socket.until(lambda socket: socket.closed)
            assert socket.closed is not None
            assert socket.closed[0] == 1008
            (error,) = socket.events("error")
            assert (error["code"], error["parameter"]) == (1008, "image_chunk")
            await socket.leave()
            await it.idle()


async def test_a_picture_for_which_there_is_no_room_is_told_to_be_sent_again(
    autojump_clock: MockClock,
) -> None:
    told: list[Event] = []
    go_on = trio.Event()

    async def keep(image: bytes) -> str | None:
        await go_on.wait()
        return image.decode()

    pictures = Pictures(keep, told.append, 1000)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pictures.run)
        for n in range(WAITING + 2):
            data = base64.b64encode(f"p{n}".encode()).decode()
            pictures.take(ImageChunk(f"t{n}", 0, 1, data))
            await trio.testing.wait_all_tasks_blocked()
        assert pictures.statistics() == PicturesStatistics(begun=0, waiting=WAITING, kept=0, dropped=1)
        (lost,) = told
        assert isinstance(lost, ServiceStatus)
        assert "send it again later" in str(lost.status_text)
        go_on.set()
        await pictures.finish()
    assert pictures.statistics() == PicturesStatistics(kept=WAITING + 1, dropped=1)
    assert told[1:] == [PhotoProcessing(f"t{n}", f"p{n}") for n in range(WAITING + 1)]
