"""/v1/dev/user/action-items: action items, for programs with a key."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from engine.moments import micros
from engine.store.action_items import ItemFilter
from engine.web.action_items import (
    ItemChanges,
    ItemDocument,
    MadeItems,
    NewItem,
    changes_of,
    item_document,
    new_item,
)
from engine.web.answers import Deleted, existing, unlocked
from engine.web.api import DEVELOPER, Api, Identify
from engine.web.errors import ApiError
from engine.web.record_ports import ActionItems, Now

__all__ = ["developer_action_items"]

Description = Annotated[str, Meta(max_length=500, pattern=r"\S")]


class DeveloperItemPage(msgspec.Struct, frozen=True):
    """Which action items; both bounds are inclusive."""

    limit: Annotated[int, Meta(ge=1, le=500)] = 100
    offset: Annotated[int, Meta(ge=0)] = 0
    completed: bool | None = None
    conversation_id: str | None = None
    start_date: datetime | None = None
    end_date: datetime | None = None


class DeveloperItem(msgspec.Struct, frozen=True):
    """An action item to be kept."""

    description: Description
    completed: bool = False
    due_at: datetime | None = None


class DeveloperItems(msgspec.Struct, frozen=True):
    """Several action items to be kept."""

    action_items: Annotated[list[DeveloperItem], Meta(max_length=50)]


class DeveloperItemChanges(msgspec.Struct, frozen=True):
    """What changes of an action item, something at least; what is not given stays. `due_at` null: never due."""

    description: Description | None = None
    completed: bool | None = None
    due_at: datetime | UnsetType | None = UNSET


def developer_action_items(table: ActionItems, now: Now, identify: Identify) -> Api:
    """The routes."""
    path = "/v1/dev/user/action-items"
    api = Api("developer_action_items", identify, prefix=path, tag="Developer API", security=DEVELOPER)

    @api.get("", "Action items, newest first", query=DeveloperItemPage, answer=list[ItemDocument])
    async def page(uid: str, query: DeveloperItemPage) -> list[ItemDocument]:
        rows = await table.find(uid, _filter(query), limit=query.limit, offset=query.offset)
        return [item_document(row) for row in rows]

    @api.post("", "Keep an action item", creates=True, body=DeveloperItem, answer=ItemDocument)
    async def create(uid: str, body: DeveloperItem) -> ItemDocument:
        row = new_item(uid, _new(body), now())
        await table.put(row)
        return item_document(row)

    @api.post("/batch", "Keep several action items", creates=True, body=DeveloperItems, answer=MadeItems)
    async def create_batch(uid: str, body: DeveloperItems) -> MadeItems:
        rows = [new_item(uid, _new(one), now()) for one in body.action_items]
        await table.put(*rows)
        return MadeItems([item_document(row) for row in rows], len(rows))

    @api.patch(
        "/<item_id>",
        "Change an action item",
        body=DeveloperItemChanges,
        answer=ItemDocument,
        errors=(402, 404),
    )
    async def change(uid: str, item_id: str, body: DeveloperItemChanges) -> ItemDocument:
        changes = changes_of(ItemChanges(body.description, body.completed, body.due_at), now())
        if changes.keys() == {"updated_at"}:
            raise ApiError(422, "the body is not accepted: give description, completed or due_at")
        unlocked(await table.get(uid, item_id), "Action item")
        return item_document(existing(await table.change(uid, item_id, changes), "Action item"))

    @api.delete("/<item_id>", "Delete an action item", answer=Deleted, errors=(402, 404))
    async def delete(uid: str, item_id: str) -> Deleted:
        unlocked(await table.get(uid, item_id), "Action item")
        await table.delete(uid, item_id)
        return Deleted()

    return api


def _new(given: DeveloperItem) -> NewItem:
    return NewItem(given.description, given.completed, given.due_at)


def _filter(query: DeveloperItemPage) -> ItemFilter:
    start, end = (None if at is None else micros(at) for at in (query.start_date, query.end_date))
    return ItemFilter(
        completed=query.completed, conversation_id=query.conversation_id or None, start=start, end=end
    )
