"""/v1/conversations/search: what the user's conversations say, by words and meaning."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta
from quart import Response, current_app

from engine.conversation.document import whole_document
from engine.moments import micros
from engine.store.conversations import Chosen
from engine.store.records import COMPLETED, PROCESSING
from engine.store.vector_records import VectorFilter
from engine.store.whole import Whole
from engine.web.api import Api, Identify
from engine.web.conversations import JSON
from engine.web.ports import Services
from engine.wire import ConversationDocument

__all__ = ["search"]

NAMES = 50
PAGES = 1_000_000

Names = Annotated[tuple[Annotated[str, Meta(max_length=200)], ...], Meta(max_length=NAMES)]


class SearchRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What is looked for. Without a query: all there is, newest first.

    Of `people`, `topics` and `entities` one at least must fit; they are ours. Dates are inclusive.
    """

    query: Annotated[str, Meta(max_length=2000)] = ""
    page: Annotated[int, Meta(ge=1, le=PAGES)] | None = 1
    per_page: Annotated[int, Meta(ge=1, le=100)] | None = 10
    include_discarded: bool | None = True
    start_date: datetime | None = None
    end_date: datetime | None = None
    people: Names = ()
    topics: Names = ()
    entities: Names = ()


class SearchAnswer(msgspec.Struct, frozen=True):
    """A page of what was found, best first."""

    items: list[ConversationDocument]
    total_pages: int
    current_page: int
    per_page: int


def search(services: Services, identify: Identify) -> Api:
    """The route."""
    api = Api("search", identify, tag="Conversations")

    @api.post(
        "/v1/conversations/search",
        "Search conversations by words and meaning",
        body=SearchRequest,
        answer=SearchAnswer,
    )
    async def search_conversations(uid: str, body: SearchRequest) -> Response:
        page, size = body.page or 1, body.per_page or 10

        def encode(wholes: Sequence[Whole], count: int) -> bytes:
            answer = SearchAnswer(list(map(whole_document, wholes)), -(-count // size), page, size)
            return msgspec.json.encode(answer)

        answer = await _found(services, uid, body, size, (page - 1) * size, encode)
        return current_app.response_class(answer, content_type=JSON)

    return api


async def _found(
    services: Services,
    uid: str,
    body: SearchRequest,
    size: int,
    skipped: int,
    encode: Callable[[Sequence[Whole], int], bytes],
) -> bytes:
    """What is made of the page of conversations, and of how many there are on all pages."""
    start, end = (None if at is None else micros(at) for at in (body.start_date, body.end_date))
    discarded = body.include_discarded is not False
    text = body.query.strip() or " ".join((*body.people, *body.topics, *body.entities))
    if not text:
        table = services.conversations
        chosen = Chosen(statuses=(PROCESSING, COMPLETED), start=start, end=end, include_discarded=discarded)
        rows = await table.list(uid, limit=size, offset=skipped, **chosen)
        count = await table.count(uid, **chosen)
        return await services.wholes.made_of(rows, lambda wholes: encode(wholes, count))
    names = {"people": body.people, "topics": body.topics, "entities": body.entities}
    filter = VectorFilter(start=start, end=end, **names)
    return await services.search.page(
        uid,
        text,
        filter=filter,
        include_discarded=discarded,
        limit=size,
        offset=skipped,
        make=encode,
    )
