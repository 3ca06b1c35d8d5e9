"""Logging: one JSON object a line off a terminal, readable lines on one; to standard error.

Everyone takes a logger with `get_logger(__name__)` and logs an event name with key-value pairs. It goes
through the standard `logging`, so the lines of libraries look the same, and an embedder who never calls
`configure_logging` keeps his own set-up. Inside `session_context` every line carries the session's id.

No transcript text, audio or token is logged: tracebacks come without local variables, values under the names
in `WITHHELD` are replaced, and API keys are cut out of finished lines. Who logs is not held up by who reads: see
`engine.log_lines`.
"""

import logging
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, Literal, cast

import structlog
from structlog.typing import EventDict, Processor

from engine.log_lines import LineHandler

__all__ = ["configure_logging", "get_logger", "session_context"]

Format = Literal["auto", "json", "console"]

WITHHELD = frozenset(
    ("audio", "authorization", "password", "segments", "text", "token", "transcript", "words")
)
"""Keys whose values are never written."""

_API_KEY = re.compile(r"omi_dev_[A-Za-z0-9_-]+")


def _withhold(_logger: object, _method: str, event: EventDict) -> EventDict:
    for key in WITHHELD & event.keys():
        event[key] = "[withheld]"
    return event


# What is done to a line before it reaches `logging`, and to the lines of libraries in the handler.
_SHARED: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
    _withhold,
]
_CHAIN: list[Processor] = [
    structlog.stdlib.filter_by_level,
    *_SHARED,
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
]


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A structured logger on top of `logging.getLogger(name)`."""
    logger = structlog.wrap_logger(
        logging.getLogger(name),
        processors=_CHAIN,
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    return cast(structlog.stdlib.BoundLogger, logger)


class _Formatter(structlog.stdlib.ProcessorFormatter):
    def format(self, record: logging.LogRecord) -> str:
        return _API_KEY.sub("omi_dev_[withheld]", super().format(record))


def configure_logging(format: Format, level: str, stream: IO[str] | None = None) -> None:
    """Send everything that is logged at `level` or above to `stream` (standard error).

    `auto` is console on a terminal and json elsewhere. Replaces what an earlier call set up.
    """
    stream = sys.stderr if stream is None else stream
    console = format == "console" or (format == "auto" and stream.isatty())
    handler = LineHandler(stream)
    handler.setFormatter(
        _Formatter(
            foreign_pre_chain=_SHARED,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *(_console(stream) if console else _json()),
            ],
        )
    )
    root = logging.getLogger()
    for old in [h for h in root.handlers if isinstance(h.formatter, _Formatter)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    # Alembic says at info what it is about to do with each migration, Quart nothing of use.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    structlog.configure(
        processors=_CHAIN,
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _console(stream: IO[str]) -> list[Processor]:
    return [
        structlog.dev.ConsoleRenderer(
            colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    ]


def _json() -> list[Processor]:
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=_plain)]


def _plain(value: Any) -> str:
    return str(value)


@contextmanager
def session_context(session_id: str) -> Iterator[None]:
    """Every line logged inside, and in tasks started inside, carries `session`."""
    with structlog.contextvars.bound_contextvars(session=session_id):
        yield
