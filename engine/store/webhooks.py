"""Endpoints: what their owners have set, and what their deliveries are signed with.

Operations: `get`, `list`, `set_url`, `enable`, `disable` for one endpoint; `secrets`, `rotate` for a user's secrets;
`told` gives both; `any_set` whether there is any endpoint.
What deliveries make of an endpoint's state is `engine.store.deliveries`' business.
Invariants: an endpoint is known by user, name and trigger. Setting or enabling one forgets its failures. Of a
user's secrets exactly one has no end.
Bounded: a secret is removed once it has ended and another is made; `rotate` keeps the latest `SECRETS`.
Cancellation: a cancelled call may still have taken effect; calling again does no harm, but that another secret is made.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from uuid import uuid4

import msgspec
from sqlalchemy import ColumnElement, Connection, Dialect, and_, bindparam, delete, or_, select, update

from engine.moments import SECOND
from engine.store.database import Database, WallClock, upsert
from engine.store.prepared import PreparedQuery
from engine.store.tables import webhook_secrets, webhooks
from engine.store.webhook_records import SecretRow, WebhookRow

__all__ = ["Webhooks", "endpoint_is", "ensure_endpoint"]

SECRETS = 5
"""Most secrets at once: each signs every request."""

Rows = list


class Webhooks:
    """All endpoints."""

    def __init__(self, database: Database, now: WallClock) -> None:
        self._database = database
        self._now = now

    async def get(self, uid: str, name: str, trigger: str) -> WebhookRow | None:
        """One endpoint, or None when nothing was ever set or sent."""
        found = await self._database.read(_select, endpoint_is(uid, name, trigger))
        return found[0] if found else None

    async def list(self, uid: str) -> Rows[WebhookRow]:
        """All of a user's, also those that are off."""
        return await self._database.read(_select, webhooks.c.uid == uid)

    async def told(self, uid: str) -> tuple[Rows[WebhookRow], Rows[SecretRow]]:
        """As `list`, and the user's valid secrets, the newest first; there may be none, as without endpoints."""
        return await self._database.read(_told, uid, self._now())

    async def any_set(self) -> bool:
        """Whether there is an endpoint of anybody, on or off."""
        return await self._database.read(_any_set)

    async def set_url(self, uid: str, name: str, trigger: str, url: str, seconds: int | None) -> WebhookRow:
        """Set where it is, and turn it on; an empty `url` turns it off and is kept."""
        values = {"url": url, "seconds": seconds, "enabled": bool(url)}
        return await self._database.write(_set, uid, name, trigger, values, self._now())

    async def enable(self, uid: str, name: str, trigger: str) -> WebhookRow:
        """Turn it on, whatever turned it off."""
        return await self._database.write(_set, uid, name, trigger, {"enabled": True}, self._now())

    async def disable(self, uid: str, name: str, trigger: str) -> WebhookRow:
        """Turn it off. What waits for it is given up; it can be sent again later."""
        return await self._database.write(_set, uid, name, trigger, {"enabled": False}, self._now())

    async def forget(self, uid: str, name: str) -> int:
        """Remove the state of all endpoints of that name; how many there were."""
        return await self._database.write(_forget, uid, name)

    async def secrets(self, uid: str, fresh: str) -> Rows[SecretRow]:
        """A user's valid secrets, the newest first; `fresh` becomes the first one of a user who has none."""
        found = await self._database.read(_secrets, uid, self._now())
        return found or await self._database.write(_first_secret, uid, fresh, self._now())

    async def rotate(self, uid: str, fresh: str, overlap: float) -> Rows[SecretRow]:
        """Have `fresh` take the place of the others, which go on signing for `overlap` seconds; all of them then."""
        until = self._now() + round(overlap * SECOND)
        return await self._database.write(_rotate, uid, fresh, until, self._now())


def endpoint_is(uid: str, name: str, trigger: str) -> ColumnElement[bool]:
    """Holds for the one endpoint."""
    return and_(webhooks.c.uid == uid, webhooks.c.name == name, webhooks.c.trigger == trigger)


def ensure_endpoint(connection: Connection, uid: str, name: str, trigger: str, now: int) -> None:
    """Have a row for an endpoint of which nothing was set, as of an app."""
    row = WebhookRow(uid=uid, name=name, trigger=trigger, settings_at=now, created_at=now)
    insert = upsert(connection.dialect.name, webhooks).values(msgspec.structs.asdict(row))
    connection.execute(insert.on_conflict_do_nothing())


def _select(connection: Connection, where: ColumnElement[bool]) -> Rows[WebhookRow]:
    query = select(webhooks).where(where).order_by(webhooks.c.name, webhooks.c.trigger)
    return [WebhookRow(**row) for row in connection.execute(query).mappings()]


def _any_set(connection: Connection) -> bool:
    return connection.execute(select(webhooks.c.uid).limit(1)).first() is not None


@lru_cache(maxsize=8)
def _own(dialect: Dialect) -> tuple[PreparedQuery, PreparedQuery]:
    """A user's endpoints, and their valid secrets: read every few seconds for each who speaks."""
    of = webhook_secrets.c
    valid = or_(of.expires_at.is_(None), of.expires_at > bindparam("now"))
    endpoints = select(webhooks).where(webhooks.c.uid == bindparam("uid"))
    secrets = select(webhook_secrets).where(of.uid == bindparam("uid"), valid)
    ordered = endpoints.order_by(webhooks.c.name, webhooks.c.trigger)
    return PreparedQuery(ordered, dialect), PreparedQuery(secrets, dialect)


def _told(connection: Connection, uid: str, now: int) -> tuple[Rows[WebhookRow], Rows[SecretRow]]:
    endpoints, _ = _own(connection.dialect)
    rows = [WebhookRow(**row) for row in endpoints.mappings(connection, {"uid": uid})]
    return rows, _secrets(connection, uid, now) if rows else []


def _set(
    connection: Connection, uid: str, name: str, trigger: str, values: Mapping[str, Any], now: int
) -> WebhookRow:
    ensure_endpoint(connection, uid, name, trigger, now)
    fresh = {"settings_at": now, "disabled_at": None, "disabled_reason": None}
    fresh |= {"failures": 0, "failing_since": None, "paused_until": None, "due_at": now}
    where = endpoint_is(uid, name, trigger)
    connection.execute(update(webhooks).where(where).values(fresh | dict(values)))
    return _select(connection, where)[0]


def _forget(connection: Connection, uid: str, name: str) -> int:
    return connection.execute(
        delete(webhooks).where(and_(webhooks.c.uid == uid, webhooks.c.name == name))
    ).rowcount


def _secrets(connection: Connection, uid: str, now: int) -> Rows[SecretRow]:
    _, secrets = _own(connection.dialect)
    rows = [SecretRow(**row) for row in secrets.mappings(connection, {"uid": uid, "now": now})]
    return sorted(rows, key=lambda row: (row.expires_at is not None, -row.created_at))[:SECRETS]


def _first_secret(connection: Connection, uid: str, fresh: str, now: int) -> Rows[SecretRow]:
    return _secrets(connection, uid, now) or _rotate(connection, uid, fresh, now, now)


def _rotate(connection: Connection, uid: str, fresh: str, until: int, now: int) -> Rows[SecretRow]:
    mine = webhook_secrets.c.uid == uid
    connection.execute(delete(webhook_secrets).where(mine, webhook_secrets.c.expires_at <= now))
    current = update(webhook_secrets).where(mine, webhook_secrets.c.expires_at.is_(None))
    connection.execute(current.values(expires_at=until))
    row = SecretRow(uid=uid, id=uuid4().hex, secret=fresh, created_at=now)
    connection.execute(webhook_secrets.insert().values(msgspec.structs.asdict(row)))
    kept = _secrets(connection, uid, now)
    connection.execute(
        delete(webhook_secrets).where(mine, webhook_secrets.c.id.not_in([one.id for one in kept]))
    )
    return kept
