"""What users say of apps: one review each.

Operations: `put` says it, `change` says it otherwise, `of` gives those of an app, `own` one user's; `reply` is the
app's owner's answer.
Invariants: who may see or review an app is the caller's business. A review is known to others by an id of its own,
never by who wrote it.
Bounded: a page has at most `PAGE_LIMIT` rows.
Cancellation: a cancelled call may still have taken effect; calling again does no harm.
"""

from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, select, update

from engine.store.database import Database, upsert
from engine.store.tables import app_reviews

__all__ = ["PAGE_LIMIT", "AppReviewRow", "AppReviews"]

PAGE_LIMIT = 1000


class AppReviewRow(msgspec.Struct, frozen=True, kw_only=True):
    """What `uid` says of an app. `score`: 0 to 5; `response`: what the app's owner answered."""

    uid: str
    app_id: str
    id: str
    score: float
    review: str = ""
    username: str = ""
    response: str = ""
    rated_at: int
    updated_at: int | None = None
    responded_at: int | None = None


class AppReviews:
    """All reviews."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, row: AppReviewRow) -> None:
        """Keep a review; of one that its user wrote before, id and answer stay."""
        await self._database.write(_put, row)

    async def change(self, uid: str, app_id: str, values: dict[str, Any]) -> bool:
        """Say it otherwise; False when the user has not reviewed the app."""
        return await self._database.write(_change, _own(uid, app_id), values)

    async def own(self, uid: str, app_id: str) -> AppReviewRow | None:
        """What the user says of the app."""
        found = await self._database.read(_select, _own(uid, app_id), 1, 0)
        return found[0] if found else None

    async def of(self, app_id: str, *, limit: int = 100, offset: int = 0) -> list[AppReviewRow]:
        """What is said of an app, newest first. Raises `ValueError` for a limit over `PAGE_LIMIT`."""
        if not 1 <= limit <= PAGE_LIMIT:
            raise ValueError(f"limit: {limit} given, 1 to {PAGE_LIMIT} accepted")
        return await self._database.read(_select, app_reviews.c.app_id == app_id, limit, offset)

    async def reply(self, app_id: str, id: str, response: str, now: int) -> bool:
        """Answer a review of the app; False when it has none of that id."""
        one = and_(app_reviews.c.app_id == app_id, app_reviews.c.id == id)
        return await self._database.write(_change, one, {"response": response, "responded_at": now})


def _own(uid: str, app_id: str) -> ColumnElement[bool]:
    return and_(app_reviews.c.uid == uid, app_reviews.c.app_id == app_id)


def _put(connection: Connection, row: AppReviewRow) -> None:
    statement = upsert(connection.dialect.name, app_reviews).values(msgspec.structs.asdict(row))
    said = {name: statement.excluded[name] for name in ("score", "review", "username", "rated_at")}
    connection.execute(statement.on_conflict_do_update(index_elements=["uid", "app_id"], set_=said))


def _change(connection: Connection, which: ColumnElement[bool], values: dict[str, Any]) -> bool:
    return bool(connection.execute(update(app_reviews).where(which).values(values)).rowcount)


def _select(
    connection: Connection, where: ColumnElement[bool], limit: int, offset: int
) -> list[AppReviewRow]:
    query = select(app_reviews).where(where).order_by(app_reviews.c.rated_at.desc(), app_reviews.c.id)
    found = connection.execute(query.limit(limit).offset(offset)).mappings()
    return [AppReviewRow(**row) for row in found]
