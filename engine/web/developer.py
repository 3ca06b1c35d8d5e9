"""The Developer API: a user's own data, for programs with a key."""

from quart import Request

from engine.store.tokens import token_hash, token_id
from engine.web.api import DEVELOPER, Api, Identify
from engine.web.auth import Authenticator, bearer
from engine.web.developer_action_items import developer_action_items
from engine.web.developer_conversations import developer_conversations
from engine.web.developer_goals import developer_goals
from engine.web.developer_memories import developer_memories
from engine.web.folders import FolderDocument, folder_document
from engine.web.ports import Services
from engine.web.rate_limit import RateLimit
from engine.web.record_ports import Folders

__all__ = ["developer_routes"]

MINUTE, DAY = 60.0, 86_400.0


def developer_routes(services: Services, authenticator: Authenticator) -> list[Api]:
    """All of them but those about keys. A key has a limit of its own beside that of its user."""
    records, web = services.records, services.config.web
    per_minute = RateLimit(web.developer_requests_per_minute, MINUTE)
    per_day = RateLimit(web.developer_requests_per_day, DAY)

    def about(kind: str) -> Identify:
        identify = authenticator.identify_developer(kind)

        async def identify_limited(request: Request) -> str:
            uid = await identify(request)
            token = bearer(request.headers.get("Authorization"))
            per_minute.take(uid if token is None else token_id(token_hash(token)))
            per_day.take(uid)
            return uid

        return identify_limited

    return [
        developer_conversations(services, about("conversations")),
        developer_memories(records.memories, records.now, about("memories")),
        developer_action_items(records.action_items, records.now, about("action_items")),
        developer_goals(records.goals, records.now, about("goals")),
        _folders(records.folders, about("conversations")),
    ]


def _folders(table: Folders, identify: Identify) -> Api:
    path = "/v1/dev/user/folders"
    api = Api("developer_folders", identify, prefix=path, tag="Developer API", security=DEVELOPER)

    @api.get("", "Folders, in their order", answer=list[FolderDocument])
    async def every(uid: str) -> list[FolderDocument]:
        counts = await table.counts(uid)
        return [folder_document(row, counts.get(row.id, 0)) for row in await table.ordered(uid)]

    return api
