"""A whole server but for the sockets: real store, lifecycle, service and ring; a scripted vendor; memory sockets."""

import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
import trio
import trio.testing

from engine.config import Config, Limits, Session, Stt
from engine.config import Quota as QuotaSettings
from engine.conversation.assigning import Assigner
from engine.conversation.lifecycle import Lifecycle
from engine.conversation.llm.metrics import NoMeter
from engine.conversation.models import Models
from engine.conversation.photos import Album
from engine.conversation.preferences import SpeechPreferences
from engine.conversation.processor import Processor
from engine.conversation.quota import Quota
from engine.conversation.translate import Translator
from engine.conversation.voices import Voices
from engine.listen.ports import ClientGone, Follower
from engine.listen.service import ListenService
from engine.listen.unpacking import Unpacking
from engine.metrics import Metrics
from engine.speaker.encoding import Encoding
from engine.store import DatabaseWriter, Store
from engine.stt.vendor import SAMPLE_RATE, Vendor
from engine.wire.parameters import ListenParameters
from tests.databases import migrated
from tests.listen.promised import wrong

T = TypeVar("T")

FRAME = 320
"""Samples in 20 ms."""


async def inline(function: Callable[..., T], /, *args: object) -> T:
    """Work that would go to a thread, done at once: the virtual clock must not run while a thread works."""
    await trio.lowlevel.checkpoint()
    return function(*args)


def wall_clock() -> int:
    """Microseconds since the epoch that follow Trio's clock, so that the virtual one moves records too."""
    return 1_800_000_000_000_000 + int(trio.current_time() * 1_000_000)


class MemorySocket:
    """A client's end and the server's end of a socket, without a socket."""

    def __init__(self) -> None:
        self._to_server, self._server = trio.open_memory_channel[bytes | str](10)
        self._gone: int | None = None
        self.messages: list[Any] = []
        self.pings = 0
        self.closed: tuple[int, str] | None = None
        self.reads = True
        self._news = trio.Event()

    # The server's end

    async def receive(self) -> bytes | str:
        try:
            return await self._server.receive()
        except trio.EndOfChannel:
            raise ClientGone(self._gone or 1006) from None

    async def send(self, text: str) -> None:
        if self._gone is not None:
            raise ClientGone(self._gone)
        while not self.reads:
            await trio.sleep_forever()
        await trio.lowlevel.checkpoint()
        if text == "ping":
            self.pings += 1
        else:
            self.messages.append(json.loads(text))
        self._news.set()

    async def close(self, code: int, reason: str = "") -> None:
        await trio.lowlevel.checkpoint()
        if self._gone is None and self.closed is None:
            self.closed = (code, reason)
            self._news.set()

    # The client's end

    async def say(self, message: bytes | str) -> None:
        await self._to_server.send(message)

    async def leave(self, code: int = 1000) -> None:
        self._gone = code
        await self._to_server.aclose()

    async def until(self, seen: Callable[["MemorySocket"], object]) -> None:
        """Wait until `seen(self)` is true."""
        while not seen(self):
            self._news = trio.Event()
            await self._news.wait()

    async def until_status(self, status: str) -> dict[str, Any]:
        await self.until(lambda socket: socket.statuses(status))
        return self.statuses(status)[0]

    def statuses(self, status: str) -> list[dict[str, Any]]:
        return [e for e in self.events("service_status") if e["status"] == status]

    def events(self, kind: str) -> list[dict[str, Any]]:
        return [m for m in self.messages if isinstance(m, dict) and m["type"] == kind]

    def segments(self) -> dict[str, dict[str, Any]]:
        """What a client shows: segments upserted by id, deleted ones gone."""
        shown: dict[str, dict[str, Any]] = {}
        for message in self.messages:
            if isinstance(message, list):
                shown.update((segment["id"], segment) for segment in message)
            elif message["type"] == "segments_deleted":
                for gone in message["segment_ids"]:
                    shown.pop(gone)
        return shown

    def text(self) -> str:
        return " ".join(segment["text"] for segment in self.segments().values())


def silence(seconds: float) -> bytes:
    """PCM16 at 16 kHz; scripted vendors do not care what it sounds like."""
    return bytes(2 * round(seconds * SAMPLE_RATE))


def frames(pcm: bytes, frame: int = FRAME) -> list[bytes]:
    """Cut PCM16 into packets of `frame` samples."""
    return [pcm[at : at + 2 * frame] for at in range(0, len(pcm), 2 * frame)]


def tone(seconds: float) -> bytes:
    """PCM16 that is not silent."""
    times = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (8000 * np.sin(2 * np.pi * 300 * times)).astype("<i2").tobytes()


PCM16 = ListenParameters(codec="pcm16", sample_rate=16_000)


def parameters(**changes: Any) -> ListenParameters:
    """PCM16 at 16 kHz, but for `changes`."""
    return msgspec.structs.replace(PCM16, **changes)


class Server:
    """Everything behind the web, running."""

    models: Models
    processor: Processor
    assigner: Assigner

    def __init__(
        self,
        service: ListenService,
        lifecycle: Lifecycle,
        store: Store,
        writer: DatabaseWriter,
        nursery: trio.Nursery,
    ) -> None:
        self.service = service
        self.lifecycle = lifecycle
        self.store = store
        self.writer = writer
        self.sockets: list[MemorySocket] = []
        self._nursery = nursery

    async def connect(self, parameters: ListenParameters = PCM16, uid: str = "ada") -> MemorySocket:
        """A client whose session runs beside the test."""
        socket = MemorySocket()
        self.sockets.append(socket)
        self._nursery.start_soon(self.service.serve, socket, parameters, uid)
        await trio.testing.wait_all_tasks_blocked()
        return socket

    async def idle(self) -> None:
        """Wait until no session is left."""
        await self.service.drained()

    async def conversations(self, uid: str = "ada") -> list[Any]:
        """Rows with their segments, newest first, once the database has all."""
        await self.writer.flush()
        return list(await self.store.conversations.with_segments(await self.store.conversations.list(uid)))


def plain_models(config: Config) -> Models:
    """Conversations are read by rules, without a thread; nothing is searched by meaning."""
    return Models(config.llm, config.embedding, inline, NoMeter())


def processor_over(store: Store, config: Config, models: Models | None = None) -> Processor:
    """Processes with `models`, or with plain ones."""
    models = models or plain_models(config)
    return Processor(store, models, config.conversation, wall_clock, Metrics())


@asynccontextmanager
async def server(
    tmp_path: Path,
    *vendors: Vendor,
    session: dict[str, Any] | None = None,
    limits: dict[str, Any] | None = None,
    stt: dict[str, Any] | None = None,
    translator: Callable[[Store], Translator] | None = None,
    quota_minutes: float = 0.0,
    followers: Callable[[Store], Sequence[Follower]] = lambda _: (),
    **voices: Any,
) -> AsyncIterator[Server]:
    """A server's inside on `tmp_path`, stopped at the end of the block. `translator`, `followers`: made for its store.

    `voices`: the `speakers` and `own_voices` of its `ListenService`.

    Then every message of every session must have been one that the AsyncAPI document promises.
    """
    config = Config(
        data_dir=tmp_path,
        session=Session(**(session or {})),
        limits=Limits(**(limits or {})),
        stt=Stt(**(stt or {})),
        quota=QuotaSettings(audio_minutes=quota_minutes),
    )
    store = await Store.open(migrated(tmp_path), inline, now=wall_clock)
    writer = DatabaseWriter(store, inline)
    await writer.recover()
    models = plain_models(config)
    processor = processor_over(store, config, models)
    lifecycle = Lifecycle(store.conversations, store.wholes, writer, wall_clock, processor)
    processor.when_done(lifecycle.tell)
    assigner = Assigner(
        live=lifecycle,
        edits=store.edits,
        people=store.people,
        decisions=store.voices,
        voices=Voices(
            kept=store.voices,
            blobs=store.profile_blobs,
            encoding=Encoding(),
            settings=config.speaker,
            off_loop=inline,
            now=wall_clock,
        ),
        jobs=store.jobs,
        wake=processor.wake,
        now=wall_clock,
    )
    translating = None if translator is None else translator(store)
    service = ListenService(
        config,
        vendors,
        lifecycle,
        metrics=Metrics(),
        off_loop=inline,
        unpacking=Unpacking(inline, 1),
        wall_clock=wall_clock,
        preferences=SpeechPreferences(store.users, Quota(config.quota, store.usage, wall_clock)),
        photos=Album(store.photos, models, writer.flush, processor.wake, wall_clock),
        translator=translating,
        assignments=assigner,
        followers=followers(store),
        **voices,
    )
    processor.describer.tell = lifecycle.notify
    async with trio.open_nursery() as outer:
        await outer.start(lambda task_status: writer.run(task_status=task_status))
        async with trio.open_nursery() as nursery:
            await nursery.start(lambda task_status: lifecycle.run(task_status=task_status))
            await nursery.start(assigner.run)
            if translating is not None:
                nursery.start_soon(translating.run)
            running = Server(service, lifecycle, store, writer, nursery)
            running.models, running.processor, running.assigner = models, processor, assigner
            yield running
            nursery.cancel_scope.cancel()
        outer.cancel_scope.cancel()
    await store.close()
    said = [message for socket in running.sockets for message in (*socket.messages, *["ping"] * socket.pings)]
    complaints = [complaint for message in said for complaint in wrong("listen", "Sends", message)]
    assert not complaints, "\n".join(complaints)
