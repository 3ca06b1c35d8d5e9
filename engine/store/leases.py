"""Who may do a piece of work: one owner at a time, for a while, told apart by a token.

Operations: `claim` a name, `renew` all that one owner holds, `give` one away, `release`, `seize` a dead owner's.
Invariants: a name has one owner at a moment of the wall clock; each time it passes to another its token grows, so
that who was too slow to notice is told apart (`holds`). Every operation is one transaction, so of several who
want the same name one gets it.
Bounded by the names in use: one row each, removed on release.
Cost: a commit each; `renew` is one statement however many leases there are.
Known doubts: owners on several machines need clocks that agree to within a fraction of the time a lease runs; who
may be late by more must ask `holds` before it acts. A clock set back between a release and the next claim of that
name by more than the time between them lets a token repeat; owners' names never repeat, so `holds` is still right.
"""

from collections.abc import Collection

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, and_, case, delete, or_, select, update

from engine.moments import SECOND
from engine.store.database import Database, WallClock, upsert
from engine.store.tables import leases

__all__ = ["Lease", "Leases"]


class Lease(msgspec.Struct, frozen=True):
    """`name` is `owner`'s until `expires_at` (µs since the epoch)."""

    name: str
    owner: str
    token: int
    expires_at: int


class Leases:
    """All leases. Owners are named by themselves and must not use a name twice; `seconds` is how long one runs."""

    def __init__(self, database: Database, now: WallClock) -> None:
        self._database = database
        self._now = now

    async def claim(self, name: str, owner: str, seconds: float) -> Lease:
        """Take `name` if it is free, has run out or is `owner`'s already; else the lease that stands in the way."""
        return await self._database.write(_claim, name, owner, *self._times(seconds))

    async def claim_all(self, names: Collection[str], owner: str, seconds: float) -> list[Lease]:
        """As `claim`, of many names in one transaction."""
        return await self._database.write(_claim_all, names, owner, *self._times(seconds))

    async def renew(self, owner: str, seconds: float) -> frozenset[str]:
        """Extend all that `owner` holds; their names. Those that are missing have passed to somebody else."""
        return await self._database.write(_renew, owner, self._times(seconds)[1])

    async def holds(self, lease: Lease, seconds: float) -> bool:
        """Whether nobody else has taken it, and if so extend it: then it stays the owner's for `seconds`."""
        return await self._database.write(_extend, lease, self._times(seconds)[1])

    async def give(self, lease: Lease, owner: str, seconds: float) -> Lease | None:
        """Pass a lease on to `owner`; None when it was no longer there to be given."""
        return await self._database.write(_give, lease, owner, self._times(seconds)[1])

    async def release(self, lease: Lease) -> None:
        """Let go of a lease; nothing happens when somebody else has it."""
        await self._database.write(_release, lease)

    async def seize(self, owner: str, seconds: float, dead: Collection[str] | None = None) -> list[Lease]:
        """Take over all that these owners held: they are known to be dead. None: everybody else is."""
        return await self._database.write(_seize, owner, self._times(seconds)[1], dead)

    async def holder(self, name: str) -> Lease | None:
        """The lease on `name` that runs now, or None."""
        return await self._database.read(_holder, name, self._now())

    def _times(self, seconds: float) -> tuple[int, int]:
        now = self._now()
        return now, now + int(seconds * SECOND)


def _claim(connection: Connection, name: str, owner: str, now: int, until: int) -> Lease:
    insert = upsert(connection.dialect.name, leases).values(
        name=name, owner=owner, token=now, expires_at=until
    )
    changed = {
        "owner": insert.excluded.owner,
        "token": case((leases.c.owner == owner, leases.c.token), else_=leases.c.token + 1),
        "expires_at": insert.excluded.expires_at,
    }
    free = or_(leases.c.owner == owner, leases.c.expires_at <= now)
    connection.execute(
        insert.on_conflict_do_update(index_elements=leases.primary_key, set_=changed, where=free)
    )
    # It may have been released since on a database that does not lock as a whole; then it is nobody's, and asking
    # again gets it.
    return _first(connection, _named(name)) or _claim(connection, name, owner, now, until)


def _claim_all(
    connection: Connection, names: Collection[str], owner: str, now: int, until: int
) -> list[Lease]:
    return [_claim(connection, name, owner, now, until) for name in names]


def _renew(connection: Connection, owner: str, until: int) -> frozenset[str]:
    statement = update(leases).where(leases.c.owner == owner).values(expires_at=until)
    return frozenset(connection.execute(statement.returning(leases.c.name)).scalars())


def _extend(connection: Connection, lease: Lease, until: int) -> bool:
    statement = update(leases).where(_is(lease)).values(expires_at=until)
    return bool(connection.execute(statement).rowcount)


def _give(connection: Connection, lease: Lease, owner: str, until: int) -> Lease | None:
    statement = update(leases).where(_is(lease))
    connection.execute(statement.values(owner=owner, token=leases.c.token + 1, expires_at=until))
    given = _first(connection, _named(lease.name))
    return given if given is not None and given.owner == owner else None


def _release(connection: Connection, lease: Lease) -> None:
    connection.execute(delete(leases).where(_is(lease)))


def _seize(connection: Connection, owner: str, until: int, dead: Collection[str] | None) -> list[Lease]:
    theirs = leases.c.owner != owner if dead is None else leases.c.owner.in_(dead)
    statement = update(leases).where(theirs)
    statement = statement.values(owner=owner, token=leases.c.token + 1, expires_at=until)
    return [Lease(**row) for row in connection.execute(statement.returning(leases)).mappings()]


def _holder(connection: Connection, name: str, now: int) -> Lease | None:
    return _first(connection, _named(name).where(leases.c.expires_at > now))


def _named(name: str) -> Select[tuple[str, str, int, int]]:
    return select(leases).where(leases.c.name == name)


def _is(lease: Lease) -> ColumnElement[bool]:
    return and_(leases.c.name == lease.name, leases.c.owner == lease.owner, leases.c.token == lease.token)


def _first(connection: Connection, query: Select[tuple[str, str, int, int]]) -> Lease | None:
    row = connection.execute(query).mappings().first()
    return None if row is None else Lease(**row)
