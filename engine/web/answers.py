"""What routes of several groups answer alike."""

import msgspec

from engine.web.errors import ApiError

__all__ = ["Deleted", "Done", "locked", "missing", "teaser"]

TEASER_CHARACTERS = 70


class Done(msgspec.Struct, frozen=True):
    """It was done."""

    status: str = "ok"


class Deleted(msgspec.Struct, frozen=True):
    """It was deleted."""

    success: bool = True


def missing(what: str) -> ApiError:
    """404: there is no such thing of this user."""
    return ApiError(404, f"{what} not found")


def locked(what: str) -> ApiError:
    """402: it is there, but its owner used more than the quota allows."""
    return ApiError(402, f"this {what} is locked: more was used than the quota allows")


def teaser(text: str) -> str:
    """What a list shows of a locked text."""
    return text if len(text) <= TEASER_CHARACTERS else text[:TEASER_CHARACTERS] + "..."
