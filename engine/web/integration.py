"""The Integration API: apps with a key of theirs read and write the data of users who have enabled them."""

from collections.abc import Awaitable, Callable, Sequence

import msgspec
from quart import Request, Response, current_app

from engine.conversation.document import whole_document
from engine.ids import new_id
from engine.moments import micros
from engine.store.conversations import Chosen
from engine.store.user_records import MemoryRow
from engine.store.whole import Whole
from engine.web.answers import Done
from engine.web.api import APP, Api
from engine.web.app_ports import Apps, AppServices
from engine.web.auth import bearer
from engine.web.errors import ApiError
from engine.web.given import give_text
from engine.web.integration_documents import (
    AppConversationList,
    AppConversationPage,
    AppMemories,
    AppMemoryList,
    AppMemoryPage,
    AppNotification,
    AppTelling,
    AppText,
    ForUser,
    Nothing,
)
from engine.web.memories import memory_document
from engine.web.ports import Services
from engine.web.rate_limit import RateLimit
from engine.web.reading import read_json
from engine.webhooks.app_setup import integration_of
from engine.webhooks.submission import Action
from engine.wire.messages import ProactiveMessage

__all__ = ["integration", "integration_v1"]

AT_ONCE = 50
"""Conversations that are read from the database at once."""
MINUTE, HOUR = 60.0, 3600.0


def integration(services: Services) -> Api:
    """The routes for apps. Each app's requests for each user have a limit of their own."""
    limit = RateLimit(services.config.web.requests_per_minute, MINUTE)
    api = Api(
        "integration",
        _identified(services.apps.apps, limit),
        prefix="/v2/integrations/<app_id>",
        tag="Integration API",
        security=APP,
    )
    _conversations(api, services)
    _memories(api, services)
    _notifications(api, services.apps)
    return api


def integration_v1(services: Services) -> Api:
    """The route of the first version that apps still use: it takes in its body what others take in path and query."""
    apps = services.apps.apps
    limit = RateLimit(services.config.web.requests_per_minute, MINUTE)

    async def identify(request: Request) -> str:
        _key(request)  # who has none is told so before what is wrong with the body
        data = await request.get_data()
        assert isinstance(data, bytes)
        said = read_json(data, AppTelling)
        return await _checked(apps, limit, request, said.aid, said.uid)

    api = Api("integration_v1", identify, prefix="/v1/integrations", tag="Integration API", security=APP)

    @api.post(
        "/notification",
        "Tell a user something, as /v2/integrations/{app_id}/notification",
        body=AppTelling,
        answer=Done,
    )
    async def notify(uid: str, body: AppTelling) -> Done:
        return await _tell(services.apps, uid, body.aid, body.message)

    return api


def _identified(apps: Apps, limit: RateLimit) -> Callable[[Request], Awaitable[str]]:
    async def identify(request: Request) -> str:
        app_id = str((request.view_args or {})["app_id"])
        return await _checked(apps, limit, request, app_id, request.args.get("uid"))

    return identify


async def _checked(apps: Apps, limit: RateLimit, request: Request, app_id: str, uid: str | None) -> str:
    """The uid, if the app that calls may have to do with them. Raises `ApiError`."""
    if not await apps.verify(app_id, _key(request)):
        raise ApiError(403, "Invalid integration API key")
    if not uid:
        raise ApiError(422, "uid is missing: use the user's id")
    limit.take(f"{app_id}:{uid}")
    if not await apps.is_enabled(uid, app_id):
        raise ApiError(403, "App is not enabled for this user")
    return uid


def _key(request: Request) -> str:
    key = bearer(request.headers.get("Authorization"))
    if key is None:
        raise ApiError(401, "Authorization header not found: send Authorization: Bearer sk_…")
    return key


async def _check_may(services: AppServices, uid: str, app_id: str, action: Action) -> None:
    """Raises `ApiError` 403 for what a registered app did not say that it does; its users have read what it does."""
    found = await services.registry.get(uid, app_id)
    if found is None:
        return  # an app that is known by its key alone
    if action not in [one.action for one in integration_of(found.app).actions or ()]:
        raise ApiError(403, f"App does not have the action {action} among external_integration.actions")


def _conversations(api: Api, services: Services) -> None:
    @api.post(
        "/user/conversations",
        "Give a user's conversation as a text",
        creates=True,
        query=ForUser,
        body=AppText,
        answer=Nothing,
    )
    async def give(uid: str, app_id: str, query: ForUser, body: AppText) -> Nothing:
        await _check_may(services.apps, uid, app_id, "create_conversation")
        await give_text(services.requests, uid, body, app_id)
        return Nothing()

    @api.get(
        "/conversations",
        "A user's conversations, newest first, but for locked ones",
        query=AppConversationPage,
        answer=AppConversationList,
    )
    async def list_conversations(uid: str, app_id: str, query: AppConversationPage) -> Response:
        await _check_may(services.apps, uid, app_id, "read_conversations")
        rows = await services.conversations.list(
            uid, limit=query.limit, offset=query.offset, **_chosen(query)
        )
        found: list[Whole] = []
        for first in range(0, len(rows), AT_ONCE):
            found += await services.wholes.of(rows[first : first + AT_ONCE])
        body = await services.off_loop(_encode, found, query.max_transcript_segments)
        return current_app.response_class(body, content_type="application/json")


def _memories(api: Api, services: Services) -> None:
    table, now = services.records.memories, services.records.now

    @api.post(
        "/user/memories",
        "Tell what is so about a user",
        creates=True,
        query=ForUser,
        body=AppMemories,
        answer=Nothing,
    )
    async def tell(uid: str, app_id: str, query: ForUser, body: AppMemories) -> Nothing:
        await _check_may(services.apps, uid, app_id, "create_facts")
        text = (body.text or "").strip()
        if not text and not body.memories:
            raise ApiError(422, "the body is not accepted: give text or memories")
        given = [(one.content.strip(), "system", one.tags or []) for one in body.memories or ()]
        if text:
            given += [(one.content, one.category, []) for one in await services.facts.read(text)]
        await table.put(*(_memory(uid, app_id, *one, now()) for one in given))
        return Nothing()

    @api.get("/memories", "A user's memories, newest first", query=AppMemoryPage, answer=AppMemoryList)
    async def list_memories(uid: str, app_id: str, query: AppMemoryPage) -> AppMemoryList:
        await _check_may(services.apps, uid, app_id, "read_memories")
        rows = await table.shown(uid, limit=query.limit, offset=query.offset)
        return AppMemoryList([memory_document(row) for row in rows])


def _notifications(api: Api, services: AppServices) -> None:
    @api.post(
        "/notification",
        "Tell a user something: their live sessions, or else the app's chat",
        query=AppNotification,
        answer=Done,
    )
    async def notify(uid: str, app_id: str, query: AppNotification) -> Done:
        return await _tell(services, uid, app_id, query.message)


async def _tell(services: AppServices, uid: str, app_id: str, message: str) -> Done:
    """Tell a user what an app says. Raises `ApiError` 422 for nothing, 429 for too much."""
    if not message.strip():
        raise ApiError(422, "message is not accepted: use a text")
    most = services.settings.notifications_per_hour
    wait = await services.allowances.take(uid, f"notification:{app_id}", most, HOUR)
    if wait:
        limit = f"{most} messages in an hour are the most allowed"
        raise ApiError(429, f"{limit}: try again in {wait:.1f} s", retry_after=wait)
    found = await services.registry.get(uid, app_id)
    title = app_id if found is None else found.app.name
    await services.notices.tell(uid, ProactiveMessage(app_id, title, message.strip()))
    return Done("Ok")


def _memory(uid: str, app_id: str, content: str, category: str, tags: Sequence[str], now: int) -> MemoryRow:
    return MemoryRow(
        uid=uid,
        id=new_id(),
        content=content,
        category=category,
        tags=list(tags),
        created_at=now,
        updated_at=now,
        app_id=app_id,
    )


def _chosen(query: AppConversationPage) -> Chosen:
    start, end = (None if at is None else micros(at) for at in (query.start_date, query.end_date))
    return Chosen(
        statuses=query.statuses or None,
        start=start,
        end=end,
        include_discarded=query.include_discarded,
        locked=False,
    )


def _encode(wholes: Sequence[Whole], most: int) -> bytes:
    documents = [whole_document(whole) for whole in wholes]
    if most >= 0:
        documents = [
            msgspec.structs.replace(one, transcript_segments=one.transcript_segments[:most])
            for one in documents
        ]
    return msgspec.json.encode(AppConversationList(documents))
