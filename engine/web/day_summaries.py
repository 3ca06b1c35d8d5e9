"""/v1/users/daily-summaries and /v1/users/daily-summary-settings: what users' days were like."""

from datetime import date
from typing import Annotated

import msgspec
from msgspec import Meta

from engine.conversation.day_summary import DaySummary, day_at
from engine.conversation.zones import zone_of
from engine.off_loop import OffLoop
from engine.store.user_records import DaySummaryRow
from engine.web.answers import Done, existing, missing
from engine.web.api import Api, Identify
from engine.web.errors import ApiError
from engine.web.ports import Days
from engine.web.record_ports import DaySummaries, Now, Users

__all__ = ["day_summaries"]

FIRST_DAY = date(1970, 1, 1)


class SummarySettings(msgspec.Struct, frozen=True):
    """Whether each day is summarised, and at which hour of the user's time zone."""

    enabled: bool
    hour: int


class SummarySettingsChanges(msgspec.Struct, frozen=True):
    """What changes; what is not given stays. The time zone is set by PATCH /v1/users/profile."""

    enabled: bool | None = None
    hour: Annotated[int, Meta(ge=0, le=23)] | None = None


class DayChosen(msgspec.Struct, frozen=True):
    """The day to be summarised, in the user's time zone (2026-11-21); today unless given."""

    day: date | None = msgspec.field(default=None, name="date")


class DaySummarised(msgspec.Struct, frozen=True):
    """It was summarised; the summary is in the place of one there was of that day."""

    message: str
    summary_id: str
    conversations_count: int
    status: str = "ok"


class SummaryPage(msgspec.Struct, frozen=True):
    """Which summaries, the latest day first."""

    limit: Annotated[int, Meta(ge=1, le=100)] = 30
    offset: Annotated[int, Meta(ge=0)] = 0


class DaySummaryList(msgspec.Struct, frozen=True):
    """A page of summaries."""

    summaries: list[DaySummary]


def day_summaries(
    table: DaySummaries, days: Days, users: Users, off_loop: OffLoop, now: Now, identify: Identify
) -> Api:
    """The routes."""
    api = Api("day_summaries", identify, prefix="/v1/users", tag="Day summaries")
    _settings(api, users)
    _kept(api, table)

    @api.post(
        "/daily-summary-settings/test",
        "Summarise a day now; webhooks are not told",
        body=DayChosen,
        answer=DaySummarised,
        errors=(400,),
    )
    async def summarise(uid: str, body: DayChosen) -> DaySummarised:
        zone = (await users.get(uid)).time_zone
        today = day_at(now(), await off_loop(zone_of, zone))
        day = body.day or today
        if not FIRST_DAY <= day <= today:
            raise ApiError(422, f"date={day} is not accepted: use {FIRST_DAY} to {today}, today in {zone}")
        row = await days.summarise(uid, day)
        if row is None:
            raise ApiError(400, f"No conversations found for {day}")
        count = _document(row).stats.total_conversations
        return DaySummarised(f"Daily summary generated for {day}", row.id, count)

    return api


def _settings(api: Api, users: Users) -> None:
    path = "/daily-summary-settings"

    @api.get(path, "Whether and when days are summarised", answer=SummarySettings)
    async def settings(uid: str) -> SummarySettings:
        row = await users.get(uid)
        return SummarySettings(row.daily_summary_enabled, row.daily_summary_hour)

    @api.patch(path, "Set whether and when days are summarised", body=SummarySettingsChanges, answer=Done)
    async def change_settings(uid: str, body: SummarySettingsChanges) -> Done:
        values: dict[str, object] = {}
        if body.enabled is not None:
            values["daily_summary_enabled"] = body.enabled
        if body.hour is not None:
            values["daily_summary_hour"] = body.hour
        await users.change(uid, values)
        return Done()


def _kept(api: Api, table: DaySummaries) -> None:
    @api.get(
        "/daily-summaries", "The user's days, the latest first", query=SummaryPage, answer=DaySummaryList
    )
    async def page(uid: str, query: SummaryPage) -> DaySummaryList:
        rows = await table.dated(uid, limit=query.limit, offset=query.offset)
        return DaySummaryList([_document(row) for row in rows])

    @api.get("/daily-summaries/<summary_id>", "One day", answer=DaySummary, errors=(404,))
    async def one(uid: str, summary_id: str) -> DaySummary:
        return _document(existing(await table.get(uid, summary_id), "Daily summary"))

    @api.delete("/daily-summaries/<summary_id>", "Forget a day's summary", answer=Done, errors=(404,))
    async def forget(uid: str, summary_id: str) -> Done:
        if not await table.delete(uid, summary_id):
            raise missing("Daily summary")
        return Done()


def _document(row: DaySummaryRow) -> DaySummary:
    return msgspec.convert(row.summary, DaySummary)
