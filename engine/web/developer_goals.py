"""/v1/dev/user/goals: goals, for programs with a key."""

from typing import Annotated

import msgspec
from msgspec import Meta

from engine.web.answers import Deleted, existing, missing
from engine.web.api import DEVELOPER, Api, Identify
from engine.web.errors import ApiError
from engine.web.goals import (
    GoalChanges,
    GoalDocument,
    changed_goal,
    common_goal_routes,
    goal_changes,
    goal_document,
)
from engine.web.record_ports import Goals, Now

__all__ = ["developer_goals"]


class DeveloperGoalPage(msgspec.Struct, frozen=True):
    """Which goals, newest first; with `include_inactive` also those that are active no more."""

    limit: Annotated[int, Meta(ge=1, le=100)] = 10
    offset: Annotated[int, Meta(ge=0)] = 0
    include_inactive: bool = False


def developer_goals(table: Goals, now: Now, identify: Identify) -> Api:
    """The routes."""
    path = "/v1/dev/user/goals"
    api = Api("developer_goals", identify, prefix=path, tag="Developer API", security=DEVELOPER)

    @api.get("", "Goals, newest first", query=DeveloperGoalPage, answer=list[GoalDocument])
    async def page(uid: str, query: DeveloperGoalPage) -> list[GoalDocument]:
        listing = table.list if query.include_inactive else table.active
        return [goal_document(row) for row in await listing(uid, limit=query.limit, offset=query.offset)]

    @api.get("/<goal_id>", "One goal", answer=GoalDocument, errors=(404,))
    async def one(uid: str, goal_id: str) -> GoalDocument:
        return goal_document(existing(await table.get(uid, goal_id), "Goal"))

    @api.patch("/<goal_id>", "Change a goal", body=GoalChanges, answer=GoalDocument, errors=(404,))
    async def change(uid: str, goal_id: str, body: GoalChanges) -> GoalDocument:
        changes = goal_changes(body)
        if not changes:
            fields = ", ".join(GoalChanges.__struct_fields__)
            raise ApiError(422, f"the body is not accepted: give some of {fields}")
        return await changed_goal(table, uid, goal_id, changes, now())

    @api.delete("/<goal_id>", "Delete a goal", answer=Deleted, errors=(404,))
    async def delete(uid: str, goal_id: str) -> Deleted:
        if not await table.remove(uid, goal_id):
            raise missing("Goal")
        return Deleted()

    common_goal_routes(api, table, now)
    return api
