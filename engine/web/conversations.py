"""/v1/conversations: the user's own conversations, newest first, and one of them whole."""

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from typing import Annotated, Literal, TypeVarTuple

import msgspec
from msgspec import Meta
from quart import Response, current_app, request

from engine.conversation.analytics import ConversationAnalytics, analytics_of
from engine.conversation.document import (
    photo_document,
    shared_document,
    whole_document,
)
from engine.moments import instant, micros
from engine.off_loop import OffLoop
from engine.store.conversations import Chosen
from engine.store.records import ConversationRow
from engine.store.whole import Whole
from engine.web.answers import locked, missing
from engine.web.api import Api, Identify
from engine.web.app_documents import AppDocument, app_document
from engine.web.conversation_ports import Wholes
from engine.web.errors import ApiError
from engine.web.ports import Services
from engine.wire import ConversationDocument, Segment
from engine.wire.documents import PhotoDocument

__all__ = ["JSON", "Status", "conversations", "encoded", "unlocked"]

PAGE_DEFAULT, PAGE_LIMIT = 100, 1000
BATCH = 50
"""Conversations that are in memory whole at once while a list is sent."""
AT_ONCE = 150
"""Segments that are written on the loop, about 0.3 ms; a thread takes as long to begin."""
JSON = "application/json"

Ts = TypeVarTuple("Ts")

Status = Literal["in_progress", "processing", "merging", "completed", "failed"]


class Filter(msgspec.Struct, frozen=True):
    """Which conversations; an empty `statuses` means any, as clients that exist send it. Bounds are inclusive."""

    statuses: tuple[Status, ...] = ("processing", "completed")
    sources: tuple[Annotated[str, Meta(max_length=64)], ...] = ()
    include_discarded: bool = True
    start_date: datetime | None = None
    end_date: datetime | None = None
    folder_id: str | None = None
    starred: bool | None = None

    @property
    def chosen(self) -> Chosen:
        """As the store takes it."""
        return Chosen(
            statuses=self.statuses or None,
            sources=self.sources or None,
            include_discarded=self.include_discarded,
            start=None if self.start_date is None else micros(self.start_date),
            end=None if self.end_date is None else micros(self.end_date),
            folder_id=self.folder_id or None,
            starred=self.starred,
        )


class PhotoFile(msgspec.Struct, frozen=True, kw_only=True):
    """A picture that is a file of its own, as it is soon after it came.

    `url` is for whoever has it, until `blobs.link_time` is over; without a scheme it is a path on this server.
    """

    id: str
    created_at: datetime
    url: str


class Page(Filter, frozen=True):
    """A page of them."""

    limit: Annotated[int, Meta(ge=1, le=PAGE_LIMIT)] = PAGE_DEFAULT
    offset: Annotated[int, Meta(ge=0)] = 0


class Count(msgspec.Struct, frozen=True):
    """How many there are."""

    count: int


class SuggestedApps(msgspec.Struct, frozen=True):
    """Apps that the user has enabled and that could make something of the conversation."""

    suggested_apps: list[AppDocument]
    conversation_id: str


def conversations(services: Services, identify: Identify) -> Api:
    """The routes."""
    api = Api("conversations", identify, prefix="/v1/conversations", tag="Conversations")
    _lists(api, services)
    _one(api, services)
    _parts(api, services)
    _shared(api, services)
    return api


def _lists(api: Api, services: Services) -> None:
    table = services.conversations

    @api.get("", "The user's conversations, newest first", query=Page, answer=list[ConversationDocument])
    async def page(uid: str, query: Page) -> Response:
        rows = await table.list(uid, limit=query.limit, offset=query.offset, **query.chosen)
        body = _documents(services.wholes, rows)
        return current_app.response_class(body, content_type=JSON)

    @api.get("/count", "How many conversations there are", query=Filter, answer=Count)
    async def count(uid: str, query: Filter) -> Count:
        return Count(await table.count(uid, **query.chosen))


def _one(api: Api, services: Services) -> None:
    path, wholes = "/<conversation_id>", services.wholes

    @api.get(path, "A conversation with all that is kept of it", answer=ConversationDocument, errors=(402,))
    async def one(uid: str, conversation_id: str) -> Response:
        whole = await unlocked(wholes, uid, conversation_id, pictures=True)
        body = await encoded(services.off_loop, [whole], _encode_list)
        return current_app.response_class(body, content_type=JSON)

    @api.get(f"{path}/photos", "Its pictures, oldest first", answer=list[PhotoDocument], errors=(402,))
    async def photos(uid: str, conversation_id: str) -> list[PhotoDocument]:
        whole = await unlocked(wholes, uid, conversation_id, pictures=True)
        return list(map(photo_document, whole.photos))

    @api.get(
        f"{path}/photos/files",
        "The files of its pictures, each with a link",
        answer=list[PhotoFile],
        errors=(402,),
    )
    async def files(uid: str, conversation_id: str) -> list[PhotoFile]:
        whole = await unlocked(wholes, uid, conversation_id)
        blobs, seconds = services.blob_places.main, services.config.blobs.link_time
        return [
            PhotoFile(
                id=photo.id,
                created_at=instant(photo.created_at),
                url=await blobs.link(uid, photo.blob, seconds),
            )
            for photo in whole.photos
            if photo.blob is not None
        ]

    @api.get(f"{path}/analytics", "Who spoke how much", answer=ConversationAnalytics, errors=(402,))
    async def analytics(uid: str, conversation_id: str) -> ConversationAnalytics:
        whole = await unlocked(wholes, uid, conversation_id)
        names = await services.records.people.names(uid)
        return analytics_of(conversation_id, whole.segments, names)


def _parts(api: Api, services: Services) -> None:
    path, wholes = "/<conversation_id>", services.wholes

    @api.get(
        f"{path}/transcripts",
        "Its segments by who transcribed them",
        answer=dict[str, list[Segment]],
        errors=(402,),
    )
    async def transcripts(uid: str, conversation_id: str) -> dict[str, list[Segment]]:
        found: dict[str, list[Segment]] = {}
        for segment in (await unlocked(wholes, uid, conversation_id)).segments:
            found.setdefault(segment.stt_provider or "unknown", []).append(segment)
        return found

    @api.get(
        f"{path}/suggested-apps",
        "Apps that could make something of it",
        answer=SuggestedApps,
        errors=(402,),
    )
    async def suggested_apps(uid: str, conversation_id: str) -> SuggestedApps:
        whole = await unlocked(wholes, uid, conversation_id)
        found = await services.apps.registry.list(uid, capability="memories", enabled=True)
        return SuggestedApps([app_document(app, uid, request.url_root) for app in found], whole.row.id)


def _shared(api: Api, services: Services) -> None:
    @api.get(
        "/<conversation_id>/shared",
        "A conversation that its owner shared, for whoever has the link",
        answer=ConversationDocument,
        public=True,
    )
    async def shared(conversation_id: str) -> ConversationDocument:
        owner = await services.edits.owner_of_shared(conversation_id)
        whole = None if owner is None else await services.wholes.get(owner, conversation_id, pictures=False)
        if whole is None or whole.row.is_locked or whole.row.visibility == "private":
            raise ApiError(404, "Conversation is private")
        return shared_document(whole_document(whole))


async def unlocked(wholes: Wholes, uid: str, id: str, *, pictures: bool = False) -> Whole:
    """A conversation of the user's, as `Wholes.get`. Raises `ApiError` 404 and 402."""
    whole = await wholes.get(uid, id, pictures=pictures)
    if whole is None:
        raise missing("Conversation")
    if whole.row.is_locked:
        raise locked("conversation")
    return whole


async def encoded(
    off_loop: OffLoop, wholes: Sequence[Whole], encode: Callable[[Sequence[Whole], *Ts], bytes], *args: *Ts
) -> bytes:
    """`encode(wholes, *args)`, in a thread if that takes longer than handing it to one."""
    if sum(len(whole.segments) for whole in wholes) <= AT_ONCE and not any(whole.photos for whole in wholes):
        return encode(wholes, *args)
    return await off_loop(encode, wholes, *args)


def _encode(whole: Whole) -> bytes:
    return msgspec.json.encode(whole_document(whole))


def _encode_list(wholes: Sequence[Whole]) -> bytes:
    return b",".join(map(_encode, wholes))


async def _documents(wholes: Wholes, rows: Sequence[ConversationRow]) -> AsyncIterator[bytes]:
    """The list piece by piece, so that a long one neither fills memory nor holds the loop."""
    separator = b"["
    for first in range(0, len(rows), BATCH):
        yield separator + await wholes.made_of(rows[first : first + BATCH], _encode_list)
        separator = b","
    yield b"]" if rows else b"[]"
