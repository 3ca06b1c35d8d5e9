"""/v1/conversations/{id}: what its owner changes about a conversation."""

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from engine.conversation.document import whole_document
from engine.store.edits import SegmentEdit
from engine.store.records import IN_PROGRESS
from engine.store.whole import Whole
from engine.web.answers import Done, missing
from engine.web.api import Api, Identify
from engine.web.conversation_ports import Edits, Wholes
from engine.web.conversations import unlocked
from engine.web.errors import ApiError
from engine.web.ports import Services
from engine.wire import ConversationDocument
from engine.wire.messages import Speaker
from engine.wire.refusal import printable

__all__ = ["conversation_edits"]

PLACES = 1000
DONE = Done("Ok")

Place = Annotated[int, Meta(ge=0, le=100_000)]
Places = Annotated[list[Place], Meta(max_length=PLACES)]
Values = Annotated[list[bool], Meta(max_length=PLACES)]
Description = Annotated[str, Meta(min_length=1, max_length=2000)]
Id = Annotated[str, Meta(min_length=1, max_length=128)]


class NewTitle(msgspec.Struct, frozen=True):
    """What the conversation is called from now on."""

    title: Annotated[str, Meta(min_length=1, max_length=500)]


class Starred(msgspec.Struct, frozen=True):
    """Whether it is a favourite."""

    starred: bool


class Visibility(msgspec.Struct, frozen=True):
    """Who may read it: the owner, or whoever has the link."""

    value: Literal["private", "shared", "public"]


class EventStates(msgspec.Struct, frozen=True):
    """Whether events are in the calendar, each by its place, counted from 0."""

    events_idx: Places
    values: Values


class ItemStates(msgspec.Struct, frozen=True):
    """Whether action items are done, each by its place, counted from 0."""

    items_idx: Places
    values: Values


class ItemDescription(msgspec.Struct, frozen=True):
    """What an action item says, and what it is to say."""

    old_description: Annotated[str, Meta(max_length=10_000)]
    description: Description


class ItemRemoval(msgspec.Struct, frozen=True):
    """The action item to delete; all of them when none is described."""

    description: Annotated[str, Meta(max_length=10_000)] | None = None
    completed: bool = False


class SegmentText(msgspec.Struct, frozen=True):
    """What was really said."""

    segment_id: Id
    text: Annotated[str, Meta(min_length=1, max_length=10_000)]


class Assignment(msgspec.Struct, frozen=True):
    """Who speaks: for `is_user` whether it is the owner, for `person_id` which person; null is nobody known."""

    assign_type: Literal["is_user", "person_id"]
    value: Annotated[str, Meta(max_length=128)] | None = None


class BulkAssignment(msgspec.Struct, frozen=True):
    """As `Assignment`, of several segments."""

    segment_ids: Annotated[list[Id], Meta(min_length=1, max_length=10_000)]
    assign_type: Literal["is_user", "person_id"]
    value: Annotated[str, Meta(max_length=128)] | None = None


class Changed(msgspec.Struct, frozen=True):
    """It was done; the conversation as it is now."""

    conversation: ConversationDocument
    status: str = "Ok"


def conversation_edits(services: Services, identify: Identify) -> Api:
    """The routes."""
    path = "/v1/conversations/<conversation_id>"
    api = Api("conversation_edits", identify, prefix=path, tag="Conversations")
    _itself(api, services.wholes, services.edits)
    _events_and_items(api, services.wholes, services.edits)
    _segments(api, services)
    return api


def _itself(api: Api, wholes: Wholes, edits: Edits) -> None:
    async def changed(uid: str, id: str) -> Changed:
        return Changed(whole_document(await unlocked(wholes, uid, id, pictures=True)))

    @api.patch("/title", "Rename a conversation", query=NewTitle, answer=Changed, errors=(402,))
    async def title(uid: str, conversation_id: str, query: NewTitle) -> Changed:
        await unlocked(wholes, uid, conversation_id)
        _check_found(await edits.set_title(uid, conversation_id, query.title))
        return await changed(uid, conversation_id)

    @api.patch("/starred", "Make it a favourite, or none", query=Starred, answer=Changed, errors=(402,))
    async def starred(uid: str, conversation_id: str, query: Starred) -> Changed:
        await unlocked(wholes, uid, conversation_id)
        _check_found(await edits.set_starred(uid, conversation_id, query.starred))
        return await changed(uid, conversation_id)

    @api.patch("/visibility", "Share it, or no more", query=Visibility, answer=Done, errors=(402, 409))
    async def visibility(uid: str, conversation_id: str, query: Visibility) -> Done:
        await unlocked(wholes, uid, conversation_id)
        try:
            _check_found(await edits.set_visibility(uid, conversation_id, query.value))
        except ValueError as error:
            raise ApiError(409, f"value={query.value} is not accepted: {error}") from None
        return DONE


def _events_and_items(api: Api, wholes: Wholes, edits: Edits) -> None:
    @api.patch(
        "/events", "Say which events are in the calendar", body=EventStates, answer=Done, errors=(402,)
    )
    async def events(uid: str, conversation_id: str, body: EventStates) -> Done:
        states = _states("events_idx", body.events_idx, body.values)
        await unlocked(wholes, uid, conversation_id)
        try:
            _check_found(await edits.set_events(uid, conversation_id, states))
        except IndexError as error:
            raise ApiError(422, f"events_idx is not accepted: {error}") from None
        return DONE

    @api.patch(
        "/action-items", "Say which action items are done", body=ItemStates, answer=Done, errors=(402,)
    )
    async def items(uid: str, conversation_id: str, body: ItemStates) -> Done:
        states = _states("items_idx", body.items_idx, body.values)
        await unlocked(wholes, uid, conversation_id)
        try:
            _check_found(await edits.set_items(uid, conversation_id, states))
        except IndexError as error:
            raise ApiError(422, f"items_idx is not accepted: {error}") from None
        return DONE

    @api.patch(
        "/action-items/<item>",
        "Say an action item in other words; it is found by those it had",
        body=ItemDescription,
        answer=Done,
        errors=(402,),
    )
    async def describe(uid: str, conversation_id: str, item: str, body: ItemDescription) -> Done:
        await unlocked(wholes, uid, conversation_id)
        old, new = body.old_description, body.description
        if not await edits.describe_item(uid, conversation_id, old, new):
            raise missing("Action item")
        return DONE

    @api.delete(
        "/action-items", "Delete one action item or all of them", body=ItemRemoval, answer=Done, errors=(402,)
    )
    async def remove(uid: str, conversation_id: str, body: ItemRemoval) -> Done:
        await unlocked(wholes, uid, conversation_id)
        await edits.delete_items(uid, conversation_id, body.description)
        return DONE


def _segments(api: Api, services: Services) -> None:
    wholes = services.wholes

    async def apply(whole: Whole, edit: SegmentEdit) -> None:
        uid, id = whole.row.uid, whole.row.id
        gone: Sequence[str] | None = None
        if whole.row.status == IN_PROGRESS:  # who holds it would overwrite what we change
            gone = await services.lifecycle.edit_live(uid, id, edit)
        if gone is None:
            gone = await services.edits.edit_segments(uid, id, edit)
        _check_there(gone)

    async def assign(
        whole: Whole, ids: tuple[str, ...], given: Assignment, *, from_now_on: bool = False
    ) -> ConversationDocument:
        uid, id = whole.row.uid, whole.row.id
        gone = await services.assigner.assign(uid, id, ids, _speaker(given), from_now_on=from_now_on)
        if gone is None:
            raise missing("Person")
        _check_there(gone)
        return whole_document(await unlocked(wholes, uid, id, pictures=True))

    @api.patch("/segments/text", "Say what was really said", body=SegmentText, answer=Done, errors=(402,))
    async def text(uid: str, conversation_id: str, body: SegmentText) -> Done:
        whole = await unlocked(wholes, uid, conversation_id)
        await apply(whole, SegmentEdit(ids=(body.segment_id,), text=body.text))
        return DONE

    @api.patch(
        "/segments/<int:segment_idx>/assign",
        "Say who speaks in a segment, by its place, counted from 0",
        query=Assignment,
        answer=ConversationDocument,
        errors=(402,),
    )
    async def one(
        uid: str, conversation_id: str, segment_idx: int, query: Assignment
    ) -> ConversationDocument:
        whole = await unlocked(wholes, uid, conversation_id)
        if segment_idx >= len(whole.segments):
            raise missing("Segment")
        return await assign(whole, (whole.segments[segment_idx].id,), query)

    @api.patch(
        "/segments/assign-bulk",
        "Say who speaks in several segments",
        body=BulkAssignment,
        answer=ConversationDocument,
        errors=(402,),
    )
    async def several(uid: str, conversation_id: str, body: BulkAssignment) -> ConversationDocument:
        whole = await unlocked(wholes, uid, conversation_id)
        given = Assignment(body.assign_type, body.value)
        return await assign(whole, tuple(dict.fromkeys(body.segment_ids)), given)

    @api.patch(
        "/assign-speaker/<int:speaker_id>",
        "Say who a speaker is, wherever they speak",
        query=Assignment,
        answer=ConversationDocument,
        errors=(402,),
    )
    async def speaker(
        uid: str, conversation_id: str, speaker_id: int, query: Assignment
    ) -> ConversationDocument:
        whole = await unlocked(wholes, uid, conversation_id)
        ids = tuple(segment.id for segment in whole.segments if segment.speaker_id == speaker_id)
        if not ids:
            raise missing("Speaker")
        return await assign(whole, ids, query, from_now_on=True)


def _speaker(given: Assignment) -> Speaker:
    value = None if given.value in (None, "", "null") else given.value
    if given.assign_type == "is_user":
        return Speaker(is_user=value is not None and value.lower() not in ("false", "0"))
    return Speaker(person_id=value)


def _check_there(gone: Sequence[str]) -> None:
    if gone:
        raise ApiError(404, f"Segment not found: {printable(', '.join(gone[:10]))}")


def _states(name: str, places: list[int], values: list[bool]) -> dict[int, bool]:
    if len(places) != len(values):
        raise ApiError(422, f"values has {len(values)} elements: use as many as {name} has ({len(places)})")
    return dict(zip(places, values, strict=True))


def _check_found(found: bool) -> None:
    if not found:
        raise missing("Conversation")
