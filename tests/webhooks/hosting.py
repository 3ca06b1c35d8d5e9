"""Apps in a real store, and the parts that act for them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio

from engine.config import Webhook
from engine.store import Store
from engine.store.app_registry import AppRow
from engine.webhooks.client import WebhookClient
from engine.wire.messages import ProactiveMessage
from tests.store.making import NOW, app
from tests.web.serving import open_store

__all__ = ["NOW", "LiveSockets", "add_app", "kept", "reaching", "stored"]


@asynccontextmanager
async def stored(folder: Path) -> AsyncIterator[Store]:
    """An empty store."""
    await trio.Path(folder).mkdir(exist_ok=True)
    store = await open_store(folder)
    yield store
    await store.close()


@asynccontextmanager
async def reaching(**settings: Any) -> AsyncIterator[WebhookClient]:
    """A client that may reach this machine."""
    client = WebhookClient(Webhook(allow=("127.0.0.0/8",), **settings), trio.to_thread.run_sync)
    async with client.open():
        yield client


async def add_app(store: Store, id: str = "notes", *, of: str = "u1", **fields: Any) -> AppRow:
    """An app that user `of` has enabled."""
    row = app(id, **fields)
    assert await store.app_registry.add(row, 100)
    await store.apps.enable(of, id)
    return row


async def kept(store: Store, app_id: str | None = "notes", uid: str = "u1") -> list[str]:
    """What was kept in a chat, newest first."""
    return [row.text for row in await store.messages.history(uid, app_id, 100)]


class LiveSockets:
    """The sessions of the users in `live`, and what they were told."""

    def __init__(self, *live: str) -> None:
        self.live = set(live)
        self.told: list[tuple[str, ProactiveMessage]] = []

    async def announce(self, uid: str, message: ProactiveMessage) -> bool:
        if uid not in self.live:
            return False
        self.told.append((uid, message))
        return True
