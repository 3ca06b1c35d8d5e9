"""What endpoints are told: durable, held by one process an endpoint at a time.

    offer --> pending --> delivered
                ^  |----> dead      (tried often enough, or its endpoint was turned off)
                |  +----> dropped   (too old, or no room in the spool)
                +-- replay          (from any of these)

Operations: `offer` adds; `claim` takes endpoints that are due, with what is to be sent; `step` writes down what came of
that and gives the next, or lets go of the endpoint; `find`, `list`, `counts` look; `replay` sends again; `drop` and
`lost` end what was not sent; `prune` forgets what ended long ago.
Invariants: a delivery is known by user and id; offering one that is there changes nothing. An endpoint has one holder
at a time, until `claimed_until`: so order, concurrency and pauses are one process' business. What was sent is written
down also by a holder who was too slow, for it is so; everything else only by who still holds the endpoint. Whenever
nobody holds an endpoint, its `due_at` is not after the first moment at which there is something to do for it.
Bounded: `claim` and `step` give at most `room` deliveries; what waits is bounded by age, or by how often it is tried.
Cost: a commit each, and one for all offers, or steps, that come while one is being made; `claim` and `step` read what
they give in the same transaction.
Known doubts: machines that share a database need clocks that agree to within a fraction of `claim_time`, and a spool
that all of them can read.
"""

import math
from collections.abc import Collection, Sequence

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, delete, func, or_, select, update

from engine.store._delivery_statements import named_by, statements_in
from engine.store._delivery_steps import (
    Claiming,
    Result,
    Step,
    StepRequest,
    claim,
    end,
    next_due,
    release,
    rows_of,
    steps,
    without_bodies,
)
from engine.store.database import Database, WallClock, upsert
from engine.store.errors import DatabaseUnavailable
from engine.store.tables import deliveries, webhooks
from engine.store.webhook_records import (
    DEAD,
    DELIVERED,
    DROPPED,
    ORDERED,
    PENDING,
    DeliveryRow,
    WebhookRow,
)
from engine.store.webhooks import endpoint_is, ensure_endpoint
from engine.together import Together

__all__ = ["Claiming", "Deliveries", "DeliveryFilter", "Offered", "Result", "Step", "offer"]

PAGE_LIMIT = 1000
PRUNED_AT_ONCE = 500

Rows = list


class DeliveryFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which deliveries of a user. `since` and `until` are about `created_at`."""

    endpoint: str | None = None
    trigger: str | None = None
    states: tuple[str, ...] = ()
    since: int | None = None
    until: int | None = None


class Offered(msgspec.Struct, frozen=True):
    """How many deliveries were `new`, and whether there is something to do for one of their endpoints `now`."""

    new: int
    now: bool


class Deliveries:
    """All deliveries."""

    def __init__(self, database: Database, now: WallClock) -> None:
        self._database = database
        self._now = now
        self._offers = Together(self._offer_together, DatabaseUnavailable)
        self._steps = Together(self._step_together, DatabaseUnavailable)

    async def offer(self, *rows: DeliveryRow) -> Offered:
        """Keep what is new among `rows`, numbered in this order."""
        return await self._offers(rows)

    async def _offer_together(self, asked: Sequence[Sequence[DeliveryRow]]) -> list[Offered]:
        return await self._database.write(self._offer, asked)

    def _offer(self, connection: Connection, asked: Sequence[Sequence[DeliveryRow]]) -> list[Offered]:
        now = self._now()
        return [offer(connection, rows, now) for rows in asked]

    async def claim(self, claiming: Claiming, limit: int) -> Rows[Step]:
        """Take at most `limit` endpoints that are due, those that waited longest first."""
        return await self._database.write(claim, claiming, limit)

    async def step(
        self, claiming: Claiming, endpoint: WebhookRow, results: Sequence[Result], busy: Collection[str]
    ) -> Step:
        """Write `results` down, and say what is to be sent besides what is being sent (`busy`).

        With nothing to send and nothing being sent the endpoint is let go of.
        """
        return await self._steps(StepRequest(claiming, endpoint, tuple(results), frozenset(busy)))

    async def _step_together(self, asked: Sequence[StepRequest]) -> list[Step]:
        return await self._database.write(steps, asked)

    async def release(self, owner: str) -> None:
        """Let go of all endpoints that `owner` holds; they are due as before."""
        await self._database.write(release, owner)

    async def next_due(self) -> int | None:
        """When there is something to do that nobody does (µs, maybe in the past); None: nothing waits."""
        return await self._database.read(next_due)

    async def waiting(self) -> int:
        """How many deliveries are pending, of all users."""
        return await self._database.read(_waiting)

    async def get(self, uid: str, id: str) -> DeliveryRow | None:
        """One delivery of a user's."""
        found = await self._database.read(_select, and_(deliveries.c.uid == uid, deliveries.c.id == id), 1, 0)
        return found[0] if found else None

    async def list(
        self, uid: str, chosen: DeliveryFilter, *, limit: int = 100, offset: int = 0
    ) -> Rows[DeliveryRow]:
        """A page of a user's deliveries, newest first, their bodies left out. Raises ValueError for a bad page."""
        if not 1 <= limit <= PAGE_LIMIT or offset < 0:
            raise ValueError(
                f"limit {limit} and offset {offset} given, 1 to {PAGE_LIMIT} and 0 or more accepted"
            )
        return await self._database.read(_list, uid, chosen, limit, offset)

    async def counts(self, uid: str) -> dict[tuple[str, str], int]:
        """How many of a user's deliveries are pending, by endpoint and trigger."""
        return await self._database.read(_counts, uid)

    async def files_waiting(self) -> Rows[str]:
        """The files of what is pending, of all users."""
        return await self._database.read(_files_waiting)

    async def ended(
        self, uid: str, chosen: DeliveryFilter, *, limit: int, offset: int = 0
    ) -> Rows[DeliveryRow]:
        """A page of those chosen that may be sent again, the oldest first, their bodies left out."""
        return await self._database.read(_ended, uid, _chosen(uid, chosen), limit, offset)

    async def replay(self, uid: str, *ids: str) -> int:
        """Send these again, those that have ended; how many. A file may be gone by then: its log says so."""
        return await self._database.write(_replay, uid, ids, self._now())

    async def drop(self, uid: str, id: str, reason: str) -> DeliveryRow | None:
        """End one that is pending; as it was, or None when there is none."""
        return await self._database.write(_drop, uid, id, reason, self._now())

    async def add_lost(self, row: DeliveryRow) -> bool:
        """Keep a row that never was a delivery, in state lost; False when it is there already."""
        return await self._database.write(_add_lost, row, self._now())

    async def prune(self, before: int, keep: int) -> int:
        """Forget what ended before `before` (µs) and, of each endpoint, all but the latest `keep`; how many."""
        found = await self._database.read(_prunable, before, keep)
        if found:
            await self._database.write(_forget, found)
        return len(found)


def offer(connection: Connection, rows: Sequence[DeliveryRow], now: int) -> Offered:
    """As `Deliveries.offer`. For use in another's transaction."""
    made, soonest = 0, math.inf
    for row in rows:
        number, due_at = _number(connection, row, now)
        values = msgspec.structs.asdict(row) | {"sequence": number}
        made += len(statements_in(connection.dialect).insert.rows(connection, values))
        soonest = min(soonest, due_at)
    return Offered(made, soonest <= now)


def _number(connection: Connection, row: DeliveryRow, now: int) -> tuple[int, int]:
    """The next number of the endpoint, of which there may be no row so far, as of an app's; when it is due then."""
    here = named_by(row) | {"now": now, "expires": row.expires_at}
    statements = statements_in(connection.dialect)
    statement = statements.number_behind if row.trigger in ORDERED else statements.number
    found = statement.rows(connection, here)
    if not found:
        ensure_endpoint(connection, row.uid, row.endpoint, row.trigger, now)
        found = statement.rows(connection, here)
    ((number, due_at),) = found
    return number, due_at


def _waiting(connection: Connection) -> int:
    query = select(func.count()).select_from(deliveries).where(deliveries.c.due_at.is_not(None))
    return int(connection.execute(query).scalar_one())


def _chosen(uid: str, chosen: DeliveryFilter) -> ColumnElement[bool]:
    where = [deliveries.c.uid == uid]
    if chosen.endpoint is not None:
        where.append(deliveries.c.endpoint == chosen.endpoint)
    if chosen.trigger is not None:
        where.append(deliveries.c.trigger == chosen.trigger)
    if chosen.states:
        where.append(deliveries.c.state.in_(chosen.states))
    if chosen.since is not None:
        where.append(deliveries.c.created_at >= chosen.since)
    if chosen.until is not None:
        where.append(deliveries.c.created_at < chosen.until)
    return and_(*where)


def _list(
    connection: Connection, uid: str, chosen: DeliveryFilter, limit: int, offset: int
) -> Rows[DeliveryRow]:
    query = without_bodies().where(_chosen(uid, chosen))
    query = query.order_by(deliveries.c.created_at.desc(), deliveries.c.sequence.desc(), deliveries.c.id)
    return rows_of(connection, query.limit(limit).offset(offset))


def _counts(connection: Connection, uid: str) -> dict[tuple[str, str], int]:
    query = select(deliveries.c.endpoint, deliveries.c.trigger, func.count())
    query = query.where(deliveries.c.uid == uid, deliveries.c.state == PENDING)
    found = connection.execute(query.group_by(deliveries.c.endpoint, deliveries.c.trigger))
    return {(endpoint, trigger): count for endpoint, trigger, count in found}


def _files_waiting(connection: Connection) -> Rows[str]:
    query = select(deliveries.c.file).where(deliveries.c.due_at.is_not(None), deliveries.c.file.is_not(None))
    return list(connection.execute(query).scalars())


def _ended(
    connection: Connection, uid: str, which: ColumnElement[bool], limit: int, offset: int = 0
) -> Rows[DeliveryRow]:
    """Those that had something to say, in the order in which they were made."""
    has_body = or_(deliveries.c.body.is_not(None), deliveries.c.file.is_not(None))
    here = and_(deliveries.c.uid == uid, which, has_body)
    query = without_bodies().where(here, deliveries.c.state.in_((DELIVERED, DEAD, DROPPED)))
    ordered = query.order_by(deliveries.c.created_at, deliveries.c.sequence, deliveries.c.id)
    return rows_of(connection, ordered.limit(limit).offset(offset))


def _replay(connection: Connection, uid: str, ids: Sequence[str], now: int) -> int:
    """Behind everything that waits."""
    rows = _ended(connection, uid, deliveries.c.id.in_(ids), len(ids))
    for row in rows:
        fresh = {"state": PENDING, "due_at": now, "expires_at": None, "ended_at": None, "attempts": 0}
        again = msgspec.structs.replace(row, expires_at=None)
        fresh |= {"sequence": _number(connection, again, now)[0]}
        one = and_(deliveries.c.uid == uid, deliveries.c.id == row.id)
        connection.execute(update(deliveries).where(one).values(fresh))
    return len(rows)


def _drop(connection: Connection, uid: str, id: str, reason: str, now: int) -> DeliveryRow | None:
    one = and_(deliveries.c.uid == uid, deliveries.c.id == id, deliveries.c.state == PENDING)
    found = (
        connection.execute(
            select(webhooks)
            .join(
                deliveries,
                and_(
                    webhooks.c.uid == deliveries.c.uid,
                    webhooks.c.name == deliveries.c.endpoint,
                    webhooks.c.trigger == deliveries.c.trigger,
                ),
            )
            .where(one)
        )
        .mappings()
        .first()
    )
    if found is None:
        return None
    ended = end(connection, WebhookRow(**found), one, DROPPED, reason, now)
    return ended[0] if ended else None


def _add_lost(connection: Connection, row: DeliveryRow, now: int) -> bool:
    ensure_endpoint(connection, row.uid, row.endpoint, row.trigger, now)
    insert = upsert(connection.dialect.name, deliveries).values(msgspec.structs.asdict(row))
    made = connection.execute(insert.on_conflict_do_nothing().returning(deliveries.c.id)).first()
    if made is not None:
        where = endpoint_is(row.uid, row.endpoint, row.trigger)
        connection.execute(update(webhooks).where(where).values(lost=webhooks.c.lost + 1))
    return made is not None


def _prunable(connection: Connection, before: int, keep: int) -> Rows[tuple[str, str]]:
    """User and id of what may be forgotten, in portions: nobody shall wait long for the database."""
    keys = select(deliveries.c.uid, deliveries.c.id)
    old = connection.execute(keys.where(deliveries.c.ended_at < before).limit(PRUNED_AT_ONCE)).all()
    if old:
        return [(uid, id) for uid, id in old]
    place = func.row_number().over(
        partition_by=(deliveries.c.uid, deliveries.c.endpoint, deliveries.c.trigger),
        order_by=deliveries.c.ended_at.desc(),
    )
    ranked = select(deliveries.c.uid, deliveries.c.id, place.label("place"))
    inner = ranked.where(deliveries.c.ended_at.is_not(None)).subquery()
    beyond = select(inner.c.uid, inner.c.id).where(inner.c.place > keep).limit(PRUNED_AT_ONCE)
    return [(uid, id) for uid, id in connection.execute(beyond)]


def _forget(connection: Connection, keys: Sequence[tuple[str, str]]) -> None:
    for uid, id in keys:
        ended = and_(deliveries.c.uid == uid, deliveries.c.id == id, deliveries.c.ended_at.is_not(None))
        connection.execute(delete(deliveries).where(ended))


def _select(connection: Connection, where: ColumnElement[bool], limit: int, offset: int) -> Rows[DeliveryRow]:
    return rows_of(connection, select(deliveries).where(where).limit(limit).offset(offset))
