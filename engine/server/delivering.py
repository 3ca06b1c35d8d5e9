"""What a server process does to tell other systems what happens."""

import trio

from engine.config import Config
from engine.metrics import Metrics
from engine.off_loop import OffLoop
from engine.store import Store
from engine.store.database import wall_clock
from engine.store.webhook_spool import FOLDER
from engine.web.webhook_ports import WebhookServices
from engine.webhooks.client import WebhookClient
from engine.webhooks.delivery import Delivery
from engine.webhooks.directory import AppEndpoints, Directory, NoApps
from engine.webhooks.metrics import DeliveryMetrics
from engine.webhooks.queue import DeliveryQueue
from engine.webhooks.sending import Sender
from engine.webhooks.spool import Spool

__all__ = ["Delivering"]


class Delivering:
    """The parts of one process that deliver, put together; who runs them is `Serving`'s business.

    `queue` takes what is to be told, `directory` knows who wants to know, `client` makes other requests to addresses
    that users have given. Raises ValueError for ranges in `webhook.allow` that are none.
    """

    def __init__(
        self,
        config: Config,
        store: Store,
        metrics: Metrics,
        off_loop: OffLoop,
        apps: AppEndpoints | None = None,
    ) -> None:
        self._store, self._settings = store, config.webhook
        settings = config.webhook
        meter = DeliveryMetrics(metrics.registry, settings.endpoint_metrics)
        self.client = WebhookClient(settings, off_loop)
        self.directory = Directory(store.webhooks, apps or NoApps(), settings.settings_age)
        self.spool = Spool(
            config.data_dir / FOLDER,
            settings.spool_mib * 2**20,
            max(settings.audio_keep, settings.audio_age + settings.claim_time),
            off_loop,
            store.deliveries.files_waiting,
        )
        self.sender = Sender(self.directory, self.spool, self.client, settings, wall_clock, meter)
        self.delivery = Delivery(store.deliveries, self.sender, settings, wall_clock, meter)
        self.queue = DeliveryQueue(store.deliveries, self.directory, wall_clock, self.delivery.wake)
        metrics.watch(webhook_deliveries_waiting=lambda: self.delivery.statistics().waiting)

    def services(self) -> WebhookServices:
        """What the web needs of this."""
        return WebhookServices(
            table=self._store.webhooks,
            log=self._store.deliveries,
            check=self.client.check,
            gone=self.spool.gone,
            changed=self.changed,
            overlap=self._settings.secret_overlap_hours * 3600,
        )

    def changed(self, uid: str) -> None:
        """What the user wants to be told is another by now."""
        self.directory.forget(uid)
        self.delivery.wake()

    async def drain(self) -> None:
        """Let open requests end, within `webhook.drain_timeout`; what is cut off after it is sent again later."""
        with trio.move_on_after(self._settings.drain_timeout):
            await self.delivery.drain()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Deliver until cancelled. Raises `OSError` for a `webhook.ca_file` that cannot be read."""
        async with self.client.open():
            await self.delivery.run(task_status=task_status)
