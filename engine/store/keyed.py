"""Rows of several conversations at once."""

from collections.abc import Iterable

from engine.store.batch import Key

__all__ = ["Key", "by_uid"]


def by_uid(keys: Iterable[Key]) -> dict[str, list[str]]:
    """The ids of each owner."""
    owned: dict[str, list[str]] = {}
    for uid, id in keys:
        owned.setdefault(uid, []).append(id)
    return owned
