"""The endpoints of the apps that a user has enabled."""

from collections.abc import Sequence
from typing import Protocol

from engine.listen.ports import WallClock
from engine.store.app_registry import AppRow
from engine.webhooks.ports import Endpoint
from engine.webhooks.submission import EXTERNAL
from engine.webhooks.triggers import AUDIO_BYTES, MEMORY_CREATED, REALTIME_TRANSCRIPT, Trigger

__all__ = ["AUDIO_SECONDS", "PREFIX", "AppEndpoints", "Registry", "app_of", "secrets_of", "trigger_of"]

PREFIX = "app:"
"""What an endpoint's name begins with; the app's id follows."""
AUDIO_SECONDS = 4
"""Of audio in a request to an app, as the Omi backend has it."""

TRIGGERS: dict[str, Trigger] = {
    "memory_creation": MEMORY_CREATED,
    "transcript_processed": REALTIME_TRANSCRIPT,
    "audio_bytes": AUDIO_BYTES,
}
"""By the names that apps are registered with."""


class Registry(Protocol):
    """Registered apps; `engine.store.app_registry` implements it."""

    async def enabled(self, uid: str) -> Sequence[AppRow]:
        """Those that the user has enabled, the preferred one first."""
        ...

    async def enabled_one(self, uid: str, id: str) -> AppRow | None:
        """An app that the user has enabled and sees, or None."""
        ...

    async def any_enabled(self) -> bool:
        """Whether any user has enabled any app."""
        ...


class AppEndpoints:
    """Reads them from the registry."""

    def __init__(self, registry: Registry, now: WallClock) -> None:
        self._registry = registry
        self._now = now

    async def endpoints(self, uid: str) -> list[Endpoint]:
        """Those of all triggers, named `app:` and the app's id. Raises `DatabaseUnavailable`."""
        now = self._now()
        found = (_endpoint(uid, row, now) for row in await self._registry.enabled(uid))
        return [one for one in found if one is not None]

    async def any_enabled(self) -> bool:
        """Whether anybody has enabled any app. Raises `DatabaseUnavailable`."""
        return await self._registry.any_enabled()


def app_of(name: str) -> str | None:
    """The id of the app whose endpoint it is; None for a user's own."""
    return name.removeprefix(PREFIX) if name.startswith(PREFIX) else None


def secrets_of(row: AppRow, now: int) -> tuple[str, ...]:
    """What is sent to the app is signed with these, the newest first. `now`: µs."""
    if row.old_secret is None or now >= (row.old_secret_until or 0):
        return (row.secret,)
    return row.secret, row.old_secret


def trigger_of(row: AppRow) -> Trigger | None:
    """What the app is told; None when it is told nothing."""
    said = row.external_integration or {}
    if EXTERNAL not in row.capabilities or not said.get("webhook_url"):
        return None
    return TRIGGERS.get(str(said.get("triggers_on")))


def _endpoint(uid: str, row: AppRow, now: int) -> Endpoint | None:
    trigger = trigger_of(row)
    if trigger is None:
        return None
    return Endpoint(
        uid=uid,
        name=PREFIX + row.id,
        trigger=trigger,
        url=str((row.external_integration or {})["webhook_url"]),
        secrets=secrets_of(row, now),
        seconds=AUDIO_SECONDS,
    )
