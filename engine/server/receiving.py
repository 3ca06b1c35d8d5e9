"""What a server process does with audio that other servers' webhooks post to it."""

from collections import Counter
from collections.abc import Sequence

import trio

from engine.config import Config
from engine.log import get_logger
from engine.metrics import Metrics
from engine.off_loop import worker_threads
from engine.server.workers.messages import Assignment
from engine.server.workers.receiving import ReceivingHome
from engine.speaker.matching import OWNER
from engine.store import DatabaseUnavailable, Store
from engine.store.blobs import Blobs
from engine.store.database import wall_clock
from engine.web.ports import Sessions
from engine.web.receiver_ports import ReceiverServices
from engine.webhooks.addresses import SystemResolver
from engine.webhooks.client import WebhookClient
from engine.webhooks.receiver.archive import Archive
from engine.webhooks.receiver.consuming import Consumer
from engine.webhooks.receiver.events import Events
from engine.webhooks.receiver.files import Layout, SavedAudio, SavedResults
from engine.webhooks.receiver.intake import Intake
from engine.webhooks.receiver.joining import REMEMBERED, Began
from engine.webhooks.receiver.keeping import Keeper
from engine.webhooks.receiver.measuring import Measuring
from engine.webhooks.receiver.metrics import ReceiverCollector
from engine.webhooks.receiver.processors import load_processors
from engine.webhooks.receiver.republishing import republishing
from engine.webhooks.receiver.transcription import Transcription

__all__ = ["Receiving"]

log = get_logger(__name__)

EVERYBODY = "*"
KEEPALIVE_SHARE = 1 / 3
"""Of `session.inactivity_timeout`."""


class Receiving:
    """The parts of one process that receive, put together; who runs them is `Serving`'s business.

    `assignment`: of one worker of several. Raises `ConfigError` for processors that cannot be had.
    """

    def __init__(
        self,
        config: Config,
        store: Store,
        blobs: Blobs,
        sessions: Sessions,
        client: WebhookClient,
        metrics: Metrics,
        assignment: Assignment | None = None,
    ) -> None:
        settings = config.receiver
        self._config = config
        self._store = store
        self._blobs = blobs
        self.failures: Counter[str] = Counter()
        self.events = Events(store.received_events, settings, wall_clock, shared=assignment is not None)
        self.archive = Archive(store.received_spool, blobs, store.received.files, settings)
        self._layout = Layout(settings, wall_clock)
        self.keeper = Keeper(store.received, store.received_events, blobs, self.archive, settings, wall_clock)
        self._home = None if assignment is None else ReceivingHome(assignment, store.leases, wall_clock)
        consumers = self._consumers(sessions, client)
        self.intake = Intake(
            settings,
            consumers,
            self._known,
            store.received_inbox,
            self.archive,
            self._home,
        )
        metrics.registry.register(ReceiverCollector(self.intake, self.keeper, self.failures))

    def _consumers(self, sessions: Sessions, client: WebhookClient) -> list[Consumer]:
        settings = self._config.receiver
        found: list[Consumer] = []
        if settings.save != "off":
            found.append(SavedAudio(self._layout, self.archive, self._store.received_inbox))
        if settings.transcribe:
            keepalive = self._config.session.inactivity_timeout * KEEPALIVE_SHARE
            found.append(Transcription(sessions, settings, self.events, keepalive))
        if settings.processors:
            found.append(self._measuring())
        sent_on = republishing(settings, client, SystemResolver(), wall_clock)
        return found if sent_on is None else [*found, sent_on]

    def _measuring(self) -> Measuring:
        settings = self._config.receiver

        def results(session: Began) -> SavedResults:
            return SavedResults(self._layout, self.archive, session)

        def failed(name: str) -> None:
            self.failures[name] += 1

        return Measuring(
            load_processors(settings.processors),
            worker_threads(settings.processor_threads),
            self.events,
            None if settings.save == "off" else results,
            failed,
            self._voice_allowed,
        )

    async def _voice_allowed(self, uid: str) -> bool:
        """Whether a user's voice may be measured: they have enrolled it, or the operator says so."""
        if not {uid, EVERYBODY}.isdisjoint(self._config.receiver.voices_of):
            return True
        try:
            return bool(await self._store.voices.of_person(uid, OWNER))
        except DatabaseUnavailable as error:
            log.warning("receiver.enrolment_unknown", error=str(error))
            return False

    async def _known(self, uid: str) -> Sequence[str]:
        try:
            return await self._store.received.files.known(uid, REMEMBERED)
        except DatabaseUnavailable as error:  # the worst that may follow is a file twice
            log.warning("receiver.deliveries_unknown", error=str(error))
            return ()

    def services(self) -> ReceiverServices:
        """What the web needs of this."""
        return ReceiverServices(
            settings=self._config.receiver,
            intake=self.intake,
            received=self._store.received,
            blobs=self._blobs,
            events=self.events,
        )

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Receive until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.keeper.run)
            nursery.start_soon(self.events.run)
            await nursery.start(self.intake.run)
            if self._home is not None:
                await nursery.start(self._home.run, self.intake.take)
            task_status.started()

    async def drain(self) -> None:
        """Take nothing more; return when what was taken is dealt with."""
        await self.intake.drain()
        try:
            await self.events.keep()
        except DatabaseUnavailable as error:
            log.warning("receiver.events_lost", error=str(error))
