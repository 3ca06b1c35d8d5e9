"""/v1/action-items: what the user, or somebody they talked to, is to do."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from engine.ids import new_id
from engine.moments import instant, micros
from engine.store.action_items import ItemFilter
from engine.store.user_records import ActionItemRow
from engine.web.answers import existing, teaser, unlocked
from engine.web.api import Api, Identify
from engine.web.ports import Conversations
from engine.web.record_ports import ActionItems, Now

__all__ = [
    "ItemChanges",
    "ItemDocument",
    "MadeItems",
    "NewItem",
    "action_items",
    "changes_of",
    "item_document",
    "new_item",
]

BATCH_LIMIT = 100

Description = Annotated[str, Meta(max_length=2000, pattern=r"\S")]
Id = Annotated[str, Meta(min_length=1, max_length=128)]


class ItemDocument(msgspec.Struct, frozen=True, kw_only=True):
    """An action item as clients read it."""

    id: str
    description: str
    completed: bool
    created_at: datetime
    updated_at: datetime
    due_at: datetime | None
    completed_at: datetime | None
    conversation_id: str | None
    is_locked: bool
    exported: bool
    export_date: datetime | None
    export_platform: str | None


class NewItem(msgspec.Struct, frozen=True):
    """An action item written by hand."""

    description: Description
    completed: bool = False
    due_at: datetime | None = None
    conversation_id: Id | None = None


class ItemChanges(msgspec.Struct, frozen=True):
    """What changes of an action item; what is not given stays. A `due_at` of null means that it is never due."""

    description: Description | None = None
    completed: bool | None = None
    due_at: datetime | UnsetType | None = UNSET
    exported: bool | None = None
    export_date: datetime | None = None
    export_platform: Annotated[str, Meta(max_length=100)] | None = None


class ItemPage(msgspec.Struct, frozen=True):
    """Which action items; all bounds are inclusive."""

    limit: Annotated[int, Meta(ge=1, le=500)] = 50
    offset: Annotated[int, Meta(ge=0)] = 0
    completed: bool | None = None
    conversation_id: str | None = None
    start_date: datetime | None = None
    end_date: datetime | None = None
    due_start_date: datetime | None = None
    due_end_date: datetime | None = None


class Items(msgspec.Struct, frozen=True):
    """A page of action items, newest first."""

    action_items: list[ItemDocument]
    has_more: bool


class ConversationItems(msgspec.Struct, frozen=True):
    """The action items of a conversation, in order."""

    action_items: list[ItemDocument]
    conversation_id: str


class MadeItems(msgspec.Struct, frozen=True):
    """Those that were made."""

    action_items: list[ItemDocument]
    created_count: int


class Completed(msgspec.Struct, frozen=True):
    """Whether it is done."""

    completed: bool


def action_items(table: ActionItems, conversations: Conversations, now: Now, identify: Identify) -> Api:
    """The routes."""
    api = Api("action_items", identify, tag="Action items")
    path = "/v1/action-items"

    @api.post(path, "Write an action item by hand", creates=True, body=NewItem, answer=ItemDocument)
    async def create(uid: str, body: NewItem) -> ItemDocument:
        row = new_item(uid, body, now())
        await table.put(row)
        return item_document(row)

    @api.post(
        f"{path}/batch",
        "Write several action items by hand",
        creates=True,
        body=Annotated[list[NewItem], Meta(max_length=BATCH_LIMIT)],
        answer=MadeItems,
    )
    async def create_batch(uid: str, body: list[NewItem]) -> MadeItems:
        rows = [new_item(uid, one, now()) for one in body]
        await table.put(*rows)
        return MadeItems([item_document(row) for row in rows], len(rows))

    @api.get(path, "The user's action items, newest first", query=ItemPage, answer=Items)
    async def page(uid: str, query: ItemPage) -> Items:
        rows = await table.find(uid, _filter(query), limit=query.limit + 1, offset=query.offset)
        return Items([item_document(row) for row in rows[: query.limit]], len(rows) > query.limit)

    @api.get(f"{path}/<item_id>", "One action item", answer=ItemDocument, errors=(402, 404))
    async def one(uid: str, item_id: str) -> ItemDocument:
        return item_document(unlocked(await table.get(uid, item_id), "Action item"))

    @api.patch(
        f"{path}/<item_id>",
        "Change an action item",
        body=ItemChanges,
        answer=ItemDocument,
        errors=(402, 404),
    )
    async def change(uid: str, item_id: str, body: ItemChanges) -> ItemDocument:
        unlocked(await table.get(uid, item_id), "Action item")
        return _changed(await table.change(uid, item_id, changes_of(body, now())))

    @api.patch(
        f"{path}/<item_id>/completed",
        "Say whether an action item is done",
        query=Completed,
        answer=ItemDocument,
        errors=(402, 404),
    )
    async def complete(uid: str, item_id: str, query: Completed) -> ItemDocument:
        unlocked(await table.get(uid, item_id), "Action item")
        changes = changes_of(ItemChanges(completed=query.completed), now())
        return _changed(await table.change(uid, item_id, changes))

    @api.delete(f"{path}/<item_id>", "Delete an action item", status=204, errors=(402, 404))
    async def delete(uid: str, item_id: str) -> None:
        unlocked(await table.get(uid, item_id), "Action item")
        await table.delete(uid, item_id)

    _of_conversations(api, table, conversations)
    return api


def _of_conversations(api: Api, table: ActionItems, conversations: Conversations) -> None:
    path = "/v1/conversations/<conversation_id>/action-items"

    async def check(uid: str, id: str) -> None:
        unlocked(await conversations.get(uid, id), "Conversation")

    @api.get(path, "The action items of a conversation", answer=ConversationItems, errors=(402, 404))
    async def of_conversation(uid: str, conversation_id: str) -> ConversationItems:
        await check(uid, conversation_id)
        rows = await table.of_conversation(uid, conversation_id)
        return ConversationItems([item_document(row) for row in rows], conversation_id)


def new_item(uid: str, given: NewItem, now: int) -> ActionItemRow:
    """The row of an action item written by hand."""
    return ActionItemRow(
        uid=uid,
        id=new_id(),
        conversation_id=given.conversation_id,
        description=given.description.strip(),
        completed=given.completed,
        created_at=now,
        updated_at=now,
        due_at=None if given.due_at is None else micros(given.due_at),
        completed_at=now if given.completed else None,
        is_user=True,
        by_owner=True,
    )


def changes_of(given: ItemChanges, now: int) -> dict[str, Any]:
    """The columns that change."""
    changes: dict[str, Any] = {"updated_at": now}
    for name in ("description", "completed", "exported", "export_platform"):
        if (value := getattr(given, name)) is not None:
            changes[name] = value
    if given.export_date is not None:
        changes["export_date"] = micros(given.export_date)
    if given.due_at is not UNSET:
        changes["due_at"] = None if given.due_at is None else micros(given.due_at)
    if given.completed is not None:
        changes["completed_at"] = now if given.completed else None
    return changes


def item_document(row: ActionItemRow) -> ItemDocument:
    """The action item as clients read it; of a locked one only its beginning."""
    return ItemDocument(
        id=row.id,
        description=teaser(row.description) if row.is_locked else row.description,
        completed=row.completed,
        created_at=instant(row.created_at),
        updated_at=instant(row.updated_at),
        due_at=_instant(row.due_at),
        completed_at=_instant(row.completed_at),
        conversation_id=row.conversation_id,
        is_locked=row.is_locked,
        exported=row.exported,
        export_date=_instant(row.export_date),
        export_platform=row.export_platform,
    )


def _instant(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else instant(microseconds)


def _filter(query: ItemPage) -> ItemFilter:
    def bound(moment: datetime | None) -> int | None:
        return None if moment is None else micros(moment)

    return ItemFilter(
        completed=query.completed,
        conversation_id=query.conversation_id or None,
        start=bound(query.start_date),
        end=bound(query.end_date),
        due_start=bound(query.due_start_date),
        due_end=bound(query.due_end_date),
    )


def _changed(row: ActionItemRow | None) -> ItemDocument:
    return item_document(existing(row, "Action item"))
