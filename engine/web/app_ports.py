"""What the routes about apps need from the rooms behind them, as Protocols that they implement."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Unpack

from engine._config_apps import Apps as Settings
from engine.store.app_registry import AppFilter, AppFound, AppRow
from engine.store.app_reviews import AppReviewRow
from engine.store.apps import AppKeyRow
from engine.webhooks.submission import ChatTool, ExternalIntegration
from engine.wire.messages import ProactiveMessage

__all__ = ["AppServices", "Apps", "Endpoints", "Notices", "Registry", "Reviews", "Setup"]

Found = list[AppFound]  # inside a class with `list` that is the method


class Apps(Protocol):
    """Apps that there are, their keys, and who lets them have their data."""

    async def verify(self, app_id: str, key: str) -> bool:
        """Whether it is a valid key of that app."""
        ...

    async def exists(self, app_id: str, uid: str | None = None) -> bool:
        """Whether the app is registered or has a valid key; with `uid`: and that user may enable it."""
        ...

    async def enable(self, uid: str, app_id: str) -> None:
        """Let the app have the user's data. Idempotent."""
        ...

    async def disable(self, uid: str, app_id: str) -> bool:
        """Let the app have it no more; False when it was not enabled."""
        ...

    async def is_enabled(self, uid: str, app_id: str) -> bool:
        """Whether the user lets the app have their data."""
        ...

    async def enabled(self, uid: str) -> list[str]:
        """The ids of the apps that the user lets have their data, those enabled first, first."""
        ...

    async def issue_key(self, app_id: str, uid: str, label: str = "") -> tuple[AppKeyRow, str]:
        """A new key: its row, and the key itself, which is not kept."""
        ...

    async def list_keys(self, app_id: str | None = None) -> list[AppKeyRow]:
        """The keys of an app (or all), oldest first, also revoked ones."""
        ...

    async def revoke_key(self, id: str, app_id: str | None = None) -> bool:
        """Make a key (of that app) invalid for good; False when there is none with this id that is not revoked."""
        ...


class Allowances(Protocol):
    """How often somebody may do something. `engine.store.allowances` says more."""

    async def take(self, uid: str, what: str, count: int, seconds: float) -> float:
        """Count once, and give 0; or the seconds until there is room, when it was `count` times in `seconds`."""
        ...


class Registry(Protocol):
    """Registered apps. `engine.store.app_registry` says what each does."""

    async def add(self, row: AppRow, limit: int) -> bool:
        """Keep a new app, unless it is there; False when its owner has `limit` others."""
        ...

    async def change(self, uid: str, id: str, values: Mapping[str, Any]) -> AppRow | None:
        """Set these columns of an app of the user's; as it is then, None when they have none of that id."""
        ...

    async def remove(self, uid: str, id: str) -> bool:
        """Remove an app of the user's with all that belongs to it; False when they have none of that id."""
        ...

    async def owned(self, uid: str, id: str) -> AppRow | None:
        """An app of the user's own."""
        ...

    async def get(self, uid: str, id: str) -> AppFound | None:
        """An app that the user sees."""
        ...

    async def list(
        self, uid: str, *, limit: int = 100, offset: int = 0, **filter: Unpack[AppFilter]
    ) -> Found:
        """A page of the apps that the user sees, by name. Raises `ValueError` for a limit over `PAGE_LIMIT`."""
        ...

    async def count(self, uid: str, **filter: Unpack[AppFilter]) -> int:
        """How many `list` would give without limit and offset."""
        ...

    async def prefer(self, uid: str, id: str) -> bool:
        """Ask this app before the others; False when the user has not enabled it, or does not see it."""
        ...

    async def give_image(self, uid: str, id: str, image: bytes) -> None:
        """Keep the picture of an app, in the place of the one it had."""
        ...

    async def image(self, uid: str, id: str) -> bytes | None:
        """The picture that was kept of an app that the user sees; without one (""), of a public app."""
        ...


class Reviews(Protocol):
    """What users say of apps. `engine.store.app_reviews` says what each does."""

    async def put(self, row: AppReviewRow) -> None:
        """Keep a review; of one that its user wrote before, id and answer stay."""
        ...

    async def change(self, uid: str, app_id: str, values: dict[str, Any]) -> bool:
        """Say it otherwise; False when the user has not reviewed the app."""
        ...

    async def own(self, uid: str, app_id: str) -> AppReviewRow | None:
        """What the user says of the app."""
        ...

    async def of(self, app_id: str, *, limit: int = 100, offset: int = 0) -> list[AppReviewRow]:
        """What is said of an app, newest first. Raises `ValueError` for a limit over `PAGE_LIMIT`."""
        ...

    async def reply(self, app_id: str, id: str, response: str, now: int) -> bool:
        """Answer a review of the app; False when it has none of that id."""
        ...


class Setup(Protocol):
    """What apps' own servers say. The first two raise `engine.webhooks.app_setup.NotToBeHad`."""

    async def completed(self, integration: ExternalIntegration, uid: str) -> bool:
        """Whether the user may enable the app: it says so, or wants nothing set up. Raises `NotToBeHad`."""
        ...

    async def tools(self, manifest_url: str) -> Sequence[ChatTool]:
        """The tools that the app offers to chats. Raises `NotToBeHad`."""
        ...

    async def wrong_with(self, urls: Sequence[str]) -> str | None:
        """Why one of these addresses cannot be asked, as far as is known now."""
        ...


class Endpoints(Protocol):
    """How the endpoints of apps are doing; `engine.store.webhooks` implements it."""

    async def enable(self, uid: str, name: str, trigger: str) -> object:
        """Turn it on, whatever turned it off."""
        ...


class Notices(Protocol):
    """What apps tell users by themselves."""

    async def tell(self, uid: str, message: ProactiveMessage, *, id: str | None = None) -> bool:
        """Told to the user's live sessions (True), or kept as a message of the app's chat, under `id` if given."""
        ...


@dataclass(frozen=True, kw_only=True)
class AppServices:
    """All that the routes about apps serve from. `changed`: what a user wants to be told is another by now."""

    apps: Apps
    registry: Registry
    reviews: Reviews
    setup: Setup
    notices: Notices
    endpoints: Endpoints
    changed: Callable[[str], None]
    settings: Settings
    allowances: Allowances
