"""Rows of several conversations at once."""

from collections.abc import Iterable

from sqlalchemy import ColumnElement, and_, false, or_

from engine.store.batch import Key

__all__ = ["Key", "one_of"]


def one_of(uid: ColumnElement[str], id: ColumnElement[str], keys: Iterable[Key]) -> ColumnElement[bool]:
    """Whether (`uid`, `id`) is one of `keys`. Not a list of pairs: SQLite would scan the table."""
    by_uid: dict[str, list[str]] = {}
    for owner, own in keys:
        by_uid.setdefault(owner, []).append(own)
    return or_(false(), *(and_(uid == owner, id.in_(own)) for owner, own in by_uid.items()))
