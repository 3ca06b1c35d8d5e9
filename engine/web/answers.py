"""What routes of several groups answer alike."""

from typing import Protocol, TypeVar

import msgspec

from engine.web.errors import ApiError

__all__ = ["Deleted", "Done", "existing", "locked", "missing", "teaser", "unlocked"]

T = TypeVar("T")

TEASER_CHARACTERS = 70


class Done(msgspec.Struct, frozen=True):
    """It was done."""

    status: str = "ok"


class Deleted(msgspec.Struct, frozen=True):
    """It was deleted."""

    success: bool = True


class _Lockable(Protocol):
    @property
    def is_locked(self) -> bool: ...


L = TypeVar("L", bound=_Lockable)


def missing(what: str) -> ApiError:
    """404: there is no such thing of this user."""
    return ApiError(404, f"{what} not found")


def locked(what: str) -> ApiError:
    """402: it is there, but its owner used more than the quota allows."""
    return ApiError(402, f"this {what} is locked: more was used than the quota allows")


def existing(row: T | None, what: str) -> T:
    """The row that was looked for. Raises `ApiError` 404 when there is none."""
    if row is None:
        raise missing(what)
    return row


def unlocked(row: L | None, what: str) -> L:
    """As `existing`; also raises `ApiError` 402 when it is locked."""
    found = existing(row, what)
    if found.is_locked:
        raise locked(what.lower())
    return found


def teaser(text: str) -> str:
    """What a list shows of a locked text."""
    return text if len(text) <= TEASER_CHARACTERS else text[:TEASER_CHARACTERS] + "..."
