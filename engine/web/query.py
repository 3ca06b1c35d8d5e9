"""Reading a REST request's query. A mistake is a 422 naming the parameter, its value and what is accepted."""

import re
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import NoReturn

from werkzeug.datastructures import MultiDict

from engine.web.errors import ApiError
from engine.wire.refusal import printable

__all__ = ["Query"]

_INTEGER = re.compile(r"-?[0-9]{1,12}")
_BOOLEANS = dict.fromkeys(("true", "1", "yes", "on"), True) | dict.fromkeys(
    ("false", "0", "no", "off"), False
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Query:
    """The parameters of one request. Those nobody asks for are ignored."""

    def __init__(self, args: MultiDict[str, str]) -> None:
        self._args = args

    def integer(self, name: str, default: int, low: int, high: int | None = None) -> int:
        """A whole number of at least `low` and at most `high`."""
        text = self._args.get(name)
        if text is None:
            return default
        value = int(text) if _INTEGER.fullmatch(text) else None
        if value is None or value < low or (high is not None and value > high):
            _refuse(name, text, f"{low} or more" if high is None else f"{low} to {high}")
        return value

    def boolean(self, name: str, default: bool) -> bool:
        """`true` or `false`, and what else is usual."""
        text = self._args.get(name)
        if text is None:
            return default
        value = _BOOLEANS.get(text.lower())
        if value is None:
            _refuse(name, text, "true or false")
        return value

    def moment(self, name: str) -> int | None:
        """An ISO 8601 date or date and time as microseconds since the epoch; UTC unless it says otherwise."""
        text = self._args.get(name)
        if not text:
            return None
        try:
            value = datetime.fromisoformat(text)
        except ValueError:
            _refuse(name, text, "an ISO 8601 time such as 2026-11-21T20:18:00Z (with + written as %2B)")
        aware = value if value.tzinfo else value.replace(tzinfo=UTC)
        return (aware - _EPOCH) // timedelta(microseconds=1)

    def choices(self, name: str, default: tuple[str, ...], accepted: Collection[str]) -> tuple[str, ...]:
        """Values separated by commas; none at all when the parameter is empty."""
        text = self._args.get(name)
        if text is None:
            return default
        values = tuple(value.strip() for value in text.split(",") if value.strip())
        for value in values:
            if value not in accepted:
                _refuse(name, value, f"some of {', '.join(accepted)}, separated by commas")
        return values


def _refuse(name: str, value: str, accepted: str) -> NoReturn:
    raise ApiError(422, f"{name}={printable(value)} is not accepted: use {accepted}")
