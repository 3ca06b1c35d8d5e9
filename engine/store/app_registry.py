"""Apps that were registered: what they say of themselves, and which of them a user sees and has enabled.

Operations: `add`, `change`, `remove` and `owned` for who registered an app; `get`, `list` and `enabled` for a user, who
sees the public ones and their own; `prefer`; `give_image` and `image`. `get_any`, `all` and `drop` are the operator's.
Invariants: an app is enabled by a user only while they see it: one that is made private is its owner's alone at once,
and nobody's when it is removed, with its keys, its reviews and its picture.
Bounded: a page has at most `PAGE_LIMIT` rows; of a user at most `MOST_ENABLED` apps are asked.
Known doubts: what is looked for is compared with every app that the user sees.
Cancellation: a cancelled call may still have taken effect; calling again does no harm.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, TypedDict, Unpack

import msgspec
from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Dialect,
    Select,
    String,
    and_,
    bindparam,
    cast,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from engine.store.database import Database, WallClock
from engine.store.prepared import PreparedQuery
from engine.store.tables import app_images, app_keys, app_reviews, apps, enabled_apps

__all__ = ["MOST_ENABLED", "PAGE_LIMIT", "AppFilter", "AppFound", "AppRegistry", "AppRow", "seen_by"]

PAGE_LIMIT = 1000
MOST_ENABLED = 200
"""Apps of one user that are told of what happens, those enabled first."""


class AppRow(msgspec.Struct, frozen=True, kw_only=True):
    """An app as it was registered by `uid`. `scopes`: what of a user its notifications may be made of.

    `external_integration` and `chat_tools` are as in `engine.webhooks.submission`. `secret` signs what is sent to it,
    and `old_secret` does besides until `old_secret_until` (µs).
    """

    id: str
    uid: str
    name: str
    description: str = ""
    author: str = ""
    category: str = "other"
    image: str = ""
    private: bool = True
    capabilities: list[str] = []
    memory_prompt: str | None = None
    chat_prompt: str | None = None
    external_integration: dict[str, Any] | None = None
    scopes: list[str] = []
    chat_tools: list[dict[str, Any]] = []
    secret: str
    old_secret: str | None = None
    old_secret_until: int | None = None
    created_at: int
    updated_at: int


class AppFound(msgspec.Struct, frozen=True, kw_only=True):
    """An app as a user sees it: whether they have enabled it, how many have, and what is thought of it."""

    app: AppRow
    enabled: bool = False
    installs: int = 0
    rating: float | None = None
    ratings: int = 0


class AppFilter(TypedDict, total=False):
    """Which apps: `text` in name or description, of the category, that can do something; own or enabled ones."""

    text: str | None
    category: str | None
    capability: str | None
    mine: bool
    enabled: bool


class AppRegistry:
    """All registered apps."""

    def __init__(self, database: Database, now: WallClock) -> None:
        self._database = database
        self._now = now

    async def add(self, row: AppRow, limit: int) -> bool:
        """Keep a new app, unless it is there; False when its owner has `limit` others."""
        return await self._database.write(_add, row, limit)

    async def change(self, uid: str, id: str, values: Mapping[str, Any]) -> AppRow | None:
        """Set these columns of an app of the user's; as it is then, None when they have none of that id."""
        return await self._database.write(_change, uid, id, {**values, "updated_at": self._now()})

    async def remove(self, uid: str, id: str) -> bool:
        """Remove an app of the user's with all that belongs to it; False when they have none of that id."""
        own = and_(apps.c.id == id, apps.c.uid == uid)
        return await self._database.write(_remove, own, id, self._now())

    async def owned(self, uid: str, id: str) -> AppRow | None:
        """An app of the user's own."""
        return await self._database.read(_one, and_(apps.c.id == id, apps.c.uid == uid))

    async def get(self, uid: str, id: str) -> AppFound | None:
        """An app that the user sees."""
        found = await self._database.read(_page, uid, apps.c.id == id, 1, 0)
        return found[0] if found else None

    async def list(
        self, uid: str, *, limit: int = 100, offset: int = 0, **filter: Unpack[AppFilter]
    ) -> list[AppFound]:
        """A page of the apps that the user sees, by name. Raises `ValueError` for a limit over `PAGE_LIMIT`."""
        if not 1 <= limit <= PAGE_LIMIT:
            raise ValueError(f"limit: {limit} given, 1 to {PAGE_LIMIT} accepted")
        return await self._database.read(_page, uid, _where(uid, filter), limit, offset)

    async def count(self, uid: str, **filter: Unpack[AppFilter]) -> int:
        """How many `list` would give without limit and offset."""
        return await self._database.read(_count, uid, _where(uid, filter))

    async def enabled(self, uid: str) -> "Rows":
        """The apps that the user has enabled and sees: the one preferred last first, then those enabled first."""
        return await self._database.read(_enabled, uid)

    async def enabled_one(self, uid: str, id: str) -> AppRow | None:
        """One of them."""
        return await self._database.read(_enabled_one, uid, id)

    async def any_enabled(self) -> bool:
        """Whether any user has enabled any app."""
        return await self._database.read(_any_enabled)

    async def prefer(self, uid: str, id: str) -> bool:
        """Ask this app before the others; False when the user has not enabled it, or does not see it."""
        return await self._database.write(_prefer, uid, id, self._now())

    async def give_image(self, uid: str, id: str, image: bytes) -> None:
        """Keep the picture of an app, in the place of the one it had."""
        await self._database.write(_give_image, uid, id, image, self._now())

    async def image(self, uid: str, id: str) -> bytes | None:
        """The picture that was kept of an app that the user sees; without one (""), of a public app."""
        return await self._database.read(_image, uid, id)

    async def get_any(self, id: str) -> AppRow | None:
        """Any app, for the operator."""
        return await self._database.read(_one, apps.c.id == id)

    async def all(self) -> "Rows":
        """All apps by name, for the operator."""
        return await self._database.read(_all)

    async def drop(self, id: str) -> bool:
        """As `remove`, for the operator."""
        return await self._database.write(_remove, apps.c.id == id, id, self._now())


Rows = list[AppRow]  # inside the class `list` is the method


def seen_by(uid: str | BindParameter[str]) -> ColumnElement[bool]:
    """Of `apps`: those that are public, and the user's own."""
    return or_(apps.c.private.is_(False), apps.c.uid == uid)


def _where(uid: str, filter: AppFilter) -> ColumnElement[bool]:
    chosen: list[ColumnElement[bool]] = []
    if text := (filter.get("text") or "").strip():
        found = (func.lower(column).contains(text.lower(), autoescape=True) for column in _LOOKED_AT)
        chosen.append(or_(*found))
    if category := filter.get("category"):
        chosen.append(apps.c.category == category)
    if capability := filter.get("capability"):
        chosen.append(cast(apps.c.capabilities, String).contains(f'"{capability}"', autoescape=True))
    if filter.get("mine"):
        chosen.append(apps.c.uid == uid)
    if filter.get("enabled"):
        chosen.append(apps.c.id.in_(_enabled_ids(uid)))
    return and_(True, *chosen)


_LOOKED_AT = (apps.c.name, apps.c.description)


def _enabled_ids(uid: str) -> Select[Any]:
    return select(enabled_apps.c.app_id).where(enabled_apps.c.uid == uid)


def _row(found: Any) -> AppRow:
    return AppRow(**{name: found[name] for name in AppRow.__struct_fields__})


def _add(connection: Connection, row: AppRow, limit: int) -> bool:
    if connection.execute(select(apps.c.id).where(apps.c.uid == row.uid, apps.c.id == row.id)).first():
        return True
    own = select(func.count()).select_from(apps).where(apps.c.uid == row.uid)
    if connection.execute(own).scalar_one() >= limit:
        return False
    connection.execute(insert(apps).values(msgspec.structs.asdict(row)))
    return True


def _change(connection: Connection, uid: str, id: str, values: dict[str, Any]) -> AppRow | None:
    own = and_(apps.c.id == id, apps.c.uid == uid)
    changed = connection.execute(update(apps).where(own).values(values).returning(*apps.c)).mappings().first()
    return None if changed is None else _row(changed)


def forget_apps_of(connection: Connection, uid: str) -> None:
    """What others said of a user's apps, and that they let them in: the apps themselves go with all of the user's."""
    own = select(apps.c.id).where(apps.c.uid == uid)
    for table in (app_reviews, enabled_apps):
        connection.execute(delete(table).where(table.c.app_id.in_(own)))


def _remove(connection: Connection, which: ColumnElement[bool], id: str, now: int) -> bool:
    if not connection.execute(delete(apps).where(which)).rowcount:
        return False
    for table in (app_images, app_reviews, enabled_apps):
        connection.execute(delete(table).where(table.c.app_id == id))
    valid = and_(app_keys.c.app_id == id, app_keys.c.revoked_at.is_(None))
    connection.execute(update(app_keys).where(valid).values(revoked_at=now))
    return True


def _one(connection: Connection, which: ColumnElement[bool]) -> AppRow | None:
    found = connection.execute(select(apps).where(which)).mappings().first()
    return None if found is None else _row(found)


def _all(connection: Connection) -> list[AppRow]:
    query = select(apps).order_by(func.lower(apps.c.name), apps.c.id).limit(PAGE_LIMIT)
    return [_row(found) for found in connection.execute(query).mappings()]


def _page(
    connection: Connection, uid: str, where: ColumnElement[bool], limit: int, offset: int
) -> list[AppFound]:
    query = select(apps).where(seen_by(uid), where).order_by(func.lower(apps.c.name), apps.c.id)
    rows = [_row(found) for found in connection.execute(query.limit(limit).offset(offset)).mappings()]
    return _found(connection, uid, rows)


def _count(connection: Connection, uid: str, where: ColumnElement[bool]) -> int:
    query = select(func.count()).select_from(apps).where(seen_by(uid), where)
    return int(connection.execute(query).scalar_one())


def _found(connection: Connection, uid: str, rows: Sequence[AppRow]) -> list[AppFound]:
    ids = [row.id for row in rows]
    own = _enabled_ids(uid).where(enabled_apps.c.app_id.in_(ids))
    enabled = {id for (id,) in connection.execute(own)}
    by_app = enabled_apps.c.app_id
    installs = {
        id: int(count)
        for id, count in connection.execute(
            select(by_app, func.count()).where(by_app.in_(ids)).group_by(by_app)
        )
    }
    reviewed = app_reviews.c.app_id
    ratings = {
        id: (float(average), int(count))
        for id, average, count in connection.execute(
            select(reviewed, func.avg(app_reviews.c.score), func.count())
            .where(reviewed.in_(ids))
            .group_by(reviewed)
        )
    }
    return [
        AppFound(
            app=row,
            enabled=row.id in enabled,
            installs=installs.get(row.id, 0),
            rating=ratings[row.id][0] if row.id in ratings else None,
            ratings=ratings[row.id][1] if row.id in ratings else 0,
        )
        for row in rows
    ]


def _of_enabled(uid: str | BindParameter[str]) -> Select[Any]:
    joined = apps.join(enabled_apps, enabled_apps.c.app_id == apps.c.id)
    return select(apps).select_from(joined).where(enabled_apps.c.uid == uid, seen_by(uid))


@lru_cache(maxsize=8)
def _enabled_query(dialect: Dialect) -> PreparedQuery:
    preferred = func.coalesce(enabled_apps.c.preferred_at, 0).desc()
    query = _of_enabled(bindparam("uid")).order_by(preferred, enabled_apps.c.enabled_at, apps.c.id)
    return PreparedQuery(query.limit(MOST_ENABLED), dialect)


def _enabled(connection: Connection, uid: str) -> list[AppRow]:
    found = _enabled_query(connection.dialect).mappings(connection, {"uid": uid})
    return [_row(one) for one in found]


def _enabled_one(connection: Connection, uid: str, id: str) -> AppRow | None:
    found = connection.execute(_of_enabled(uid).where(apps.c.id == id)).mappings().first()
    return None if found is None else _row(found)


def _any_enabled(connection: Connection) -> bool:
    return connection.execute(select(enabled_apps.c.app_id).limit(1)).first() is not None


def _prefer(connection: Connection, uid: str, id: str, now: int) -> bool:
    if _enabled_one(connection, uid, id) is None:
        return False
    here = and_(enabled_apps.c.uid == uid, enabled_apps.c.app_id == id)
    connection.execute(update(enabled_apps).where(here).values(preferred_at=now))
    return True


def _give_image(connection: Connection, uid: str, id: str, image: bytes, now: int) -> None:
    connection.execute(delete(app_images).where(app_images.c.app_id == id, app_images.c.uid == uid))
    values = {"app_id": id, "uid": uid, "image": image, "created_at": now}
    connection.execute(insert(app_images).values(values))


def _image(connection: Connection, uid: str, id: str) -> bytes | None:
    of_app = app_images.join(apps, apps.c.id == app_images.c.app_id)
    query = select(app_images.c.image).select_from(of_app).where(apps.c.id == id, seen_by(uid))
    found = connection.execute(query).scalar()
    return None if found is None else bytes(found)
