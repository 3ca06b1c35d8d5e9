"""/v1/folders: what the user sorts conversations into."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from engine.ids import new_id
from engine.moments import instant
from engine.store.user_records import FolderRow
from engine.web.answers import Done, locked, missing
from engine.web.api import Api, Identify
from engine.web.errors import ApiError
from engine.web.ports import Conversations
from engine.web.record_ports import Folders, Now

__all__ = ["FolderDocument", "folder_document", "folders"]

FOLDERS = 50
MOVED_AT_ONCE = 100
COLOR = "#6B7280"
ICON = "folder"

Name = Annotated[str, Meta(max_length=100, pattern=r"\S")]
Description = Annotated[str, Meta(max_length=500)]
Mark = Annotated[str, Meta(max_length=50)]
Id = Annotated[str, Meta(min_length=1, max_length=128)]


class FolderDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A folder as clients read it. `order` is its place among the others."""

    id: str
    name: str
    description: str | None
    color: str
    icon: str
    created_at: datetime
    updated_at: datetime
    order: int
    is_default: bool = False
    is_system: bool = False
    category_mapping: str | None = None
    conversation_count: int


class NewFolder(msgspec.Struct, frozen=True):
    """A folder to be made."""

    name: Name
    description: Description | None = None
    color: Mark | None = None
    icon: Mark | None = None


class FolderChanges(msgspec.Struct, frozen=True):
    """What changes of a folder; what is not given stays."""

    name: Name | UnsetType = UNSET
    description: Description | UnsetType | None = UNSET
    color: Mark | UnsetType | None = UNSET
    icon: Mark | UnsetType | None = UNSET
    order: Annotated[int, Meta(ge=0, le=10_000)] | UnsetType = UNSET


class Removal(msgspec.Struct, frozen=True):
    """Where a removed folder's conversations go: into no folder unless one is named."""

    move_to_folder_id: str | None = None


class FolderOrder(msgspec.Struct, frozen=True):
    """Folders, first to last."""

    folder_ids: Annotated[list[Id], Meta(min_length=1, max_length=FOLDERS)]


class Move(msgspec.Struct, frozen=True):
    """Where a conversation goes; null is no folder."""

    folder_id: Id | None = None


class BulkMove(msgspec.Struct, frozen=True):
    """Which conversations go there."""

    conversation_ids: Annotated[list[Id], Meta(max_length=MOVED_AT_ONCE)]


class Moved(msgspec.Struct, frozen=True):
    """How many went."""

    moved_count: int
    status: str = "ok"


def folders(table: Folders, conversations: Conversations, now: Now, identify: Identify) -> Api:
    """The routes."""
    api = Api("folders", identify, tag="Folders")
    _of_folders(api, table, now)
    _of_conversations(api, table, conversations)
    return api


def _of_folders(api: Api, table: Folders, now: Now) -> None:
    path = "/v1/folders"

    @api.get(path, "The user's folders, in their order", answer=list[FolderDocument])
    async def all_folders(uid: str) -> list[FolderDocument]:
        counts = await table.counts(uid)
        return [folder_document(row, counts.get(row.id, 0)) for row in await table.ordered(uid)]

    @api.post(path, "Make a folder", creates=True, body=NewFolder, answer=FolderDocument, errors=(409,))
    async def create(uid: str, body: NewFolder) -> FolderDocument:
        made = now()
        given = msgspec.structs.asdict(body) | {"name": body.name.strip()}
        row = FolderRow(uid=uid, id=new_id(), created_at=made, updated_at=made, **given)
        added = await table.add(row, FOLDERS)
        if added is None:
            raise ApiError(409, f"there are {FOLDERS} folders already, which is the most a user may have")
        return folder_document(added, 0)

    @api.post(f"{path}/reorder", "Put folders in another order", body=FolderOrder, answer=Done)
    async def reorder(uid: str, body: FolderOrder) -> Done:
        have = {row.id for row in await table.ordered(uid)}
        unknown = [id for id in body.folder_ids if id not in have]
        if unknown or len(set(body.folder_ids)) < len(body.folder_ids):
            raise ApiError(422, "folder_ids is not accepted: use ids of the user's folders, each once")
        await table.reorder(uid, {id: place for place, id in enumerate(body.folder_ids)})
        return Done()

    @api.get(f"{path}/<folder_id>", "One folder", answer=FolderDocument, errors=(404,))
    async def one(uid: str, folder_id: str) -> FolderDocument:
        row = await _existing(table, uid, folder_id)
        return folder_document(row, (await table.counts(uid)).get(row.id, 0))

    @api.patch(
        f"{path}/<folder_id>", "Change a folder", body=FolderChanges, answer=FolderDocument, errors=(404,)
    )
    async def change(uid: str, folder_id: str, body: FolderChanges) -> FolderDocument:
        given = {name: value for name, value in msgspec.structs.asdict(body).items() if value is not UNSET}
        if "order" in given:
            given["place"] = given.pop("order")
        row = await table.change(uid, folder_id, given | {"updated_at": now()})
        if row is None:
            raise missing("Folder")
        return folder_document(row, (await table.counts(uid)).get(row.id, 0))

    @api.delete(f"{path}/<folder_id>", "Remove a folder", query=Removal, status=204, errors=(404,))
    async def remove(uid: str, folder_id: str, query: Removal) -> None:
        target = query.move_to_folder_id or None
        if target == folder_id:
            raise ApiError(
                422, "move_to_folder_id is not accepted: use another folder than the one removed, or none"
            )
        if target is not None:
            await _existing(table, uid, target)
        if not await table.remove(uid, folder_id, target):
            raise missing("Folder")


def _of_conversations(api: Api, table: Folders, conversations: Conversations) -> None:
    async def check(uid: str, ids: Sequence[str]) -> None:
        for id in ids:
            row = await conversations.get(uid, id)
            if row is None:
                raise missing("Conversation")
            if row.is_locked:
                raise locked("conversation")

    @api.patch(
        "/v1/conversations/<conversation_id>/folder",
        "Put a conversation in a folder, or in none",
        body=Move,
        answer=Done,
        errors=(402, 404),
    )
    async def move(uid: str, conversation_id: str, body: Move) -> Done:
        await check(uid, [conversation_id])
        if body.folder_id is not None:
            await _existing(table, uid, body.folder_id)
        await table.move(uid, [conversation_id], body.folder_id)
        return Done()

    @api.post(
        "/v1/folders/<folder_id>/conversations/bulk-move",
        "Put several conversations in a folder",
        body=BulkMove,
        answer=Moved,
        errors=(402, 404),
    )
    async def bulk_move(uid: str, folder_id: str, body: BulkMove) -> Moved:
        await _existing(table, uid, folder_id)
        await check(uid, body.conversation_ids)
        return Moved(await table.move(uid, body.conversation_ids, folder_id))


async def _existing(table: Folders, uid: str, id: str) -> FolderRow:
    row = await table.get(uid, id)
    if row is None:
        raise missing("Folder")
    return row


def folder_document(row: FolderRow, count: int) -> FolderDocument:
    """The folder as clients read it; `count` conversations are in it."""
    return FolderDocument(
        id=row.id,
        name=row.name,
        description=row.description,
        color=row.color or COLOR,
        icon=row.icon or ICON,
        created_at=instant(row.created_at),
        updated_at=instant(row.updated_at),
        order=row.place,
        conversation_count=count,
    )
