"""/v1/conversations: the user's own conversations, newest first, and ending the one in progress."""

from collections.abc import AsyncIterator, Sequence

import msgspec
from quart import Blueprint, Response, current_app, request

from engine.conversation.document import conversation_document
from engine.store.records import COMPLETED, PROCESSING, STATUS_RANK, ConversationRow
from engine.web.auth import Authenticator
from engine.web.errors import ApiError, json_response
from engine.web.ports import Conversations, Services
from engine.web.query import Query

__all__ = ["conversations"]

PAGE_DEFAULT, PAGE_LIMIT = 100, 1000
DEFAULT_STATUSES = (PROCESSING, COMPLETED)
BATCH = 20
"""Conversations whose segments are in memory at once while a list is sent."""


class _Filter(msgspec.Struct, frozen=True):
    """Which conversations; an empty `statuses` in the query means any, as clients that exist send it."""

    statuses: tuple[str, ...] | None
    start: int | None
    end: int | None
    include_discarded: bool

    @classmethod
    def of(cls, query: Query) -> "_Filter":
        return cls(
            statuses=query.choices("statuses", DEFAULT_STATUSES, STATUS_RANK) or None,
            start=query.moment("start_date"),
            end=query.moment("end_date"),
            include_discarded=query.boolean("include_discarded", True),
        )


def conversations(services: Services, authenticator: Authenticator) -> Blueprint:
    """The routes."""
    routes = Blueprint("conversations", __name__, url_prefix="/v1/conversations")
    store = services.conversations

    @routes.get("")
    async def page() -> Response:
        uid = await authenticator.identify_request(request)
        query = Query(request.args)
        chosen = msgspec.structs.asdict(_Filter.of(query))
        limit = query.integer("limit", PAGE_DEFAULT, 1, PAGE_LIMIT)
        rows = await store.list(uid, limit=limit, offset=query.integer("offset", 0, 0), **chosen)
        return current_app.response_class(_documents(store, rows), content_type="application/json")

    @routes.get("/count")
    async def count() -> Response:
        uid = await authenticator.identify_request(request)
        chosen = msgspec.structs.asdict(_Filter.of(Query(request.args)))
        return json_response({"count": await store.count(uid, **chosen)})

    @routes.post("")
    async def finish() -> Response:
        """End the conversation in progress now. The body says nothing that is used yet."""
        uid = await authenticator.identify_request(request)
        _check_object(await request.get_data())
        row = await services.lifecycle.finish(uid)
        if row is None:
            raise ApiError(404, "Conversation in progress not found")
        document = conversation_document(row, await store.segments(uid, row.id))
        return json_response({"conversation": document, "messages": []})

    @routes.get("/<conversation_id>")
    async def one(conversation_id: str) -> Response:
        uid = await authenticator.identify_request(request)
        row = await store.get(uid, conversation_id)
        if row is None:
            raise _missing()
        return json_response(conversation_document(row, await store.segments(uid, conversation_id)))

    @routes.delete("/<conversation_id>")
    async def delete(conversation_id: str) -> Response:
        """204 and no body: the phone app counts any other answer as a failure."""
        uid = await authenticator.identify_request(request)
        if not await services.lifecycle.delete(uid, conversation_id):
            raise _missing()
        return current_app.response_class(status=204)

    return routes


def _missing() -> ApiError:
    return ApiError(404, "Conversation not found")


def _check_object(body: str | bytes) -> None:
    try:
        msgspec.json.decode(body or b"{}", type=dict)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ApiError(400, f"the body is not accepted ({error}): use a JSON object, or none") from None


async def _documents(store: Conversations, rows: Sequence[ConversationRow]) -> AsyncIterator[bytes]:
    """The list piece by piece, so that a long one neither fills memory nor holds the loop."""
    separator = b"["
    for first in range(0, len(rows), BATCH):
        for row, segments in await store.with_segments(rows[first : first + BATCH]):
            yield separator + msgspec.json.encode(conversation_document(row, segments))
            separator = b","
    yield b"]" if rows else b"[]"
