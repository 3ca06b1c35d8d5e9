"""What creations under an idempotency key were answered with, so that one asked for twice is done once.

Operations: `begin` a request, then `finish` it with its answer or `abandon` it; `forget` old ones.
Invariants: of several requests with one user and key, one is `Begun`. A request that neither finished nor was
abandoned, because its process died, can be begun anew after the lifetime that `begin` was given.
Bounded by `forget`.
Cancellation: after a cancelled `begin` the key may be taken until its lifetime is over.
"""

from uuid import uuid4

import msgspec
from sqlalchemy import Connection, and_, delete, insert, select, update

from engine.moments import SECOND
from engine.store.database import Database, WallClock
from engine.store.tables import idempotency

__all__ = ["Answered", "Begun", "Idempotency", "InProgress", "Mismatch", "Outcome"]


class Begun(msgspec.Struct, frozen=True):
    """The request is new: do it.

    `seed` is drawn for it; a request that was begun before and left behind has the one it had, so that what it makes
    may have the ids of what it made then.
    """

    seed: str


class Answered(msgspec.Struct, frozen=True):
    """The request was made before; this was its answer."""

    status: int
    body: bytes


class InProgress(msgspec.Struct, frozen=True):
    """The same request is being answered right now."""


class Mismatch(msgspec.Struct, frozen=True):
    """The key was used for another request."""


Outcome = Begun | Answered | InProgress | Mismatch


class Idempotency:
    """All keys of all users."""

    def __init__(self, database: Database, now: WallClock) -> None:
        self._database = database
        self._now = now

    async def begin(self, uid: str, key: str, digest: str, lifetime: float) -> Outcome:
        """Take `key` for the request that `digest` is of. `lifetime`: seconds that answering may take."""
        now = self._now()
        dead = now - round(lifetime * SECOND)
        return await self._database.write(_begin, uid, key, digest, now, dead)

    async def finish(self, uid: str, key: str, status: int, body: bytes) -> None:
        """Keep the answer of the request begun under `key`."""
        await self._database.write(_finish, uid, key, status, body)

    async def abandon(self, uid: str, key: str) -> None:
        """Nothing was created: the key may be used again."""
        await self._database.write(_abandon, uid, key)

    async def forget(self, before: int) -> int:
        """Drop the keys of requests made before `before` (µs); how many there were."""
        return await self._database.write(_forget, before)


def _begin(connection: Connection, uid: str, key: str, digest: str, now: int, dead: int) -> Outcome:
    named = and_(idempotency.c.uid == uid, idempotency.c.key == key)
    found = connection.execute(select(idempotency).where(named)).first()
    if found is not None and found.digest != digest:
        return Mismatch()
    if found is not None and found.status is not None:
        return Answered(found.status, found.answer)
    if found is not None and found.created_at > dead:
        return InProgress()
    seed = uuid4().hex if found is None else found.seed
    connection.execute(delete(idempotency).where(named))
    row = {"uid": uid, "key": key, "digest": digest, "seed": seed, "created_at": now}
    connection.execute(insert(idempotency).values(row))
    return Begun(seed)


def _finish(connection: Connection, uid: str, key: str, status: int, body: bytes) -> None:
    named = and_(idempotency.c.uid == uid, idempotency.c.key == key)
    connection.execute(update(idempotency).where(named).values(status=status, answer=body))


def _abandon(connection: Connection, uid: str, key: str) -> None:
    named = and_(idempotency.c.uid == uid, idempotency.c.key == key, idempotency.c.status.is_(None))
    connection.execute(delete(idempotency).where(named))


def _forget(connection: Connection, before: int) -> int:
    return connection.execute(delete(idempotency).where(idempotency.c.created_at < before)).rowcount
