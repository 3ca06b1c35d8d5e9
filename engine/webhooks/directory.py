"""Who wants to know what of whom: what users have set, and the endpoints of apps they have enabled.

Operations: `endpoints` of a user for a trigger, `endpoint` by name; `unwanted` where it is known that there is
none; `forget` what is remembered of a user.
Invariants: an endpoint that was turned off, by whomever, is not given. What this process changes holds at once
(`forget`), what another one changes after `webhook.settings_age`.
Bounded: `REMEMBERED` users.
Cost: two reads for a user who is not remembered, so a few a second for all the sessions of a process; where nobody has
set or enabled anything, two reads every `webhook.settings_age` for all of them.
"""

from collections.abc import Sequence
from typing import Protocol

import trio

from engine.remembered import Remembered
from engine.store.webhook_records import SecretRow, WebhookRow
from engine.webhooks.ports import DEVELOPER, Endpoint
from engine.webhooks.signing import new_secret
from engine.webhooks.triggers import TRIGGERS, Trigger
from engine.webhooks.urls import DEFAULT_SECONDS

__all__ = ["AppEndpoints", "Directory", "NoApps"]

REMEMBERED = 10_000
EVERYBODY = ""
"""Whose value says whether there is anything to read of anybody."""


class Webhooks(Protocol):
    """What users have set; `engine.store.webhooks` implements it."""

    async def told(self, uid: str) -> tuple[Sequence[WebhookRow], Sequence[SecretRow]]:
        """As `list`, and the user's valid secrets, the newest first; there may be none, as without endpoints."""
        ...

    async def any_set(self) -> bool:
        """Whether there is an endpoint of anybody, on or off."""
        ...

    async def secrets(self, uid: str, fresh: str) -> Sequence[SecretRow]:
        """A user's valid secrets, the newest first; `fresh` becomes the first one of a user who has none."""
        ...


class AppEndpoints(Protocol):
    """Which endpoints the apps have that a user has enabled."""

    async def endpoints(self, uid: str) -> Sequence[Endpoint]:
        """Those of all triggers, named `app:` and the app's id. Raises `DatabaseUnavailable`."""
        ...

    async def any_enabled(self) -> bool:
        """Whether anybody has enabled any app. Raises `DatabaseUnavailable`."""
        ...


class NoApps:
    """There are none."""

    async def endpoints(self, uid: str) -> Sequence[Endpoint]:
        """None."""
        return ()

    async def any_enabled(self) -> bool:
        """No."""
        return False


class Directory:
    """Implements `ports.Directory`. `age`: `webhook.settings_age`."""

    def __init__(self, webhooks: Webhooks, apps: AppEndpoints, age: float) -> None:
        self._webhooks = webhooks
        self._apps = apps
        self._known: Remembered[tuple[Endpoint, ...]] = Remembered(age, REMEMBERED, trio.current_time)
        self._anybody: Remembered[bool] = Remembered(age, 1, trio.current_time)

    async def endpoints(self, uid: str, trigger: Trigger) -> Sequence[Endpoint]:
        """See `ports.Directory`."""
        return [one for one in await self._all(uid) if one.trigger == trigger]

    async def endpoint(self, uid: str, name: str, trigger: str) -> Endpoint | None:
        """See `ports.Directory`."""
        found = (one for one in await self._all(uid) if (one.name, one.trigger) == (name, trigger))
        return next(found, None)

    def unwanted(self, uid: str, trigger: Trigger) -> bool:
        """See `ports.Directory`."""
        if self._anybody.peek(EVERYBODY) is False:
            return True
        found = self._known.peek(uid)
        return found is not None and all(one.trigger != trigger for one in found)

    def forget(self, uid: str) -> None:
        """What the user has set is another by now."""
        self._known.forget(uid)
        self._anybody.forget(EVERYBODY)

    async def _all(self, uid: str) -> Sequence[Endpoint]:
        if not await self._anybody.get(EVERYBODY, self._read_anybody):
            return ()
        return await self._known.get(uid, self._read)

    async def _read_anybody(self, everybody: str) -> bool:
        return await self._webhooks.any_set() or await self._apps.any_enabled()

    async def _read(self, uid: str) -> tuple[Endpoint, ...]:
        rows, secrets = await self._webhooks.told(uid)
        off = {(row.name, row.trigger) for row in rows if not row.enabled or row.disabled_at is not None}
        own = [
            row for row in rows if row.name == DEVELOPER and row.url and (row.name, row.trigger) not in off
        ]
        if own and not secrets:
            secrets = await self._webhooks.secrets(uid, new_secret())
        keys = tuple(row.secret for row in secrets)
        found = [
            Endpoint(
                uid=uid,
                name=DEVELOPER,
                trigger=trigger,
                url=row.url,
                secrets=keys,
                seconds=row.seconds or DEFAULT_SECONDS,
            )
            for row in own
            for trigger in TRIGGERS
            if trigger == row.trigger
        ]
        apps = await self._apps.endpoints(uid)
        return (*found, *(one for one in apps if (one.name, one.trigger) not in off))
