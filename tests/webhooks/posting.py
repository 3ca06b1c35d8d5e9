"""Everything that delivers, over a real store and real sockets."""

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio
from prometheus_client import CollectorRegistry

from engine._config_webhooks import Webhook
from engine.store import Store
from engine.store.database import wall_clock
from engine.store.deliveries import Claiming, Deliveries, DeliveryFilter, Result, Step
from engine.store.webhook_records import PENDING, DeliveryRow, WebhookRow
from engine.webhooks.addresses import Resolver
from engine.webhooks.client import WebhookClient
from engine.webhooks.delivery import Delivery
from engine.webhooks.directory import AppEndpoints, Directory, NoApps
from engine.webhooks.metrics import DeliveryMetrics
from engine.webhooks.ports import Endpoint
from engine.webhooks.queue import DeliveryQueue
from engine.webhooks.sending import Sender
from engine.webhooks.spool import Spool
from engine.webhooks.spooled import Spooled
from engine.webhooks.triggers import Trigger
from tests.databases import migrated
from tests.patience import PATIENCE

QUICK: dict[str, Any] = {
    "allow": ("127.0.0.0/8",),
    "timeout": 10.0,
    "live_timeout": 10.0,
    "schedule": (0.02, 0.02),
    "live_schedule": (0.02, 0.02),
    "jitter": 0.0,
    "breaker_failures": 1000,
    "breaker_pause": 0.02,
    "settings_age": 0.0,
    "claim_time": 3.0,
}
"""Pauses so short that a test need not wait for them; limits so wide that none is met."""


class News:
    """Something was written down."""

    def __init__(self) -> None:
        self._event = trio.Event()

    def tell(self) -> None:
        self._event.set()
        self._event = trio.Event()

    def next(self) -> trio.Event:
        return self._event


class Watched:
    """The store's deliveries, which tell of what they do."""

    def __init__(self, kept: Deliveries, news: News) -> None:
        self._kept = kept
        self._news = news

    async def claim(self, claiming: Claiming, limit: int) -> list[Step]:
        steps = await self._kept.claim(claiming, limit)
        self._news.tell()
        return steps

    async def step(
        self, claiming: Claiming, endpoint: WebhookRow, results: Sequence[Result], busy: Collection[str]
    ) -> Step:
        step = await self._kept.step(claiming, endpoint, results, busy)
        self._news.tell()
        return step

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kept, name)


class Post:
    """One process that delivers."""

    def __init__(
        self, store: Store, settings: Webhook, resolver: Resolver | None, apps: AppEndpoints, news: News
    ) -> None:
        self.store = store
        self.news = news
        self.registry = CollectorRegistry()
        meter = DeliveryMetrics(self.registry, settings.endpoint_metrics)
        off_loop = trio.to_thread.run_sync
        self.client = WebhookClient(settings, off_loop, resolver=resolver)
        self.directory = Directory(store.webhooks, apps, settings.settings_age)
        self.spool = Spool(store.data_dir / "spool", 2**20, 3600.0, off_loop, store.deliveries.files_waiting)
        self.sender = Sender(self.directory, self.spool, self.client, settings, wall_clock, meter)
        self.delivery = Delivery(Watched(store.deliveries, news), self.sender, settings, wall_clock, meter)
        self.queue = DeliveryQueue(store.deliveries, self.directory, wall_clock, self.delivery.wake)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        async with self.client.open():
            await self.delivery.run(task_status=task_status)

    async def set(self, url: str, trigger: str = "memory_created", uid: str = "ada") -> None:
        await self.store.webhooks.set_url(uid, "developer", trigger, url, None)

    async def offer(self, key: str = "c1", trigger: Trigger = "memory_created", **more: Any) -> None:
        assert await self.queue.offer("ada", trigger, b'{"said":"hello"}', key=key, **more)

    async def offer_audio(self, number: int, seconds: float | None = None) -> None:
        """A chunk of audio in the spool: its number, over and over."""
        (to,) = await self.directory.endpoints("ada", "audio_bytes")
        await self.offer_chunk(to, number, seconds)

    async def offer_chunk(self, to: Endpoint, number: int, seconds: float | None) -> None:
        place = await self.spool.append(to.uid, [bytes([number]) * 320])
        line, query = Spooled("s", number, (place,)).line, {"sample_rate": "16000"}
        assert await self.queue.offer_file(to, line, 320, key=f"s:{number}", query=query, seconds=seconds)

    async def rows(self, uid: str = "ada") -> list[DeliveryRow]:
        """All deliveries, in order."""
        rows = await self.store.deliveries.list(uid, DeliveryFilter())
        return sorted(rows, key=lambda row: row.sequence)

    async def until(self, seen: Callable[[list[DeliveryRow]], bool]) -> list[DeliveryRow]:
        """Wait until `seen` of the rows is true; these."""
        with trio.fail_after(PATIENCE):
            while True:
                news, rows = self.news.next(), await self.rows()
                if seen(rows):
                    return rows
                await news.wait()

    async def ended(self) -> list[DeliveryRow]:
        """Wait until nothing is pending; the rows."""
        return await self.until(lambda rows: all(row.state != PENDING for row in rows))

    async def endpoint(self, trigger: str = "memory_created") -> WebhookRow:
        row = await self.store.webhooks.get("ada", "developer", trigger)
        assert row is not None
        return row

    def metric(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0


@asynccontextmanager
async def posting(
    folder: Path,
    *,
    resolver: Resolver | None = None,
    apps: AppEndpoints | None = None,
    url: str = "",
    news: News | None = None,
    running: bool = True,
    **settings: Any,
) -> AsyncIterator[Post]:
    """A store and who delivers from it, until the block ends."""
    store = await Store.open(folder if url else migrated(folder), trio.to_thread.run_sync, url=url)
    post = Post(store, Webhook(**{**QUICK, **settings}), resolver, apps or NoApps(), news or News())
    try:
        async with trio.open_nursery() as nursery:
            if running:
                await nursery.start(post.run)
            yield post
            nursery.cancel_scope.cancel()
    finally:
        post.spool.close()
        with trio.CancelScope(shield=True):
            await store.close()
