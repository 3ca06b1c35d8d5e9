"""/v1/dev/user/conversations: conversations, for programs with a key."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta
from quart import Response, current_app

from engine.conversation.document import whole_document
from engine.conversation.structured import Category
from engine.moments import micros
from engine.store.conversations import Chosen
from engine.store.records import COMPLETED
from engine.store.whole import Whole
from engine.web.answers import Deleted, missing
from engine.web.api import DEVELOPER, Api, Identify
from engine.web.conversations import unlocked
from engine.web.errors import ApiError
from engine.web.given import GivenSegments, GivenText, give_segments, give_text
from engine.web.ports import Services
from engine.wire import Segment
from engine.wire.documents import Geolocation, StructuredDocument

__all__ = ["developer_conversations"]

AT_ONCE = 50
"""Conversations that are read from the database at once."""
OWNER = "User"
"""What an owner is called who has not said their name."""


class DeveloperConversationPage(msgspec.Struct, frozen=True):
    """Which conversations; both bounds of their making are inclusive. Of all categories unless some are given."""

    limit: Annotated[int, Meta(ge=1, le=200)] = 25
    offset: Annotated[int, Meta(ge=0)] = 0
    start_date: datetime | None = None
    end_date: datetime | None = None
    categories: tuple[Category, ...] = ()
    include_transcript: bool = False


class WithTranscript(msgspec.Struct, frozen=True):
    """Whether the transcript comes along."""

    include_transcript: bool = False


class DeveloperConversationChanges(msgspec.Struct, frozen=True):
    """What changes of a conversation, something at least; what is not given stays."""

    title: Annotated[str, Meta(max_length=500, pattern=r"\S")] | None = None
    discarded: bool | None = None


class DeveloperSegment(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of transcript; `start` and `end` in seconds since the conversation began."""

    id: str
    text: str
    speaker: str
    speaker_id: int
    speaker_name: str
    is_user: bool
    person_id: str | None
    start: float
    end: float


class DeveloperConversation(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation; `transcript_segments` is null unless asked for."""

    id: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    structured: StructuredDocument
    language: str | None
    source: str | None
    status: str
    discarded: bool
    geolocation: Geolocation | None
    folder_id: str | None
    folder_name: str | None
    transcript_segments: list[DeveloperSegment] | None


class ConversationMade(msgspec.Struct, frozen=True):
    """It is kept, and being processed."""

    id: str
    status: str
    discarded: bool


def developer_conversations(services: Services, identify: Identify) -> Api:
    """The routes."""
    path = "/v1/dev/user/conversations"
    api = Api("developer_conversations", identify, prefix=path, tag="Developer API", security=DEVELOPER)
    _reading(api, services)
    _giving(api, services)
    _changing(api, services)
    return api


def _reading(api: Api, services: Services) -> None:
    @api.get(
        "",
        "Completed conversations, newest first, but for discarded and locked ones",
        query=DeveloperConversationPage,
        answer=list[DeveloperConversation],
    )
    async def page(uid: str, query: DeveloperConversationPage) -> Response:
        rows = await services.conversations.list(
            uid, limit=query.limit, offset=query.offset, **_chosen(query)
        )
        found: list[Whole] = []
        for first in range(0, len(rows), AT_ONCE):
            found += await services.wholes.of(rows[first : first + AT_ONCE])
        names = await _names(services, uid, query.include_transcript)
        body = await services.off_loop(_encode, found, names)
        return current_app.response_class(body, content_type="application/json")

    @api.get(
        "/<conversation_id>",
        "One conversation",
        query=WithTranscript,
        answer=DeveloperConversation,
        errors=(402,),
    )
    async def one(uid: str, conversation_id: str, query: WithTranscript) -> DeveloperConversation:
        whole = await unlocked(services.wholes, uid, conversation_id)
        return _document(whole, await _names(services, uid, query.include_transcript))


def _giving(api: Api, services: Services) -> None:
    @api.post("", "Give a conversation as a text", creates=True, body=GivenText, answer=ConversationMade)
    async def from_text(uid: str, body: GivenText) -> ConversationMade:
        row = await give_text(services.requests, uid, body)
        return ConversationMade(row.id, row.status, row.discarded)

    @api.post(
        "/from-segments",
        "Give a conversation as a transcript",
        creates=True,
        body=GivenSegments,
        answer=ConversationMade,
    )
    async def from_segments(uid: str, body: GivenSegments) -> ConversationMade:
        row = await give_segments(services.requests, uid, body)
        return ConversationMade(row.id, row.status, row.discarded)


def _changing(api: Api, services: Services) -> None:
    edits = services.edits

    @api.patch(
        "/<conversation_id>",
        "Change what a conversation is called, or whether it is discarded",
        body=DeveloperConversationChanges,
        answer=DeveloperConversation,
        errors=(402,),
    )
    async def change(
        uid: str, conversation_id: str, body: DeveloperConversationChanges
    ) -> DeveloperConversation:
        if body.title is None and body.discarded is None:
            raise ApiError(422, "the body is not accepted: give title or discarded")
        await unlocked(services.wholes, uid, conversation_id)
        if body.title is not None:
            await edits.set_title(uid, conversation_id, body.title.strip())
        if body.discarded is not None:
            await edits.set_discarded(uid, conversation_id, body.discarded)
        whole = await unlocked(services.wholes, uid, conversation_id)
        return _document(whole, await _names(services, uid, False))

    @api.delete("/<conversation_id>", "Delete a conversation", answer=Deleted)
    async def delete(uid: str, conversation_id: str) -> Deleted:
        if not await services.lifecycle.delete(uid, conversation_id):
            raise missing("Conversation")
        return Deleted()


class _Names(msgspec.Struct, frozen=True):
    """What folders are called by id, and who speaks: `owner`, and the others by person id; None: not asked for."""

    folders: Mapping[str, str]
    people: Mapping[str, str] | None
    owner: str


async def _names(services: Services, uid: str, transcript: bool) -> _Names:
    records = services.records
    folders = {row.id: row.name for row in await records.folders.ordered(uid)}
    if not transcript:
        return _Names(folders, None, OWNER)
    owner = (await records.users.get(uid)).name or OWNER
    return _Names(folders, await records.people.names(uid), owner)


def _chosen(query: DeveloperConversationPage) -> Chosen:
    start, end = (None if at is None else micros(at) for at in (query.start_date, query.end_date))
    return Chosen(
        statuses=(COMPLETED,),
        include_discarded=False,
        locked=False,
        start=start,
        end=end,
        categories=query.categories or None,
    )


def _encode(wholes: Sequence[Whole], names: _Names) -> bytes:
    return msgspec.json.encode([_document(whole, names) for whole in wholes])


def _document(whole: Whole, names: _Names) -> DeveloperConversation:
    document = whole_document(whole)
    return DeveloperConversation(
        id=document.id,
        created_at=document.created_at,
        started_at=document.started_at,
        finished_at=document.finished_at,
        structured=document.structured,
        language=document.language,
        source=document.source,
        status=document.status,
        discarded=document.discarded,
        geolocation=document.geolocation,
        folder_id=document.folder_id,
        folder_name=names.folders.get(document.folder_id or ""),
        transcript_segments=None if names.people is None else [_segment(s, names) for s in whole.segments],
    )


def _segment(segment: Segment, names: _Names) -> DeveloperSegment:
    known = (names.people or {}).get(segment.person_id or "")
    return DeveloperSegment(
        id=segment.id,
        text=segment.text,
        speaker=segment.speaker,
        speaker_id=segment.speaker_id,
        speaker_name=names.owner if segment.is_user else known or f"Speaker {segment.speaker_id}",
        is_user=segment.is_user,
        person_id=segment.person_id,
        start=segment.start,
        end=segment.end,
    )
