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

    async def verify(self, app_id: str, key: str) -> bool: ...

    async def exists(self, app_id: str, uid: str | None = None) -> bool: ...

    async def enable(self, uid: str, app_id: str) -> None: ...

    async def disable(self, uid: str, app_id: str) -> bool: ...

    async def is_enabled(self, uid: str, app_id: str) -> bool: ...

    async def enabled(self, uid: str) -> list[str]: ...

    async def issue_key(self, app_id: str, uid: str, label: str = "") -> tuple[AppKeyRow, str]: ...

    async def list_keys(self, app_id: str | None = None) -> list[AppKeyRow]: ...

    async def revoke_key(self, id: str, app_id: str | None = None) -> bool: ...


class Allowances(Protocol):
    """How often somebody may do something. `engine.store.allowances` says more."""

    async def take(self, uid: str, what: str, count: int, seconds: float) -> float: ...


class Registry(Protocol):
    """Registered apps. `engine.store.app_registry` says what each does."""

    async def add(self, row: AppRow, limit: int) -> bool: ...

    async def change(self, uid: str, id: str, values: Mapping[str, Any]) -> AppRow | None: ...

    async def remove(self, uid: str, id: str) -> bool: ...

    async def owned(self, uid: str, id: str) -> AppRow | None: ...

    async def get(self, uid: str, id: str) -> AppFound | None: ...

    async def list(
        self, uid: str, *, limit: int = 100, offset: int = 0, **filter: Unpack[AppFilter]
    ) -> Found: ...

    async def count(self, uid: str, **filter: Unpack[AppFilter]) -> int: ...

    async def prefer(self, uid: str, id: str) -> bool: ...

    async def give_image(self, uid: str, id: str, image: bytes) -> None: ...

    async def image(self, uid: str, id: str) -> bytes | None: ...


class Reviews(Protocol):
    """What users say of apps. `engine.store.app_reviews` says what each does."""

    async def put(self, row: AppReviewRow) -> None: ...

    async def change(self, uid: str, app_id: str, values: dict[str, Any]) -> bool: ...

    async def own(self, uid: str, app_id: str) -> AppReviewRow | None: ...

    async def of(self, app_id: str, *, limit: int = 100, offset: int = 0) -> list[AppReviewRow]: ...

    async def reply(self, app_id: str, id: str, response: str, now: int) -> bool: ...


class Setup(Protocol):
    """What apps' own servers say. The first two raise `engine.webhooks.app_setup.NotToBeHad`."""

    async def completed(self, integration: ExternalIntegration, uid: str) -> bool: ...

    async def tools(self, manifest_url: str) -> Sequence[ChatTool]: ...

    async def wrong_with(self, urls: Sequence[str]) -> str | None:
        """Why one of these addresses cannot be asked, as far as is known now."""
        ...


class Endpoints(Protocol):
    """How the endpoints of apps are doing; `engine.store.webhooks` implements it."""

    async def enable(self, uid: str, name: str, trigger: str) -> object: ...


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
