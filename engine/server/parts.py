"""The parts of one server process, put together. `engine.server.serving` says in what order they run.

The same parts serve alone and as one of several workers. A worker differs in three things: it is told when to take
over what others left (`Member`), the web's questions about a user go to the worker that has them, and one that is
started while others serve listens only once it is ready.
"""

from collections.abc import Sequence

import msgspec

from engine.config import Config
from engine.listen import ListenService, Unpacking
from engine.listen.recordings import Recordings
from engine.metrics import Metrics
from engine.off_loop import OffLoop, worker_threads
from engine.server.conversing import Conversing
from engine.server.delivering import Delivering
from engine.server.entrance import Entrance, open_lane
from engine.server.hosting import Hosting
from engine.server.http import HttpServer
from engine.server.lane import Lane
from engine.server.receiving import Receiving
from engine.server.recording import Recording
from engine.server.speaking import Speaking
from engine.server.summarising import Summarising
from engine.server.telling import Telling
from engine.server.vendor_lane import LaneTransport
from engine.server.watch import (
    watch_lane,
    watch_process,
)
from engine.server.workers.member import Member
from engine.server.workers.messages import Assignment
from engine.store import DatabaseWriter, Store
from engine.store.database import wall_clock
from engine.stt import Vendor
from engine.stt.transport import Transport
from engine.stt.vendors import configured_vendors
from engine.stt.websocket import WebSocketTransport
from engine.web import Readiness, Services, create_app, listen_service
from engine.webhooks.apps import AppEndpoints

__all__ = ["Parts"]

OFF_LOOP_THREADS = 16
"""Threads for disk and database; models and AAC have their own."""


class Parts:
    """The parts of one server. Made by `open`."""

    def __init__(
        self,
        config: Config,
        vendors: Sequence[Vendor],
        store: Store,
        off_loop: OffLoop,
        lane: Lane | None,
        assignment: Assignment | None,
    ) -> None:
        self.config = config
        self.vendors = vendors
        self.store = store
        self.off_loop = off_loop
        self.metrics = Metrics()
        self.readiness = Readiness(config.limits.sessions)
        settings = msgspec.structs.asdict(config.store)
        del settings["busy_timeout"], settings["settings_age"]
        self.writer = DatabaseWriter(store, self.off_loop, **settings)
        self.member = None if assignment is None else Member(assignment, store)
        ownership = None if self.member is None else self.member.placement
        app_endpoints = AppEndpoints(store.app_registry, wall_clock)
        self.delivering = Delivering(config, store, self.metrics, self.off_loop, app_endpoints)
        self.hosting = Hosting(config, store, self.delivering)
        apps = self.hosting.chat_apps
        self.conversing = Conversing(config, store, self.writer, self.metrics, ownership, apps)
        jobs = self.conversing.processor.jobs
        self.telling = Telling(config, store, self.delivering, jobs, self.metrics, self.off_loop)
        self.summarising = Summarising(
            config, store, self.conversing.summarizer, self.delivering.queue, self.metrics, self.off_loop
        )
        live = self.member or self.conversing.lifecycle
        processor = self.conversing.processor
        self.speaking = Speaking(config, store, live, processor, vendors, self.metrics, off_loop)
        self.recording = Recording(config, store, self.writer, self.conversing, self.metrics)
        aac_threads = config.session.aac_threads
        self.sessions = ListenService(
            config,
            vendors,
            self.conversing.lifecycle,
            metrics=self.metrics,
            off_loop=self.off_loop,
            unpacking=Unpacking(worker_threads(aac_threads), aac_threads),
            wall_clock=wall_clock,
            preferences=self.conversing.preferences,
            photos=self.conversing.album,
            translator=self.conversing.translator,
            speakers=self.speaking.speakers,
            assignments=self.speaking.assigner,
            own_voices=self.speaking.own_voices,
            followers=(*self.telling.followers, *self.speaking.followers, *self.recording.followers),
        )
        self.readiness.watch_load(lambda: self.sessions.load)
        self.readiness.watch_transcription(lambda: self.sessions.transcribes)
        if self.member is not None:
            self.member.attend(
                self.conversing.lifecycle, self.sessions, self.writer, self.metrics, self.readiness
            )
        self.receiving = Receiving(
            config,
            store,
            store.received_blobs,
            self.member or self.sessions,
            self.delivering.client,
            self.metrics,
            assignment,
        )
        self.conversing.processor.when_done((self.member or self.conversing.lifecycle).tell)
        services = self._services()
        entrance = Entrance(config, listen_service(services), lane) if lane is not None else None
        self.http = HttpServer(create_app(services), config, entrance)
        watch_process(self.metrics, self.sessions, self.writer, self.conversing.processor)
        if lane is not None:
            watch_lane(self.metrics, lane)

    @classmethod
    async def open(
        cls, config: Config, vendors: Sequence[Vendor] | None, assignment: Assignment | None = None
    ) -> "Parts":
        """Open the store and put the parts together, those of one worker of several with an `assignment`."""
        off_loop = worker_threads(OFF_LOOP_THREADS)
        busy = config.store.busy_timeout
        store = await Store.open(
            config.data_dir,
            off_loop,
            url=config.database_url,
            busy_timeout=busy,
            vector_cache=config.embedding.cache_mib * 2**20,
            user_cache_seconds=config.store.settings_age,
            blobs=config.blobs,
        )
        lane = open_lane(config)
        if vendors is None:
            line: Transport = WebSocketTransport()
            vendors = configured_vendors(config, line if lane is None else LaneTransport(lane, line))
        return cls(config, vendors, store, off_loop, lane, assignment)

    def _services(self) -> Services:
        return Services(
            config=self.config,
            metrics=self.metrics,
            readiness=self.readiness,
            sessions=self.member or self.sessions,
            conversations=self.store.conversations,
            wholes=self.store.wholes,
            edits=self.store.edits,
            search=self.conversing.search,
            models=self.conversing.models,
            lifecycle=self.member or self.conversing.lifecycle,
            requests=self.conversing.requests,
            user_data=self.store.user_data,
            facts=self.conversing.facts,
            days=self.conversing.summarizer,
            apps=self.hosting.attend(
                self.conversing.processor,
                self.conversing.models,
                self.conversing.chat_search,
                self.member or self.conversing.lifecycle,
            ),
            tokens=self.store.tokens,
            usage=self.store.usage,
            records=self.store,
            chat=self.conversing.chat,
            transcriber=Recordings(self.vendors, self.config, self.off_loop),
            webhooks=self.delivering.services(),
            teller=self.telling.finished,
            off_loop=self.off_loop,
            receiver=self.receiving.services(),
            blob_places=self.store.blob_places,
            voices=self.speaking.voices,
            assigner=self.speaking.assigner,
            blob_links=self.store.blob_links,
            exposition=None if self.member is None else self.member.exposition,
        )
