"""Why a connection is not served, in the three forms it takes: exception, error event, close reason."""

from msgspec import UNSET

from engine.wire.codes import truncate_reason
from engine.wire.messages import ErrorEvent

ECHO_LIMIT = 100
"""Characters of a client's value that are repeated back to it."""


def printable(value: str) -> str:
    """`value` cut to `ECHO_LIMIT` characters, each one that would not print replaced by `?`."""
    return "".join(c if c.isprintable() else "?" for c in value[:ECHO_LIMIT])


class Refusal(Exception):
    """The connection is accepted, told this, and closed with `code`.

    `parameter`, `value` and `accepted` name what was wrong, with which value, and what would be right. The
    message is made from them (`circumstance` goes in the middle: "for codec opus") unless `message` is given.
    `retry_after` is in seconds.
    """

    def __init__(
        self,
        code: int,
        parameter: str | None = None,
        value: str | None = None,
        accepted: str | None = None,
        *,
        message: str | None = None,
        circumstance: str = "",
        retry_after: float | None = None,
    ) -> None:
        self.code = int(code)
        self.parameter = parameter
        self.value = None if value is None else printable(value)
        self.accepted = accepted
        self.retry_after = retry_after
        if message is None:
            where = f" {circumstance}" if circumstance else ""
            message = f"{parameter}={self.value} is not accepted{where}: use {accepted}"
        self.message = message
        super().__init__(message)

    def event(self) -> ErrorEvent:
        """The event sent before the close frame."""
        return ErrorEvent(
            code=self.code,
            message=self.message,
            parameter=self.parameter,
            value=self.value,
            accepted=self.accepted,
            retry_after=UNSET if self.retry_after is None else self.retry_after,
        )

    @property
    def reason(self) -> str:
        """The message as a close reason: at most 123 bytes of UTF-8, cut on a character."""
        return truncate_reason(self.message)
