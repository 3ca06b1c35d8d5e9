"""The statements that every delivery goes through, made once: making one costs several times what running it does.

Parameters: `at_uid`, `at_name`, `at_trigger` name an endpoint (`named`), `to_…` are new values, `plus_…` are added.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    Dialect,
    and_,
    bindparam,
    case,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.sql.dml import ReturningUpdate

from engine.store.database import upsert
from engine.store.prepared import Prepared, PreparedQuery
from engine.store.tables import deliveries, webhooks
from engine.store.webhook_records import PENDING, DeliveryRow, WebhookRow

__all__ = ["named", "named_by", "statements_in"]

_UID: BindParameter[str] = bindparam("at_uid")
_NAME: BindParameter[str] = bindparam("at_name")
_TRIGGER: BindParameter[str] = bindparam("at_trigger")
_NOW: BindParameter[int] = bindparam("now")

_HERE = and_(webhooks.c.uid == _UID, webhooks.c.name == _NAME, webhooks.c.trigger == _TRIGGER)
_WAITING = and_(
    deliveries.c.uid == _UID,
    deliveries.c.endpoint == _NAME,
    deliveries.c.trigger == _TRIGGER,
    deliveries.c.state == PENDING,
)

# `skip_locked` is PostgreSQL's; SQLite has one writer at a time anyway.
CLAIMABLE = (
    select(webhooks)
    .where(
        webhooks.c.due_at <= _NOW, or_(webhooks.c.claimed_until.is_(None), webhooks.c.claimed_until <= _NOW)
    )
    .order_by(webhooks.c.due_at)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)
"""Endpoints that are due and that nobody holds, those that waited longest first."""

TAKE = update(webhooks).where(_HERE).values(owner=bindparam("to_owner"), claimed_until=bindparam("to_until"))

HOLD = (
    update(webhooks)
    .where(_HERE, webhooks.c.owner == bindparam("to_owner"))
    .values(claimed_until=bindparam("to_until"))
    .returning(*webhooks.c)
)
"""Go on holding it, if `to_owner` does."""

LET_GO = (
    update(webhooks)
    .where(_HERE)
    .values(owner=None, claimed_until=None, due_at=bindparam("to_due"))
    .returning(webhooks.c.uid)
)

FIRST = select(deliveries).where(_WAITING).order_by(deliveries.c.sequence).limit(1)
"""What an ordered endpoint is to be told next."""

SOONEST = (
    select(deliveries)
    .where(_WAITING)
    .order_by(deliveries.c.due_at, deliveries.c.sequence)
    .limit(bindparam("most"))
)
"""What others are to be told next."""

OLDEST = select(func.min(deliveries.c.expires_at)).where(_WAITING)
"""When the first of what waits becomes too old."""

_AT = case((webhooks.c.claimed_until > webhooks.c.due_at, webhooks.c.claimed_until), else_=webhooks.c.due_at)

NEXT_DUE = select(func.min(_AT)).where(webhooks.c.due_at.is_not(None))
"""When an endpoint has to be looked after: one that is held and due when its holder has died, at the latest."""

_EXPIRES: BindParameter[int] = bindparam("expires", type_=BigInteger)
_FREE = case((webhooks.c.paused_until > _NOW, webhooks.c.paused_until), else_=_NOW)
# A comparison with NULL, for what never becomes too old, leaves the rest as it is.
_DUE = case((_FREE > _EXPIRES, _EXPIRES), else_=_FREE)
_STAYS = case((webhooks.c.due_at > _EXPIRES, _EXPIRES), else_=webhooks.c.due_at)


def _numbering(due_at: ColumnElement[Any]) -> ReturningUpdate[Any]:
    new = {"sequence": webhooks.c.sequence + 1, "due_at": due_at}
    return update(webhooks).where(_HERE).values(new).returning(webhooks.c.sequence, webhooks.c.due_at)


NUMBER = _numbering(case((webhooks.c.due_at < _DUE, webhooks.c.due_at), else_=_DUE))
"""The next number of an endpoint, which is due `now`, or when its pause is over, or when this `expires`."""

NUMBER_BEHIND = _numbering(case((webhooks.c.due_at.is_not(None), _STAYS), else_=_DUE))
"""The same for one that is told in order: behind what waits already there is nothing to do before that."""


def named(endpoint: WebhookRow) -> dict[str, Any]:
    """The parameters that name an endpoint."""
    return {"at_uid": endpoint.uid, "at_name": endpoint.name, "at_trigger": endpoint.trigger}


def named_by(row: DeliveryRow) -> dict[str, Any]:
    """Those that name a delivery's endpoint."""
    return {"at_uid": row.uid, "at_name": row.endpoint, "at_trigger": row.trigger}


class DeliveryStatements:
    """All of them, by the driver itself: chunks of audio are offered, and steps made, many times a second."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self.number = PreparedQuery(NUMBER, dialect)
        self.number_behind = PreparedQuery(NUMBER_BEHIND, dialect)
        new = upsert(dialect.name, deliveries).on_conflict_do_nothing().returning(deliveries.c.id)
        self.insert = PreparedQuery(new, dialect)
        """A row unless there is one; its id then."""
        self.claimable = PreparedQuery(CLAIMABLE, dialect)
        self.take = Prepared(TAKE, dialect)
        self.hold = PreparedQuery(HOLD, dialect)
        self.let_go = PreparedQuery(LET_GO, dialect)
        self.first = PreparedQuery(FIRST, dialect)
        self.soonest = PreparedQuery(SOONEST, dialect)
        self.oldest = PreparedQuery(OLDEST, dialect)
        self.next_due = PreparedQuery(NEXT_DUE, dialect)
        self._ended: dict[tuple[str, ...], PreparedQuery] = {}
        self._learned: dict[tuple[tuple[str, ...], tuple[str, ...]], PreparedQuery] = {}

    def ended(self, columns: tuple[str, ...]) -> PreparedQuery:
        """Set these `columns` (`to_…`) of the delivery `at_id` of `at_uid`, if it is pending; its id then."""
        found = self._ended.get(columns)
        if found is None:
            found = self._ended[columns] = PreparedQuery(_ended(columns), self._dialect)
        return found

    def learned(self, counters: tuple[str, ...], columns: tuple[str, ...]) -> PreparedQuery:
        """Add to `counters` (`plus_…`) of an endpoint and set `columns` (`to_…`).

        The latter, and all of it, only while its settings are those of `seen`. Its user's id if that is so.
        """
        key = counters, columns
        found = self._learned.get(key)
        if found is None:
            found = self._learned[key] = PreparedQuery(_learned(counters, columns), self._dialect)
        return found


statements_in = lru_cache(maxsize=8)(DeliveryStatements)
"""Those of a dialect."""


def _ended(columns: Sequence[str]) -> ReturningUpdate[Any]:
    one = and_(deliveries.c.uid == _UID, deliveries.c.id == bindparam("at_id"), deliveries.c.state == PENDING)
    new = {name: bindparam(f"to_{name}", type_=deliveries.c[name].type) for name in columns}
    return update(deliveries).where(one).values(new).returning(deliveries.c.id)


def _learned(counters: Sequence[str], columns: Sequence[str]) -> ReturningUpdate[Any]:
    added = {
        name: webhooks.c[name] + bindparam(f"plus_{name}", type_=webhooks.c[name].type) for name in counters
    }
    new = {name: bindparam(f"to_{name}", type_=webhooks.c[name].type) for name in columns}
    statement = update(webhooks).where(_HERE).values(added | new)
    if columns:
        statement = statement.where(webhooks.c.settings_at == bindparam("seen"))
    return statement.returning(webhooks.c.uid)
