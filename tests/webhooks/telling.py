"""A server's inside whose sessions are told of: real store, queue, spool and followers; nobody delivers."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio

from engine.config import Webhook
from engine.store import Store
from engine.store.deliveries import DeliveryFilter
from engine.store.webhook_records import DeliveryRow
from engine.stt.backoff import Backoff
from engine.stt.vendor import Vendor
from engine.webhooks.audio_bytes import AudioBytes
from engine.webhooks.cutting import Cutting
from engine.webhooks.directory import Directory
from engine.webhooks.ports import DEVELOPER, Endpoint
from engine.webhooks.queue import DeliveryQueue
from engine.webhooks.spool import Spool
from engine.webhooks.transcripts import Transcripts
from engine.webhooks.triggers import AUDIO_BYTES
from tests.listen.harness import Server, inline, server, wall_clock

URL = "https://example.com/hook"


def backoff() -> Backoff:
    return Backoff(0.1, 1.0)


class Told:
    """What would be delivered."""

    it: Server

    def __init__(self, folder: Path, store: Store, settings: Webhook) -> None:
        self.store = store
        self.apps: list[str] = []
        """That hear everybody's audio."""
        self.directory = Directory(store.webhooks, self, settings.settings_age)
        limit, age = settings.spool_mib * 2**20, settings.audio_age
        self.spool = Spool(folder / "spool", limit, age, inline, store.deliveries.files_waiting)
        self.queue = DeliveryQueue(store.deliveries, self.directory, wall_clock, lambda *_: None)
        self.cutting = Cutting(self.queue, self.spool, settings, backoff)
        self.audio = AudioBytes(self.directory, self.cutting, folder / "marks", settings, inline, backoff)
        self.transcripts = Transcripts(self.directory, self.queue, settings, backoff)

    async def endpoints(self, uid: str) -> Sequence[Endpoint]:
        """Those of apps."""
        return [Endpoint(uid=uid, name=f"app:{name}", trigger=AUDIO_BYTES, url=URL) for name in self.apps]

    async def any_enabled(self) -> bool:
        """Whether there are any."""
        return bool(self.apps)

    async def wants(
        self, trigger: str = AUDIO_BYTES, *, uid: str = "ada", name: str = DEVELOPER, seconds: int = 5
    ) -> None:
        """Turn an endpoint on."""
        await self.store.webhooks.set_url(uid, name, trigger, URL, seconds)
        self.directory.forget(uid)

    async def deliveries(self, uid: str = "ada", **chosen: Any) -> list[DeliveryRow]:
        """In the order in which they were offered."""
        rows = await self.store.deliveries.list(uid, DeliveryFilter(**chosen), limit=1000)
        whole = [await self.store.deliveries.get(uid, row.id) for row in rows]
        return sorted((row for row in whole if row is not None), key=lambda row: row.sequence)

    async def audio_of(self, uid: str = "ada", **chosen: Any) -> list[bytes]:
        """Each chunk's bytes."""
        rows = await self.deliveries(uid, trigger=AUDIO_BYTES, states=("pending",), **chosen)
        return [await self.spool.read(row.file) for row in rows if row.file is not None]


@asynccontextmanager
async def telling(tmp_path: Path, *vendors: Vendor, **settings: Any) -> AsyncIterator[Told]:
    """`settings`: of the section `webhook`."""
    made: list[Told] = []
    webhook = Webhook(**settings)

    def followers(store: Store) -> tuple[AudioBytes, Transcripts]:
        made.append(Told(tmp_path, store, webhook))
        return made[0].audio, made[0].transcripts

    async with server(tmp_path, *vendors, followers=followers) as it, trio.open_nursery() as nursery:
        told = made[0]
        told.it = it
        await nursery.start(told.audio.run)
        await nursery.start(told.transcripts.run)
        yield told
        nursery.cancel_scope.cancel()
    told.spool.close()
