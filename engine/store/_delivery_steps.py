"""How an endpoint is held and worked through: claims, and the steps of whoever holds one, each a transaction.

`engine.store.deliveries` says what holds; these are the functions of a connection behind its `claim` and `step`.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, and_, case, func, null, or_, select, update

from engine.store.tables import deliveries, webhooks
from engine.store.webhook_records import DEAD, DROPPED, ENDED, PENDING, DeliveryRow, WebhookRow
from engine.store.webhooks import endpoint_is

__all__ = [
    "Claiming",
    "Result",
    "Step",
    "StepRequest",
    "claim",
    "end",
    "next_due",
    "release",
    "rows_of",
    "steps",
    "without_bodies",
]

Rows = list


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one attempt: the columns that change, of the delivery and of its endpoint.

    `counts` are added to the endpoint's counters. `values` are set, unless its owner has changed its settings since
    `settings_at`: what was learned of an endpoint that is another by now must not turn it off.
    """

    id: str
    delivery: dict[str, Any]
    counts: dict[str, int]
    values: dict[str, Any]
    settings_at: int


class Step(msgspec.Struct, frozen=True):
    """What is to be done next for an endpoint that is held.

    `due`: what to send now. `next_at`: when there is more (µs; None: nobody knows of anything). `held`: whether the
    endpoint is still the caller's. `dropped` ended meanwhile, unsent.
    """

    endpoint: WebhookRow
    due: tuple[DeliveryRow, ...] = ()
    next_at: int | None = None
    held: bool = True
    dropped: tuple[DeliveryRow, ...] = ()


class Claiming(msgspec.Struct, frozen=True, kw_only=True):
    """Who takes endpoints, when, until when, and how much of each kind is sent at once."""

    owner: str
    now: int
    until: int
    ordered: frozenset[str]
    room: int
    threshold: int
    """After so many failures in a row one is sent at a time."""


class StepRequest(msgspec.Struct, frozen=True):
    """See `Deliveries.step`."""

    claiming: Claiming
    endpoint: WebhookRow
    results: tuple[Result, ...]
    busy: frozenset[str]


def claim(connection: Connection, claiming: Claiming, limit: int) -> Rows[Step]:
    free = or_(webhooks.c.claimed_until.is_(None), webhooks.c.claimed_until <= claiming.now)
    query = select(webhooks).where(webhooks.c.due_at <= claiming.now, free).order_by(webhooks.c.due_at)
    # `skip_locked` is PostgreSQL's; SQLite has one writer at a time anyway.
    rows = connection.execute(query.limit(limit).with_for_update(skip_locked=True)).mappings().all()
    taken = []
    for row in rows:
        endpoint = WebhookRow(**row)
        held = {"owner": claiming.owner, "claimed_until": claiming.until}
        where = endpoint_is(endpoint.uid, endpoint.name, endpoint.trigger)
        connection.execute(update(webhooks).where(where).values(held))
        now_due = _next(connection, claiming, endpoint, frozenset())
        if not now_due.due:
            _let_go(connection, now_due)
            now_due = msgspec.structs.replace(now_due, held=False)
        taken.append(now_due)
    return taken


def steps(connection: Connection, asked: Sequence[StepRequest]) -> list[Step]:
    """Steps of several endpoints, in one transaction."""
    return [_step(connection, one.claiming, one.endpoint, one.results, one.busy) for one in asked]


def _step(
    connection: Connection,
    claiming: Claiming,
    endpoint: WebhookRow,
    results: Sequence[Result],
    busy: frozenset[str],
) -> Step:
    for result in results:
        _write(connection, endpoint, result)
    where = endpoint_is(endpoint.uid, endpoint.name, endpoint.trigger)
    mine = and_(where, webhooks.c.owner == claiming.owner)
    held = update(webhooks).where(mine).values(claimed_until=claiming.until).returning(*webhooks.c)
    found = connection.execute(held).mappings().first()
    if found is None:
        return Step(endpoint, held=False)
    following = _next(connection, claiming, WebhookRow(**found), busy)
    if following.due or busy:
        return following
    _let_go(connection, following)
    return msgspec.structs.replace(following, held=False)


def _write(connection: Connection, endpoint: WebhookRow, result: Result) -> None:
    """One attempt's end: of the delivery unless it has ended already, and of what is known of the endpoint."""
    one = and_(deliveries.c.uid == endpoint.uid, deliveries.c.id == result.id)
    open_ = and_(one, deliveries.c.state == PENDING)
    written = connection.execute(
        update(deliveries).where(open_).values(result.delivery).returning(deliveries.c.id)
    ).first()
    counts = result.counts if written else {k: v for k, v in result.counts.items() if k not in ENDED}
    where = endpoint_is(endpoint.uid, endpoint.name, endpoint.trigger)
    if counts:
        added = {name: webhooks.c[name] + count for name, count in counts.items()}
        connection.execute(update(webhooks).where(where).values(added))
    if result.values:
        same = and_(where, webhooks.c.settings_at == result.settings_at)
        connection.execute(update(webhooks).where(same).values(result.values))


def _next(connection: Connection, claiming: Claiming, endpoint: WebhookRow, busy: frozenset[str]) -> Step:
    """What to send now. Too old deliveries are dropped; those of an endpoint that is off are given up."""
    pending = and_(_of(endpoint), deliveries.c.state == PENDING, deliveries.c.id.not_in(busy))
    if not endpoint.enabled or endpoint.disabled_at is not None:
        reason = f"the endpoint is off{': ' + endpoint.disabled_reason if endpoint.disabled_reason else ''}"
        ended = end(connection, endpoint, pending, DEAD, reason, claiming.now)
        return Step(endpoint, dropped=ended)
    reason = "it became too old" + (f": {endpoint.last_reason}" if endpoint.failures else "")
    expired = and_(pending, deliveries.c.expires_at <= claiming.now)
    dropped = end(connection, endpoint, expired, DROPPED, reason, claiming.now)
    ordered = endpoint.trigger in claiming.ordered
    paused = endpoint.paused_until is not None and endpoint.paused_until > claiming.now
    careful = ordered or endpoint.failures >= claiming.threshold
    room = 0 if paused else (1 if careful else claiming.room) - len(busy)
    due = _due(connection, pending, room, ordered, claiming.now) if room > 0 else ()
    next_at = _next_at(connection, endpoint, pending, ordered)
    return Step(endpoint, due, next_at, dropped=dropped)


def _due(
    connection: Connection, pending: ColumnElement[bool], room: int, ordered: bool, now: int
) -> tuple[DeliveryRow, ...]:
    """Of an ordered endpoint nothing overtakes the first."""
    if ordered:
        first = rows_of(
            connection, select(deliveries).where(pending).order_by(deliveries.c.sequence).limit(1)
        )
        return tuple(row for row in first if row.due_at is not None and row.due_at <= now)
    query = select(deliveries).where(pending, deliveries.c.due_at <= now)
    return tuple(rows_of(connection, query.order_by(deliveries.c.due_at, deliveries.c.sequence).limit(room)))


def _next_at(
    connection: Connection, endpoint: WebhookRow, pending: ColumnElement[bool], ordered: bool
) -> int | None:
    """The first moment at which something is to be done for the endpoint: a delivery is due, or becomes too old."""
    query = (
        select(deliveries.c.due_at)
        .where(pending)
        .order_by(deliveries.c.sequence if ordered else deliveries.c.due_at)
    )
    due = connection.execute(query.limit(1)).scalar()
    expires = connection.execute(select(func.min(deliveries.c.expires_at)).where(pending)).scalar()
    if due is None:
        return None
    due = max(due, endpoint.paused_until or 0)
    return int(due if expires is None else min(due, expires))


def _let_go(connection: Connection, step: Step) -> None:
    endpoint = step.endpoint
    where = endpoint_is(endpoint.uid, endpoint.name, endpoint.trigger)
    free = {"owner": None, "claimed_until": None, "due_at": step.next_at}
    connection.execute(update(webhooks).where(where).values(free))


def release(connection: Connection, owner: str) -> None:
    """See `Deliveries.release`."""
    free = update(webhooks).where(webhooks.c.owner == owner).values(owner=None, claimed_until=None)
    connection.execute(free)


def next_due(connection: Connection, now: int) -> int | None:
    """A held endpoint that is due is taken up when its holder has died, at the latest."""
    at = case(
        (webhooks.c.claimed_until > webhooks.c.due_at, webhooks.c.claimed_until), else_=webhooks.c.due_at
    )
    return connection.execute(select(func.min(at)).where(webhooks.c.due_at.is_not(None))).scalar()


def end(
    connection: Connection,
    endpoint: WebhookRow,
    where: ColumnElement[bool],
    state: str,
    reason: str,
    now: int,
) -> tuple[DeliveryRow, ...]:
    """End deliveries without an attempt, and count them. Their files are the caller's to remove."""
    rows = rows_of(connection, without_bodies().where(where))
    if not rows:
        return ()
    ended = {"state": state, "reason": reason, "due_at": None, "ended_at": now}
    connection.execute(update(deliveries).where(where).values(ended))
    here = endpoint_is(endpoint.uid, endpoint.name, endpoint.trigger)
    added = {state: webhooks.c[state] + len(rows)}
    connection.execute(update(webhooks).where(here).values(added))
    return tuple(rows)


def _of(endpoint: WebhookRow) -> ColumnElement[bool]:
    return and_(
        deliveries.c.uid == endpoint.uid,
        deliveries.c.endpoint == endpoint.name,
        deliveries.c.trigger == endpoint.trigger,
    )


def without_bodies() -> Select[Any]:
    columns = [column if column.name != "body" else null().label("body") for column in deliveries.c]
    return select(*columns)


def rows_of(connection: Connection, query: Select[Any]) -> Rows[DeliveryRow]:
    return [DeliveryRow(**row) for row in connection.execute(query).mappings()]
