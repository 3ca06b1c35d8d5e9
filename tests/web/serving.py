"""The whole application on a free port, over a real store; only what a session does is the test's."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar, TypeVarTuple

import httpx2
import trio

from engine.config import Auth, Config, Limits, Receiver, Session, Web, Webhook
from engine.conversation import Lifecycle
from engine.conversation.assigning import Assigner
from engine.conversation.chat.answering import Chat
from engine.conversation.chat.search import StoreSearch
from engine.conversation.day_summary import Summarizer
from engine.conversation.facts import Facts
from engine.conversation.llm.metrics import NoMeter
from engine.conversation.models import Models
from engine.conversation.processor import Processor
from engine.conversation.requests import Requests
from engine.conversation.search import Search
from engine.conversation.voices import Voices
from engine.listen.ports import ClientGone, ClientSocket
from engine.listen.recordings import Recordings
from engine.metrics import Metrics
from engine.off_loop import worker_threads
from engine.server.delivering import Delivering
from engine.server.entrance import Entrance
from engine.server.hosting import Hosting
from engine.server.http import HttpServer, bind
from engine.server.receiving import Receiving
from engine.speaker.encoding import Encoding
from engine.store import COMPLETED, ConversationRow, DatabaseWriter, SegmentsChanged, Store
from engine.store.database import wall_clock
from engine.store.jobs import TELL
from engine.stt import Vendor
from engine.web import Readiness, Services, create_app, listen_service
from engine.web.ports import Usage
from engine.webhooks.apps import AppEndpoints
from engine.webhooks.finished import Finished
from engine.wire import ListenParameters, Segment
from tests.databases import migrated
from tests.patience import PATIENCE

SECOND = 1_000_000
T0 = 1_700_000_000 * SECOND
"""2023-11-14T22:13:20Z"""


class EchoSessions:
    """Sends every text message back, and the length of every binary one; remembers how it went."""

    def __init__(self) -> None:
        self.served: list[tuple[str, ListenParameters]] = []
        self.received: list[bytes | str] = []
        self.gone: ClientGone | None = None
        self.ended = trio.Event()
        self.behaviour: Callable[[ClientSocket], Awaitable[None]] = self.echo

    async def serve(self, socket: ClientSocket, parameters: ListenParameters, uid: str) -> None:
        self.served.append((uid, parameters))
        try:
            await self.behaviour(socket)
        finally:
            self.ended.set()

    async def only_receive(self, socket: ClientSocket) -> None:
        try:
            while True:
                self.received.append(await socket.receive())
        except ClientGone as gone:
            self.gone = gone

    async def echo(self, socket: ClientSocket) -> None:
        try:
            while True:
                message = await socket.receive()
                self.received.append(message)
                await socket.send(message if isinstance(message, str) else str(len(message)))
        except ClientGone as gone:
            self.gone = gone

    async def wait_ended(self) -> None:
        with trio.fail_after(PATIENCE):
            await self.ended.wait()


T = TypeVar("T")
Ts = TypeVarTuple("Ts")


async def off_loop(function: Callable[[*Ts], T], /, *args: *Ts) -> T:
    return await trio.to_thread.run_sync(function, *args)


class Site:
    """A running application."""

    processor: Processor
    receiving: Receiving

    def __init__(
        self, services: Services, store: Store, sessions: EchoSessions, port: int, models: Models
    ) -> None:
        self.services = services
        self.models = models
        self.store = store
        self.sessions = sessions
        self.port = port
        # Without TLS: reading the authorities' certificates takes a twentieth of a second.
        self.client = httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE, verify=False)

    async def get(self, path: str, uid: str | None = "alice", **params: Any) -> httpx2.Response:
        return await self.client.get(path, params=params, headers=_as(uid))

    async def request(
        self, method: str, path: str, uid: str | None = "alice", **options: Any
    ) -> httpx2.Response:
        return await self.client.request(method, path, headers=_as(uid), **options)

    def metric(self, name: str, **labels: str) -> float:
        return self.services.metrics.registry.get_sample_value(name, labels) or 0.0


def _as(uid: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer dev:{uid}"} if uid else {}


async def open_store(data_dir: Path, url: str = "") -> Store:
    """A fresh store."""
    return await Store.open(data_dir if url else migrated(data_dir), off_loop, url=url)


@asynccontextmanager
async def site(
    data_dir: Path,
    *,
    auth: Auth = "dev",
    filled: Callable[[Store], Awaitable[None]] | None = None,
    web: Web | None = None,
    usage: Usage | None = None,
    lane: bool = False,
    database_url: str = "",
    vendors: Sequence[Vendor] = (),
    receiver: Receiver | None = None,
    **session: Any,
) -> AsyncIterator[Site]:
    """Serve until the block ends. `filled` puts things in the store before conversations are taken up.

    `lane`: listen sockets come in by the native lane. `database_url`: of an empty PostgreSQL database; else it is
    SQLite.
    """
    config = Config(
        data_dir=data_dir,
        auth=auth,
        session=Session(**{"close_timeout": 5.0, **session}),
        limits=Limits(sessions=4),
        web=web or Web(request_timeout=PATIENCE),
        webhook=Webhook(allow=("127.0.0.0/8",)),
        receiver=receiver or Receiver(),
    )
    store = await open_store(data_dir, database_url)
    if filled is not None:
        await filled(store)
    writer = DatabaseWriter(store, off_loop, write_interval=0.01)
    metrics = Metrics()
    models = Models(config.llm, config.embedding, worker_threads(1), NoMeter())
    delivering = Delivering(config, store, metrics, off_loop, AppEndpoints(store.app_registry, wall_clock))
    hosting = Hosting(config, store, delivering)
    search = StoreSearch(store, models)
    processor = Processor(store, models, config.conversation, wall_clock, metrics, apps=hosting.chat_apps)
    lifecycle = Lifecycle(store.conversations, store.wholes, writer, wall_clock, processor)
    processor.when_done(lifecycle.tell)
    finished = Finished(store.jobs, store.wholes, delivering.directory, delivering.queue, off_loop)
    processor.jobs.add(TELL, finished)
    sessions, readiness = EchoSessions(), Readiness(config.limits.sessions)
    readiness.models_warm("none")
    receiving = Receiving(config, store, store.received_blobs, sessions, delivering.client, metrics)
    voices = Voices(
        kept=store.voices,
        blobs=store.profile_blobs,
        encoding=Encoding(),
        settings=config.speaker,
        off_loop=off_loop,
        now=wall_clock,
    )
    services = Services(
        config=config,
        metrics=metrics,
        readiness=readiness,
        sessions=sessions,
        conversations=store.conversations,
        wholes=store.wholes,
        edits=store.edits,
        search=Search(store, lambda: models.embedder),
        models=models,
        lifecycle=lifecycle,
        requests=Requests(store, processor, wall_clock, PATIENCE),
        user_data=store.user_data,
        facts=Facts(models, wall_clock),
        days=Summarizer(store, models, config.llm, wall_clock, NoMeter(), off_loop, 5.0),
        apps=hosting.attend(processor, models, search, lifecycle),
        tokens=store.tokens,
        usage=usage or store.usage,
        records=store,
        transcriber=Recordings(vendors, config, off_loop),
        chat=Chat(
            messages=store.messages,
            users=store.users,
            search=search,
            models=models,
            settings=config.chat,
            now=wall_clock,
            apps=hosting.chat_apps,
        ),
        webhooks=delivering.services(),
        teller=finished,
        off_loop=off_loop,
        receiver=receiving.services(),
        blob_places=store.blob_places,
        voices=voices,
        assigner=Assigner(
            live=lifecycle,
            edits=store.edits,
            people=store.people,
            decisions=store.voices,
            voices=voices,
            jobs=store.jobs,
            wake=processor.wake,
            now=wall_clock,
        ),
        blob_links=store.blob_links,
    )
    listeners = await bind("127.0.0.1", 0)
    port = listeners[0].socket.getsockname()[1]
    async with trio.open_nursery() as outer:
        await outer.start(writer.run)
        async with trio.open_nursery() as nursery:
            await nursery.start(lifecycle.run)
            await nursery.start(receiving.run)
            entrance = Entrance(config, listen_service(services)) if lane else None
            http = HttpServer(create_app(services), config, entrance)
            await nursery.start(http.run, listeners)
            running = Site(services, store, sessions, port, models)
            running.processor = processor
            running.receiving = receiving
            async with delivering.client.open(), running.client:
                yield running
            nursery.cancel_scope.cancel()
        outer.cancel_scope.cancel()
    await store.close()


def row(id: str, *, uid: str = "alice", age: int = 0, **fields: Any) -> ConversationRow:
    """A conversation that began `age` seconds before `T0`."""
    began = T0 - age * SECOND
    times = {"created_at": began, "started_at": began, "finished_at": began, "last_speech_at": began}
    return ConversationRow(
        **{"uid": uid, "id": id, "status": COMPLETED, "timeout_seconds": 14_400, **times, **fields}
    )


def segment(id: str, text: str, start: float = 0.0) -> Segment:
    return Segment(id=id, text=text, start=start, end=start + 1, stt_provider="local")


async def add(store: Store, conversation: ConversationRow, *segments: Segment) -> None:
    """Keep a conversation with its segments."""
    await store.conversations.create(conversation)
    if segments:
        times = conversation.finished_at, conversation.last_speech_at
        changed = SegmentsChanged(conversation.uid, conversation.id, segments, *times)
        await store.conversations.apply([changed])
