"""/v1/goals: what the user wants to reach, and how far they are."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from engine.ids import new_id
from engine.moments import instant
from engine.store.goals import DAY, GoalDay
from engine.store.user_records import GoalRow
from engine.web.answers import existing, missing
from engine.web.api import Api, Identify
from engine.web.errors import ApiError
from engine.web.record_ports import Goals, Now

__all__ = [
    "GoalChanges",
    "GoalDocument",
    "changed_goal",
    "common_goal_routes",
    "goal_changes",
    "goal_document",
    "goals",
]

Title = Annotated[str, Meta(max_length=500, pattern=r"\S")]
Unit = Annotated[str, Meta(max_length=64)]
Number = Annotated[float, Meta(ge=-1e15, le=1e15)]


class GoalDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A goal as clients read it."""

    id: str
    title: str
    goal_type: str
    target_value: float
    current_value: float
    min_value: float
    max_value: float
    unit: str | None
    is_active: bool
    created_at: datetime
    updated_at: datetime
    advice: str | None = None


class NewGoal(msgspec.Struct, frozen=True):
    """A goal to be made."""

    title: Title
    target_value: Number
    goal_type: Literal["boolean", "scale", "numeric"] = "scale"
    current_value: Number = 0.0
    min_value: Number = 0.0
    max_value: Number = 10.0
    unit: Unit | None = None


class GoalChanges(msgspec.Struct, frozen=True):
    """What changes of a goal; what is not given stays."""

    title: Title | UnsetType = UNSET
    target_value: Number | UnsetType = UNSET
    current_value: Number | UnsetType = UNSET
    min_value: Number | UnsetType = UNSET
    max_value: Number | UnsetType = UNSET
    unit: Unit | UnsetType | None = UNSET


class GoalPage(msgspec.Struct, frozen=True):
    """Which goals, newest first."""

    limit: Annotated[int, Meta(ge=1, le=100)] = 100
    offset: Annotated[int, Meta(ge=0)] = 0


class Progress(msgspec.Struct, frozen=True):
    """How far the user is."""

    current_value: Number


class HistoryDays(msgspec.Struct, frozen=True):
    """Of how many days, today among them."""

    days: Annotated[int, Meta(ge=1, le=365)] = 30


class GoalDayDocument(msgspec.Struct, frozen=True):
    """A goal's last value of a day (UTC)."""

    date: str
    value: float
    recorded_at: datetime


class GoalDeleted(msgspec.Struct, frozen=True):
    """It was deleted."""

    deleted_id: str
    success: bool = True


def goals(table: Goals, now: Now, identify: Identify) -> Api:
    """The routes."""
    api = Api("goals", identify, prefix="/v1/goals", tag="Goals")

    @api.get("", "The user's newest active goal, if any", answer=GoalDocument | None)
    async def current(uid: str) -> GoalDocument | None:
        rows = await table.active(uid, limit=1)
        return goal_document(rows[0]) if rows else None

    @api.get("/all", "The user's active goals", query=GoalPage, answer=list[GoalDocument])
    async def page(uid: str, query: GoalPage) -> list[GoalDocument]:
        rows = await table.active(uid, limit=query.limit, offset=query.offset)
        return [goal_document(row) for row in rows]

    @api.patch("/<goal_id>", "Change a goal", body=GoalChanges, answer=GoalDocument, errors=(404,))
    async def change(uid: str, goal_id: str, body: GoalChanges) -> GoalDocument:
        return await changed_goal(table, uid, goal_id, goal_changes(body), now())

    @api.delete("/<goal_id>", "Delete a goal", answer=GoalDeleted, errors=(404,))
    async def delete(uid: str, goal_id: str) -> GoalDeleted:
        if not await table.remove(uid, goal_id):
            raise missing("Goal")
        return GoalDeleted(goal_id)

    common_goal_routes(api, table, now)
    return api


def common_goal_routes(api: Api, table: Goals, now: Now) -> None:
    """Those that users and programs with a key have alike: making a goal, its progress and its history."""

    @api.post(
        "",
        "Make a goal; of more than three the oldest are not active any more",
        creates=True,
        body=NewGoal,
        answer=GoalDocument,
    )
    async def create(uid: str, body: NewGoal) -> GoalDocument:
        row = _new_goal(uid, body, now())
        await table.add(row)
        return goal_document(row)

    @api.patch(
        "/<goal_id>/progress",
        "Say how far the user is",
        query=Progress,
        answer=GoalDocument,
        errors=(404,),
    )
    async def progress(uid: str, goal_id: str, query: Progress) -> GoalDocument:
        return await changed_goal(table, uid, goal_id, {"current_value": query.current_value}, now())

    @api.get(
        "/<goal_id>/history",
        "A goal's values day by day, latest first",
        query=HistoryDays,
        answer=list[GoalDayDocument],
        errors=(404,),
    )
    async def history(uid: str, goal_id: str, query: HistoryDays) -> list[GoalDayDocument]:
        existing(await table.get(uid, goal_id), "Goal")
        return _goal_days(await table.history(uid, goal_id, now() - (query.days - 1) * DAY))


async def changed_goal(
    table: Goals, uid: str, goal_id: str, changes: Mapping[str, Any], at: int
) -> GoalDocument:
    """The goal with these columns changed; a new value is noted as that of today. Raises `ApiError` 404."""
    values = {**changes, "updated_at": at}
    if "current_value" in changes:
        return goal_document(existing(await table.progress(uid, goal_id, values, at), "Goal"))
    return goal_document(existing(await table.change(uid, goal_id, values), "Goal"))


def _new_goal(uid: str, given: NewGoal, now: int) -> GoalRow:
    """The row of a goal to be made. Raises `ApiError` 422 when its least value is above its greatest."""
    if given.min_value > given.max_value:
        raise ApiError(
            422, f"min_value={given.min_value:g} is not accepted: use at most max_value ({given.max_value:g})"
        )
    fields = msgspec.structs.asdict(given) | {"title": given.title.strip()}
    return GoalRow(
        uid=uid, id=f"goal_{new_id().replace('-', '')[:12]}", created_at=now, updated_at=now, **fields
    )


def goal_changes(given: GoalChanges) -> dict[str, Any]:
    """The columns that change."""
    return {name: value for name, value in msgspec.structs.asdict(given).items() if value is not UNSET}


def goal_document(row: GoalRow) -> GoalDocument:
    """The goal as clients read it."""
    fields = msgspec.structs.asdict(row)
    del fields["uid"]
    times = {"created_at": instant(row.created_at), "updated_at": instant(row.updated_at)}
    return GoalDocument(**fields | times)


def _goal_days(days: Sequence[GoalDay]) -> list[GoalDayDocument]:
    """A goal's history as clients read it."""
    return [
        GoalDayDocument(instant(day.day * DAY).date().isoformat(), day.value, instant(day.recorded_at))
        for day in days
    ]
