"""What an app may be, and which apps there are, as clients that exist ask for it."""

from typing import Annotated, get_args

import msgspec
from msgspec import Meta
from quart import request

from engine.store.app_registry import AppFilter
from engine.web.api import Api, Identify
from engine.web.app_documents import AppDocument, app_document
from engine.web.app_ports import Registry
from engine.webhooks.submission import Action, Capability, Scope, TriggersOn

__all__ = ["app_catalog"]


class Option(msgspec.Struct, frozen=True):
    """Something to choose, and what it is called."""

    title: str
    id: str


class CapabilityOption(Option, frozen=True):
    """What an app can do; `triggers` are what it may be told, `actions` what it may do, `scopes` what it may know."""

    triggers: list[Option] = []
    actions: list[Option] = []
    scopes: list[Option] = []


class AppSearch(msgspec.Struct, frozen=True, kw_only=True):
    """Which apps: with `q` in name or description, of a category, that can do something; the user's own, or enabled."""

    q: Annotated[str, Meta(max_length=200)] | None = None
    category: Annotated[str, Meta(max_length=64)] | None = None
    capability: Annotated[str, Meta(max_length=64)] | None = None
    my_apps: bool = False
    installed_apps: bool = False
    limit: Annotated[int, Meta(ge=1, le=100)] = 50
    offset: Annotated[int, Meta(ge=0, le=1_000_000_000)] = 0

    @property
    def filter(self) -> AppFilter:
        """As the store takes it."""
        return AppFilter(
            text=self.q,
            category=self.category,
            capability=self.capability,
            mine=self.my_apps,
            enabled=self.installed_apps,
        )


class Pagination(msgspec.Struct, frozen=True, rename="camel"):
    """Which of them these are."""

    total: int
    count: int
    offset: int
    limit: int
    has_next: bool
    has_previous: bool


class FoundApps(msgspec.Struct, frozen=True):
    """A page of apps by name."""

    data: list[AppDocument]
    pagination: Pagination


def _options(ids: object, titles: dict[str, str]) -> list[Option]:
    return [Option(titles.get(id, id.replace("_", " ").capitalize()), id) for id in get_args(ids)]


CATEGORIES = {
    "conversation-analysis": "Conversation Analysis",
    "health-and-wellness": "Health",
    "education-and-learning": "Education",
    "communication-improvement": "Communication",
    "emotional-and-mental-support": "Emotional Support",
    "productivity-and-organization": "Productivity",
    "entertainment-and-fun": "Entertainment",
    "financial": "Financial",
    "travel-and-exploration": "Travel",
    "safety-and-security": "Safety",
    "shopping-and-commerce": "Shopping",
    "social-and-relationships": "Social",
    "news-and-information": "News",
    "utilities-and-tools": "Utilities",
    "other": "Other",
}
TITLES = {
    "memories": "Conversations",
    "proactive_notification": "Notification",
    "memory_creation": "Conversation creation",
    "create_facts": "Create memories",
    "user_facts": "User memories",
    "user_context": "User conversations",
}
SCOPES = _options(Scope, TITLES)
CAPABILITIES = [
    CapabilityOption(
        option.title,
        option.id,
        triggers=_options(TriggersOn, TITLES) if option.id == "external_integration" else [],
        actions=_options(Action, TITLES) if option.id == "external_integration" else [],
        scopes=SCOPES if option.id == "proactive_notification" else [],
    )
    for option in _options(Capability, TITLES)
]


def app_catalog(registry: Registry, identify: Identify) -> Api:
    """The routes."""
    api = Api("app_catalog", identify, tag="Apps")

    @api.get("/v1/app-categories", "What an app may be about", answer=list[Option])
    async def categories(uid: str) -> list[Option]:
        return [Option(title, id) for id, title in CATEGORIES.items()]

    @api.get("/v1/app-capabilities", "What an app may be able to do", answer=list[CapabilityOption])
    async def capabilities(uid: str) -> list[CapabilityOption]:
        return CAPABILITIES

    @api.get(
        "/v1/app/proactive-notification-scopes",
        "What of a user an app's notifications may be made of",
        answer=list[Option],
    )
    async def scopes(uid: str) -> list[Option]:
        return SCOPES

    @api.get("/v2/apps/search", "Search the apps that the user sees", query=AppSearch, answer=FoundApps)
    async def search_apps(uid: str, query: AppSearch) -> FoundApps:
        total = await registry.count(uid, **query.filter)
        found = await registry.list(uid, limit=query.limit, offset=query.offset, **query.filter)
        after = query.offset + len(found)
        return FoundApps(
            [app_document(one, uid, request.url_root) for one in found],
            Pagination(total, len(found), query.offset, query.limit, after < total, query.offset > 0),
        )

    return api
