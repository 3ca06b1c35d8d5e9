"""The whole process: start, readiness, drain, signals, and what stops it from starting."""

import json
import os
import signal
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest
import trio

from engine.config import Config, Embedding, Session, Stt
from engine.server import BindError, Bound, DataDirInUse, DrainForced, configured_vendors, serve
from engine.server.http import bind
from engine.stt import AudioSource, Fault, Ready, StreamOptions, SttEvent, VendorError
from engine.testing import ScriptedVendor, counted_words
from tests.databases import migrated
from tests.patience import PATIENCE
from tests.ports import kept_port
from tests.server.raw import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    RawClient,
    close_frame,
    connect,
    frame,
    websocket,
)
from tests.ways import lane_setting

LISTEN = "/v4/listen?uid=alice&codec=pcm16&sample_rate=16000"


class SlowToWarm(ScriptedVendor):
    """Warm when the test says so. It is asked to warm up when the port is open already."""

    def __init__(self) -> None:
        super().__init__(counted_words())
        self.asked, self.warm = trio.Event(), trio.Event()

    async def prepare(self) -> None:
        self.asked.set()
        await self.warm.wait()

    async def wait_asked(self) -> None:
        with trio.fail_after(PATIENCE):
            await self.asked.wait()


class Late(ScriptedVendor):
    """Begins to listen when the test says so; until then audio waits in the ring."""

    def __init__(self) -> None:
        super().__init__(counted_words())
        self.begin = trio.Event()

    async def transcribe(
        self, audio: AudioSource, emit: Callable[[SttEvent], None], options: StreamOptions
    ) -> None:
        emit(Ready())
        await self.begin.wait()
        await super().transcribe(audio, emit, options)


class Deaf(ScriptedVendor):
    """Takes audio and never says anything."""

    def __init__(self) -> None:
        super().__init__(counted_words())
        self.heard = trio.Event()

    async def transcribe(
        self, audio: AudioSource, emit: Callable[[SttEvent], None], options: StreamOptions
    ) -> None:
        emit(Ready())
        await audio.read(1600)
        self.heard.set()
        await trio.sleep_forever()


def settings(data_dir: Path, **top: Any) -> Config:
    given: dict[str, Any] = {
        "port": 0,
        "data_dir": migrated(data_dir),
        "drain_timeout": PATIENCE,
        "lane": lane_setting(),
    }
    return Config(embedding=Embedding(provider="off"), **given | top)


class Process:
    """A running server; `error` is what it ended with."""

    def __init__(self) -> None:
        self.stop = trio.Event()
        self.ready = trio.Event()
        self.ended = trio.Event()
        self.error: BaseException | None = None
        self.bound: Bound | None = None

    def started(self, bound: Bound | None = None) -> None:
        self.bound = bound
        self.ready.set()

    @property
    def port(self) -> int:
        assert self.bound is not None
        return self.bound.port

    async def run(self, config: Config, *vendors: Any, signals: bool = False) -> None:
        shutdown = None if signals else self.stop
        try:
            await serve(config, vendors=vendors, shutdown=shutdown, task_status=self)
        except Exception as error:  # noqa: BLE001 - the test looks at it
            self.error = error
        finally:
            self.ended.set()

    async def wait_ready(self) -> None:
        with trio.fail_after(PATIENCE):
            await self.ready.wait()

    async def wait_ended(self) -> None:
        with trio.fail_after(PATIENCE):
            await self.ended.wait()


@asynccontextmanager
async def running(config: Config, *vendors: Any) -> AsyncIterator[Process]:
    """A ready server, drained at the end of the block."""
    process = Process()
    async with trio.open_nursery() as nursery:
        with trio.fail_after(PATIENCE):
            process.bound = await nursery.start(
                partial(serve, config, vendors=vendors, shutdown=process.stop)
            )
        yield process
        process.stop.set()


async def read_until_close(client: RawClient) -> tuple[list[Any], int, str]:
    """Everything that is sent as JSON before the close frame; its code and reason, answered."""
    messages: list[Any] = []
    while True:
        opcode, payload = await client.read_frame()
        if opcode == CLOSE:
            (code,) = struct.unpack("!H", payload[:2])
            await client.send(close_frame(code))
            return messages, code, payload[2:].decode()
        if payload != b"ping":
            messages.append(json.loads(payload))


async def read_until_status(client: RawClient, status: str) -> None:
    while True:
        opcode, payload = await client.read_frame()
        assert opcode == TEXT
        if payload != b"ping" and f'"status":"{status}"'.encode() in payload:
            return


async def all_received(client: RawClient) -> None:
    """Wait until the session has taken all that was sent so far.

    The server answers a ping after it has queued what came before it, and the queue is shorter than this.
    """
    await client.send(*[frame(BINARY, b"\x00")] * 30, frame(PING, b"all"))
    while await client.read_frame() != (PONG, b"all"):
        pass


def speech(seconds: float) -> list[bytes]:
    return [frame(BINARY, bytes(3200))] * round(seconds * 10)


async def ask(port: int, path: str, **query: str) -> httpx2.Response:
    async with httpx2.AsyncClient(
        base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE, verify=False
    ) as client:
        return await client.get(path, params={"uid": "alice", **query})


@pytest.mark.both_ways
async def test_it_lives_at_once_and_is_ready_when_everything_is_warm(tmp_path: Path) -> None:
    vendor, process = SlowToWarm(), Process()
    with kept_port() as port:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(process.run, settings(tmp_path, port=port), vendor)
            await vendor.wait_asked()
            assert (await ask(port, "/livez")).status_code == 200
            for path in ("/readyz", "/startupz"):
                answer = await ask(port, path)
                assert answer.status_code == 503
                assert answer.json()["checks"]["models"] == {"ok": False, "detail": "loading scripted"}
            async with websocket(port, LISTEN) as early:
                messages, code, _ = await read_until_close(early)
                assert code == 1013
                assert messages[-1]["retry_after"] > 0
            assert process.bound is None
            vendor.warm.set()
            await process.wait_ready()
            answer = await ask(port, "/readyz")
            assert answer.status_code == 200
            assert {name for name, check in answer.json()["checks"].items() if check["ok"]} == {
                "models",
                "database",
                "draining",
                "capacity",
            }
            assert process.bound == Bound("127.0.0.1", port)
            process.stop.set()
            await process.wait_ended()
    assert process.error is None


@pytest.mark.both_ways
async def test_a_drain_ends_sessions_after_their_last_word_and_keeps_it(tmp_path: Path) -> None:
    vendor = Late()
    async with running(settings(tmp_path), vendor) as process:
        async with websocket(process.port, LISTEN) as client:
            await read_until_status(client, "ready")
            await client.send(*speech(1.9))
            await all_received(client)
            process.stop.set()
            await read_until_status(client, "draining")
            vendor.begin.set()
            messages, code, reason = await read_until_close(client)
        assert (code, reason) == (1001, "the server is shutting down")
        segments = {s["id"]: s["text"] for m in messages if isinstance(m, list) for s in m}
        heard = " ".join(segments.values()).split()
        assert heard == ["w0.", "w1.", "w2.", "w3."]
    async with running(settings(tmp_path), ScriptedVendor(counted_words())) as process:
        answer = await ask(process.port, "/v1/conversations", statuses="in_progress")
        (conversation,) = answer.json()
    kept = " ".join(s["text"] for s in conversation["transcript_segments"]).split()
    assert kept == heard


@pytest.mark.both_ways
async def test_while_it_drains_it_is_not_ready_and_takes_no_more_sessions(tmp_path: Path) -> None:
    vendor = Late()
    patient = settings(tmp_path, drain_timeout=PATIENCE, session=Session(flush_timeout=PATIENCE))
    async with (
        running(patient, vendor) as process,
        connect(process.port) as probe,
        connect(process.port) as late,
        websocket(process.port, LISTEN) as client,
    ):
        await client.send(*speech(0.5))
        await read_until_status(client, "ready")
        process.stop.set()
        await read_until_status(client, "draining")
        with pytest.raises(OSError, match="attempts to connect"):
            await trio.open_tcp_stream("127.0.0.1", process.port)
        await probe.send(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert "503" in (await probe.read_head()).splitlines()[0]
        await late.send(
            b"GET /v4/listen?uid=bob HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        await late.read_head()
        messages, code, _ = await read_until_close(late)
        assert code == 1013
        assert messages[-1]["retry_after"] > 0
        vendor.begin.set()  # so that the session can end
        await read_until_close(client)


@pytest.mark.both_ways
async def test_a_drain_that_cannot_end_sessions_cuts_them_with_1001_in_time(tmp_path: Path) -> None:
    vendor = Deaf()
    config = settings(tmp_path, drain_timeout=1.0, session=Session(flush_timeout=600.0, close_timeout=60.0))
    async with running(config, vendor) as process, websocket(process.port, LISTEN) as client:
        await client.send(*speech(0.5))
        await vendor.heard.wait()
        process.stop.set()
        _, code, _ = await read_until_close(client)  # within a patience that is shorter than `flush_timeout`
        assert code == 1001


@pytest.mark.both_ways
async def test_cancelling_it_closes_clients_with_1001(tmp_path: Path) -> None:
    async with trio.open_nursery() as nursery:
        serving = trio.CancelScope()

        async def run(*, task_status: trio.TaskStatus[Bound] = trio.TASK_STATUS_IGNORED) -> None:
            with serving:
                vendors = [ScriptedVendor(counted_words())]
                await serve(
                    settings(tmp_path), vendors=vendors, shutdown=trio.Event(), task_status=task_status
                )

        bound = await nursery.start(run)
        async with websocket(bound.port, LISTEN) as client:
            await read_until_status(client, "ready")
            serving.cancel()
            _, code, _ = await read_until_close(client)
        assert code == 1001


async def test_sigterm_drains_it(tmp_path: Path) -> None:
    process = Process()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(process.run, settings(tmp_path), signals=True))
        await process.wait_ready()
        os.kill(os.getpid(), signal.SIGTERM)
        await process.wait_ended()
    assert process.error is None


@pytest.mark.both_ways
async def test_a_second_signal_ends_a_drain_at_once(tmp_path: Path) -> None:
    process, vendor = Process(), Deaf()
    async with trio.open_nursery() as nursery:
        config = settings(tmp_path, drain_timeout=600.0)
        nursery.start_soon(partial(process.run, config, vendor, signals=True))
        await process.wait_ready()
        async with websocket(process.port, LISTEN) as client:
            await client.send(*speech(0.5))
            await vendor.heard.wait()
            os.kill(os.getpid(), signal.SIGINT)
            await read_until_status(client, "draining")
            os.kill(os.getpid(), signal.SIGTERM)
            await read_until_close(client)
        await process.wait_ended()
    assert isinstance(process.error, DrainForced)


async def test_told_to_stop_before_it_is_ready_it_ends_without_having_started(tmp_path: Path) -> None:
    process, vendor = Process(), SlowToWarm()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(process.run, settings(tmp_path), vendor)
        await vendor.wait_asked()
        process.stop.set()
        await process.wait_ended()
    assert process.error is None
    assert process.bound is None


async def test_a_taken_port_is_named_and_the_data_directory_is_free_again(tmp_path: Path) -> None:
    (listener,) = await bind("127.0.0.1", 0)
    async with listener:
        port = listener.socket.getsockname()[1]
        process = Process()
        await process.run(settings(tmp_path, port=port))
        assert isinstance(process.error, BindError)
        assert f"port {port}" in str(process.error)
    async with running(settings(tmp_path)):
        pass


async def test_a_second_server_on_one_data_directory_is_refused(tmp_path: Path) -> None:
    async with running(settings(tmp_path)):
        process = Process()
        await process.run(settings(tmp_path))
        assert isinstance(process.error, DataDirInUse)
        assert "LISTEN_DATA_DIR" in str(process.error)


async def test_a_vendor_that_cannot_be_prepared_is_an_error_of_its_own(tmp_path: Path) -> None:
    class Missing(ScriptedVendor):
        async def prepare(self) -> None:
            raise VendorError(Fault.ELSEWHERE, "local.model: nothing there")

    process = Process()
    with trio.fail_after(PATIENCE):
        await process.run(settings(tmp_path), Missing(counted_words()))
    assert isinstance(process.error, VendorError)
    assert str(process.error) == "local.model: nothing there"


@pytest.mark.parametrize(
    ("models", "names"), [(("dg-nova-3", "local-whisper"), ["local-whisper"]), (("dg-nova-3",), [])]
)
def test_the_local_model_is_there_when_the_order_names_it(
    tmp_path: Path, models: tuple[Any, ...], names: list[str]
) -> None:
    config = settings(tmp_path, stt=Stt(service_models=models))
    assert [vendor.name for vendor in configured_vendors(config)] == names
