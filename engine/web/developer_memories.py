"""/v1/dev/user/memories: memories, for programs with a key."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from engine.store.user_records import MemoryRow
from engine.web.answers import Deleted, existing, unlocked
from engine.web.api import DEVELOPER, Api, Identify
from engine.web.errors import ApiError
from engine.web.memories import (
    MadeMemories,
    MemoryDocument,
    NewMemory,
    Tag,
    Visibility,
    memory_document,
    new_memory,
)
from engine.web.record_ports import Memories, Now

__all__ = ["developer_memories"]

Category = Literal[
    "interesting",
    "system",
    "manual",
    "core",
    "hobbies",
    "lifestyle",
    "interests",
    "habits",
    "work",
    "skills",
    "learnings",
    "other",
]
Content = Annotated[str, Meta(max_length=500, pattern=r"\S")]
Tags = Annotated[list[Tag], Meta(max_length=50)]


class DeveloperMemoryPage(msgspec.Struct, frozen=True):
    """Which memories; without `categories` those of all."""

    limit: Annotated[int, Meta(ge=1, le=1000)] = 25
    offset: Annotated[int, Meta(ge=0)] = 0
    categories: tuple[Category, ...] = ()


class DeveloperMemory(msgspec.Struct, frozen=True):
    """A memory to be kept; without a category it is one that was written by hand."""

    content: Content
    category: Category | None = None
    visibility: Visibility = "private"
    tags: Tags = []


class DeveloperMemories(msgspec.Struct, frozen=True):
    """Several memories to be kept."""

    memories: Annotated[list[DeveloperMemory], Meta(max_length=25)]


class DeveloperMemoryChanges(msgspec.Struct, frozen=True):
    """What changes of a memory, something at least; what is not given stays."""

    content: Content | None = None
    category: Category | None = None
    visibility: Visibility | None = None
    tags: Tags | None = None


def developer_memories(table: Memories, now: Now, identify: Identify) -> Api:
    """The routes."""
    path = "/v1/dev/user/memories"
    api = Api("developer_memories", identify, prefix=path, tag="Developer API", security=DEVELOPER)

    @api.get("", "Memories, newest first", query=DeveloperMemoryPage, answer=list[MemoryDocument])
    async def page(uid: str, query: DeveloperMemoryPage) -> list[MemoryDocument]:
        rows = await table.shown(uid, limit=query.limit, offset=query.offset, categories=query.categories)
        return [memory_document(row) for row in rows]

    @api.post("", "Keep a memory", creates=True, body=DeveloperMemory, answer=MemoryDocument)
    async def create(uid: str, body: DeveloperMemory) -> MemoryDocument:
        row = _row(uid, body, now())
        await table.put(row)
        return memory_document(row)

    @api.post("/batch", "Keep several memories", creates=True, body=DeveloperMemories, answer=MadeMemories)
    async def create_batch(uid: str, body: DeveloperMemories) -> MadeMemories:
        rows = [_row(uid, one, now()) for one in body.memories]
        await table.put(*rows)
        return MadeMemories([memory_document(row) for row in rows], len(rows))

    @api.patch(
        "/<memory_id>",
        "Change a memory",
        body=DeveloperMemoryChanges,
        answer=MemoryDocument,
        errors=(402, 404),
    )
    async def change(uid: str, memory_id: str, body: DeveloperMemoryChanges) -> MemoryDocument:
        given = {name: value for name, value in msgspec.structs.asdict(body).items() if value is not None}
        if not given:
            raise ApiError(422, "the body is not accepted: give content, category, visibility or tags")
        unlocked(await table.get(uid, memory_id), "Memory")
        if body.content is not None:
            given |= {"content": body.content.strip(), "edited": True}
        row = await table.change(uid, memory_id, given | {"updated_at": now()})
        return memory_document(existing(row, "Memory"))

    @api.delete("/<memory_id>", "Delete a memory", answer=Deleted, errors=(402, 404))
    async def delete(uid: str, memory_id: str) -> Deleted:
        unlocked(await table.get(uid, memory_id), "Memory")
        await table.delete(uid, memory_id)
        return Deleted()

    return api


def _row(uid: str, given: DeveloperMemory, now: int) -> MemoryRow:
    row = new_memory(uid, NewMemory(given.content, given.visibility, given.tags), now)
    return row if given.category is None else replace(row, category=given.category)
