"""Apps that read and write users' data: their keys, and who has enabled them.

An app is there while it is registered (`engine.store.app_registry`) or, known by its id alone, has a key that is valid.
A key is `sk_` and 32 random bytes in URL-safe base64, kept as tokens are (`engine.store.tokens`).

Operations: `create_key`, `verify`, `list_keys`, `revoke_key`; `enable`, `disable`, `is_enabled` and `enabled` for one
user.
Invariants: a key opens one app; an app sees nothing of a user who has not enabled it, which the caller asks for. A
private app can be enabled by its owner alone.
Cancellation: a cancelled call may still have taken effect; calling again does no harm, but that a second key is made.
"""

import hmac
import re
import secrets
from typing import Any

import msgspec
from sqlalchemy import Connection, Select, delete, exists, insert, or_, select, update

from engine.log import get_logger
from engine.store.app_registry import seen_by
from engine.store.database import Database, WallClock, upsert
from engine.store.errors import DatabaseUnavailable
from engine.store.tables import app_keys, apps, enabled_apps
from engine.store.tokens import TOUCH_INTERVAL, token_hash, token_id

__all__ = ["APP_ID", "AppKeyRow", "Apps"]

PREFIX = "sk_"
APP_ID = r"^[A-Za-z0-9._-]{1,128}$"
"""What an app's id looks like: it stands in paths."""

log = get_logger(__name__)


class AppKeyRow(msgspec.Struct, frozen=True, kw_only=True):
    """A key of an app; `uid` is who made it. The key itself is not kept."""

    id: str
    app_id: str
    uid: str
    label: str
    created_at: int
    last_used_at: int | None = None
    revoked_at: int | None = None


class Apps:
    """All apps."""

    def __init__(self, database: Database, now: WallClock) -> None:
        self._database = database
        self._now = now

    async def create_key(self, app_id: str, uid: str, label: str = "") -> str:
        """A new key: returned once, kept hashed. Raises `ValueError`."""
        return (await self.issue_key(app_id, uid, label))[1]

    async def issue_key(self, app_id: str, uid: str, label: str = "") -> tuple[AppKeyRow, str]:
        """As `create_key`, with the key's row."""
        if not re.match(APP_ID, app_id):
            raise ValueError(f"app_id: {app_id!r} given, 1 to 128 of A-Z a-z 0-9 . _ - accepted")
        if not uid:
            raise ValueError("uid: '' given, a user's id accepted")
        key = PREFIX + secrets.token_urlsafe(32)
        digest = token_hash(key)
        row = AppKeyRow(id=token_id(digest), app_id=app_id, uid=uid, label=label, created_at=self._now())
        await self._database.write(_insert, row, digest)
        return row, key

    async def verify(self, app_id: str, key: str) -> bool:
        """Whether it is a valid key of that app."""
        if not (key.startswith(PREFIX) and key.isascii()):
            return False
        digest = token_hash(key)
        row = await self._database.read(_find, app_id, digest)
        if row is not None and self._now() - (row.last_used_at or 0) >= TOUCH_INTERVAL:
            await self._touch(row.id)
        return row is not None

    async def list_keys(self, app_id: str | None = None) -> list[AppKeyRow]:
        """The keys of an app (or all), oldest first, also revoked ones."""
        return await self._database.read(_list, app_id)

    async def revoke_key(self, id: str, app_id: str | None = None) -> bool:
        """Make a key (of that app) invalid for good; False when there is none with this id that is not revoked."""
        return await self._database.write(_revoke, id, app_id, self._now())

    async def exists(self, app_id: str, uid: str | None = None) -> bool:
        """Whether the app is registered or has a valid key; with `uid`: and that user may enable it."""
        return await self._database.read(_exists, app_id, uid)

    async def enable(self, uid: str, app_id: str) -> None:
        """Let the app have the user's data. Idempotent."""
        await self._database.write(_enable, uid, app_id, self._now())

    async def disable(self, uid: str, app_id: str) -> bool:
        """Let the app have it no more; False when it was not enabled."""
        return await self._database.write(_disable, uid, app_id)

    async def is_enabled(self, uid: str, app_id: str) -> bool:
        """Whether the user lets the app have their data."""
        return await self._database.read(_is_enabled, uid, app_id)

    async def enabled(self, uid: str) -> list[str]:
        """The ids of the apps that the user lets have their data, those enabled first, first."""
        return await self._database.read(_enabled, uid)

    async def _touch(self, id: str) -> None:
        try:
            await self._database.write(_set_used, id, self._now())
        except DatabaseUnavailable as error:
            # Which app it is does not depend on the database taking writes.
            log.warning("app_key.touch_failed", key=id, error=str(error))


def _row(row: Any) -> AppKeyRow:
    return AppKeyRow(**{name: row[name] for name in AppKeyRow.__struct_fields__})


def _insert(connection: Connection, row: AppKeyRow, digest: str) -> None:
    connection.execute(insert(app_keys).values(hash=digest, **msgspec.structs.asdict(row)))


def _find(connection: Connection, app_id: str, digest: str) -> AppKeyRow | None:
    row = connection.execute(select(app_keys).where(app_keys.c.id == token_id(digest))).mappings().first()
    if row is None or not hmac.compare_digest(row["hash"], digest) or row["revoked_at"] is not None:
        return None
    return _row(row) if row["app_id"] == app_id else None


def _list(connection: Connection, app_id: str | None) -> list[AppKeyRow]:
    query = select(app_keys).order_by(app_keys.c.created_at, app_keys.c.id)
    if app_id is not None:
        query = query.where(app_keys.c.app_id == app_id)
    return [_row(row) for row in connection.execute(query).mappings()]


def _revoke(connection: Connection, id: str, app_id: str | None, now: int) -> bool:
    valid = (app_keys.c.id == id) & app_keys.c.revoked_at.is_(None)
    if app_id is not None:
        valid &= app_keys.c.app_id == app_id
    return bool(connection.execute(update(app_keys).where(valid).values(revoked_at=now)).rowcount)


def _exists(connection: Connection, app_id: str, uid: str | None) -> bool:
    registered = select(apps.c.private, apps.c.uid).where(apps.c.id == app_id)
    if (row := connection.execute(registered).first()) is not None:
        return uid is None or not row.private or row.uid == uid
    valid = (app_keys.c.app_id == app_id) & app_keys.c.revoked_at.is_(None)
    return bool(connection.execute(select(exists().where(valid))).scalar())


def _enable(connection: Connection, uid: str, app_id: str, now: int) -> None:
    row = upsert(connection.dialect.name, enabled_apps).values(uid=uid, app_id=app_id, enabled_at=now)
    connection.execute(row.on_conflict_do_nothing())


def _disable(connection: Connection, uid: str, app_id: str) -> bool:
    here = (enabled_apps.c.uid == uid) & (enabled_apps.c.app_id == app_id)
    return bool(connection.execute(delete(enabled_apps).where(here)).rowcount)


def _seen_enabled(uid: str) -> Select[Any]:
    """Those of another user's that were made private are enabled no more."""
    joined = enabled_apps.outerjoin(apps, apps.c.id == enabled_apps.c.app_id)
    seen = or_(apps.c.id.is_(None), seen_by(uid))
    return select(enabled_apps.c.app_id).select_from(joined).where(enabled_apps.c.uid == uid, seen)


def _is_enabled(connection: Connection, uid: str, app_id: str) -> bool:
    one = _seen_enabled(uid).where(enabled_apps.c.app_id == app_id)
    return connection.execute(one).first() is not None


def _enabled(connection: Connection, uid: str) -> list[str]:
    valid = (app_keys.c.app_id == enabled_apps.c.app_id) & app_keys.c.revoked_at.is_(None)
    there = _seen_enabled(uid).where(or_(apps.c.id.is_not(None), exists().where(valid)))
    query = there.order_by(enabled_apps.c.enabled_at, enabled_apps.c.app_id)
    return [id for (id,) in connection.execute(query)]


def _set_used(connection: Connection, id: str, now: int) -> None:
    connection.execute(update(app_keys).where(app_keys.c.id == id).values(last_used_at=now))
