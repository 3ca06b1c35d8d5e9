"""How an endpoint is held and worked through: claims, and the steps of whoever holds one, each a transaction.

`engine.store.deliveries` says what holds; these are the functions of a connection behind its `claim` and `step`.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, and_, null, select, update

from engine.moments import SECOND
from engine.store._delivery_statements import named, statements_in
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

LINGER = 15 * SECOND
"""Microseconds that something too old may wait to be dropped with others: of an endpoint that is dead one comes every
few seconds, and nothing that is too old is ever sent."""


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
    """See `Deliveries.claim`."""
    statements = statements_in(connection.dialect)
    found = statements.claimable.mappings(connection, {"now": claiming.now, "most": limit})
    taken = [_next(connection, claiming, WebhookRow(**row), frozenset()) for row in found]
    held = {"to_owner": claiming.owner, "to_until": claiming.until}
    statements.take.run(connection, [named(step.endpoint) | held for step in taken if step.due])
    return [step if step.due else _let_go(connection, step) for step in taken]


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
    held = named(endpoint) | {"to_owner": claiming.owner, "to_until": claiming.until}
    found = statements_in(connection.dialect).hold.mappings(connection, held)
    if not found:
        return Step(endpoint, held=False)
    following = _next(connection, claiming, WebhookRow(**found[0]), busy)
    return following if following.due or busy else _let_go(connection, following)


def _write(connection: Connection, endpoint: WebhookRow, result: Result) -> None:
    """One attempt's end: of the delivery unless it has ended already, and of what is known of the endpoint."""
    statements = statements_in(connection.dialect)
    one = {"at_uid": endpoint.uid, "at_id": result.id}
    new = {f"to_{name}": value for name, value in result.delivery.items()}
    written = statements.ended(tuple(result.delivery)).rows(connection, one | new)
    counts = result.counts if written else {k: v for k, v in result.counts.items() if k not in ENDED}
    plus = named(endpoint) | {f"plus_{name}": count for name, count in counts.items()}
    if result.values:
        values = {f"to_{name}": value for name, value in result.values.items()}
        statement = statements.learned(tuple(counts), tuple(result.values))
        if statement.rows(connection, plus | values | {"seen": result.settings_at}):
            return
    if counts:
        statements.learned(tuple(counts), ()).rows(connection, plus)


def _next(connection: Connection, claiming: Claiming, endpoint: WebhookRow, busy: frozenset[str]) -> Step:
    """What to send now. Too old deliveries are dropped; those of an endpoint that is off are given up."""
    if not endpoint.enabled or endpoint.disabled_at is not None:
        reason = f"the endpoint is off{': ' + endpoint.disabled_reason if endpoint.disabled_reason else ''}"
        waiting = and_(_of(endpoint), deliveries.c.state == PENDING, deliveries.c.id.not_in(busy))
        return Step(endpoint, dropped=end(connection, endpoint, waiting, DEAD, reason, claiming.now))
    ordered, now = endpoint.trigger in claiming.ordered, claiming.now
    paused = endpoint.paused_until is not None and endpoint.paused_until > now
    careful = ordered or endpoint.failures >= claiming.threshold
    room = 0 if paused else max((1 if careful else claiming.room) - len(busy), 0)
    dropped, oldest = _drop_expired(connection, endpoint, busy, now)
    here, statements = named(endpoint), statements_in(connection.dialect)
    # One more than can be sent: it says when to look again.
    chosen = (
        statements.first.mappings(connection, here)
        if ordered
        else statements.soonest.mappings(connection, here | {"most": len(busy) + room + 1})
    )
    rows = [DeliveryRow(**row) for row in chosen if row["id"] not in busy]
    due = tuple(row for row in rows if row.due_at is not None and row.due_at <= now)[:room]
    following = [max(row.due_at or 0, endpoint.paused_until or 0) for row in rows[len(due) :][:1]]
    if following and oldest is not None:
        following.append(oldest + LINGER)
    return Step(endpoint, due, min(following, default=None), dropped=dropped)


def _drop_expired(
    connection: Connection, endpoint: WebhookRow, busy: frozenset[str], now: int
) -> tuple[tuple[DeliveryRow, ...], int | None]:
    """What was dropped, and when the next becomes too old."""
    oldest = _oldest(connection, endpoint)
    if oldest is None or oldest > now:
        return (), oldest
    reason = "it became too old" + (f": {endpoint.last_reason}" if endpoint.failures else "")
    waiting = and_(_of(endpoint), deliveries.c.state == PENDING, deliveries.c.id.not_in(busy))
    expired = and_(waiting, deliveries.c.expires_at <= now)
    dropped = end(connection, endpoint, expired, DROPPED, reason, now)
    return dropped, _oldest(connection, endpoint)


def _oldest(connection: Connection, endpoint: WebhookRow) -> int | None:
    """When the first of what waits becomes too old."""
    ((found,),) = statements_in(connection.dialect).oldest.rows(connection, named(endpoint))
    return None if found is None else int(found)


def _let_go(connection: Connection, step: Step) -> Step:
    one = named(step.endpoint) | {"to_due": step.next_at}
    statements_in(connection.dialect).let_go.rows(connection, one)
    return msgspec.structs.replace(step, held=False)


def release(connection: Connection, owner: str) -> None:
    """See `Deliveries.release`."""
    free = update(webhooks).where(webhooks.c.owner == owner).values(owner=None, claimed_until=None)
    connection.execute(free)


def next_due(connection: Connection) -> int | None:
    """See `Deliveries.next_due`."""
    ((found,),) = statements_in(connection.dialect).next_due.rows(connection, {})
    return None if found is None else int(found)


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
    final = {"state": state, "reason": reason, "due_at": None, "ended_at": now}
    connection.execute(update(deliveries).where(where).values(final))
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
