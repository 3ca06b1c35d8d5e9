"""/v1/usage: what the user has used, hour by hour."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from engine.conversation.document import iso_time
from engine.moments import micros
from engine.store.records import UsageRow
from engine.web.api import Api, Identify
from engine.web.ports import Usage

__all__ = ["usage"]

YEAR = 366 * 24
"""Hours."""


class UsageQuery(msgspec.Struct, frozen=True):
    """Bounds of the beginning of an hour: start ≤ hour < end."""

    start: datetime | None = None
    end: datetime | None = None
    limit: Annotated[int, Meta(ge=1, le=YEAR)] = YEAR
    offset: Annotated[int, Meta(ge=0)] = 0


class UsageHour(msgspec.Struct, frozen=True, kw_only=True):
    """What was used in the hour that begins at `hour`. Seconds are seconds of audio."""

    hour: str
    audio_seconds: float
    speech_seconds: float
    words: int
    segments: int
    conversations: int
    sessions: int
    vendor_seconds: dict[str, float]


class UsageHours(msgspec.Struct, frozen=True):
    """Hours in which something was used, oldest first."""

    hours: list[UsageHour]


def usage(table: Usage, identify: Identify) -> Api:
    """The route."""
    api = Api("usage", identify, tag="Usage")

    @api.get(
        "/v1/usage", "What the user has used, hour by hour, oldest first", query=UsageQuery, answer=UsageHours
    )
    async def read(uid: str, query: UsageQuery) -> UsageHours:
        start, end = (None if at is None else micros(at) for at in (query.start, query.end))
        rows = await table.read(uid, start, end, limit=query.limit, offset=query.offset)
        return UsageHours([_hour(row) for row in rows])

    return api


def _hour(row: UsageRow) -> UsageHour:
    fields = msgspec.structs.asdict(row)
    del fields["uid"]
    return UsageHour(**fields | {"hour": iso_time(row.hour)})
