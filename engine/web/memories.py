"""/v3/memories: what is known about the user."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from engine.ids import new_id
from engine.moments import instant
from engine.store.owned import PAGE_LIMIT
from engine.store.user_records import MemoryRow
from engine.web.answers import Done, existing, teaser, unlocked
from engine.web.api import Api, Identify
from engine.web.record_ports import Memories, Now

__all__ = [
    "MadeMemories",
    "MemoryDocument",
    "NewMemory",
    "Tag",
    "Visibility",
    "memories",
    "memory_document",
    "new_memory",
]

BATCH_LIMIT = 100
TAGS = 50

Content = Annotated[str, Meta(max_length=5000, pattern=r"\S")]
Tag = Annotated[str, Meta(min_length=1, max_length=100)]
Visibility = Literal["public", "private"]


class MemoryDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A memory as clients read it. `memory_id` is an older name of `conversation_id`."""

    id: str
    uid: str
    content: str
    category: str
    visibility: str
    tags: list[str]
    created_at: datetime
    updated_at: datetime
    conversation_id: str | None
    memory_id: str | None
    reviewed: bool
    user_review: bool | None
    manually_added: bool
    edited: bool
    scoring: str | None
    is_locked: bool
    app_id: str | None


class NewMemory(msgspec.Struct, frozen=True):
    """A memory written by hand. Whatever else clients send along is not looked at."""

    content: Content
    visibility: Visibility = "private"
    tags: Annotated[list[Tag], Meta(max_length=TAGS)] = []


class NewMemories(msgspec.Struct, frozen=True):
    """Several memories."""

    memories: Annotated[list[NewMemory], Meta(max_length=BATCH_LIMIT)]


class MadeMemories(msgspec.Struct, frozen=True):
    """Those that were made."""

    memories: list[MemoryDocument]
    created_count: int


class MemoryPage(msgspec.Struct, frozen=True):
    """Which memories. The first page has up to 5000 whatever `limit` says, for clients that ask for no second."""

    limit: Annotated[int, Meta(ge=1, le=PAGE_LIMIT)] = 100
    offset: Annotated[int, Meta(ge=0)] = 0


class NewContent(msgspec.Struct, frozen=True):
    """What the memory is to say."""

    value: Content


class NewVisibility(msgspec.Struct, frozen=True):
    """Who may read the memory."""

    value: Visibility


class Review(msgspec.Struct, frozen=True):
    """Whether the memory is right; one that is not is shown no more."""

    value: bool


def memories(table: Memories, now: Now, identify: Identify) -> Api:
    """The routes."""
    api = Api("memories", identify, prefix="/v3/memories", tag="Memories")

    @api.post("", "Write a memory by hand", creates=True, body=NewMemory, answer=MemoryDocument)
    async def create(uid: str, body: NewMemory) -> MemoryDocument:
        row = new_memory(uid, body, now())
        await table.put(row)
        return memory_document(row)

    @api.post("/batch", "Write several memories by hand", creates=True, body=NewMemories, answer=MadeMemories)
    async def create_batch(uid: str, body: NewMemories) -> MadeMemories:
        rows = [new_memory(uid, one, now()) for one in body.memories]
        await table.put(*rows)
        return MadeMemories([memory_document(row) for row in rows], len(rows))

    @api.get("", "The user's memories, newest first", query=MemoryPage, answer=list[MemoryDocument])
    async def page(uid: str, query: MemoryPage) -> list[MemoryDocument]:
        limit = PAGE_LIMIT if query.offset == 0 else query.limit
        rows: Sequence[MemoryRow] = await table.shown(uid, limit=limit, offset=query.offset)
        return [memory_document(row) for row in rows]

    @api.delete("", "Delete all of the user's memories", answer=Done)
    async def delete_all(uid: str) -> Done:
        await table.delete_all(uid)
        return Done()

    @api.delete("/<memory_id>", "Delete a memory", answer=Done, errors=(402, 404))
    async def delete(uid: str, memory_id: str) -> Done:
        unlocked(await table.get(uid, memory_id), "Memory")
        await table.delete(uid, memory_id)
        return Done()

    @api.patch("/<memory_id>", "Change what a memory says", query=NewContent, answer=Done, errors=(402, 404))
    async def change(uid: str, memory_id: str, query: NewContent) -> Done:
        unlocked(await table.get(uid, memory_id), "Memory")
        changes = {"content": query.value.strip(), "edited": True, "updated_at": now()}
        return _done(await table.change(uid, memory_id, changes))

    @api.patch(
        "/<memory_id>/visibility",
        "Say who may read a memory",
        query=NewVisibility,
        answer=Done,
        errors=(402, 404),
    )
    async def set_visibility(uid: str, memory_id: str, query: NewVisibility) -> Done:
        unlocked(await table.get(uid, memory_id), "Memory")
        changes = {"visibility": query.value, "updated_at": now()}
        return _done(await table.change(uid, memory_id, changes))

    @api.post(
        "/<memory_id>/review", "Say whether a memory is right", query=Review, answer=Done, errors=(402, 404)
    )
    async def review(uid: str, memory_id: str, query: Review) -> Done:
        unlocked(await table.get(uid, memory_id), "Memory")
        changes = {"reviewed": True, "user_review": query.value, "updated_at": now()}
        return _done(await table.change(uid, memory_id, changes))

    return api


def new_memory(uid: str, given: NewMemory, now: int) -> MemoryRow:
    """The row of a memory written by hand."""
    return MemoryRow(
        uid=uid,
        id=new_id(),
        content=given.content.strip(),
        category="manual",
        visibility=given.visibility,
        tags=given.tags,
        created_at=now,
        updated_at=now,
        reviewed=True,
        user_review=True,
        manually_added=True,
    )


def memory_document(row: MemoryRow) -> MemoryDocument:
    """The memory as clients read it; of a locked one only its beginning."""
    return MemoryDocument(
        id=row.id,
        uid=row.uid,
        content=teaser(row.content) if row.is_locked else row.content,
        category=row.category,
        visibility=row.visibility,
        tags=row.tags,
        created_at=instant(row.created_at),
        updated_at=instant(row.updated_at),
        conversation_id=row.conversation_id,
        memory_id=row.conversation_id,
        reviewed=row.reviewed,
        user_review=row.user_review,
        manually_added=row.manually_added,
        edited=row.edited,
        scoring=None,
        is_locked=row.is_locked,
        app_id=row.app_id,
    )


def _done(row: MemoryRow | None) -> Done:
    existing(row, "Memory")
    return Done()
