"""What the routes about webhooks need from the rooms behind them. Every call names the owner."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from engine.store.deliveries import DeliveryFilter
from engine.store.webhook_records import DeliveryRow, SecretRow, WebhookRow

__all__ = ["DeliveryLog", "Endpoints", "WebhookServices"]

Webhooks = Sequence[WebhookRow]  # inside the class `list` is the method


class Endpoints(Protocol):
    """What users have set."""

    async def get(self, uid: str, name: str, trigger: str) -> WebhookRow | None: ...

    async def list(self, uid: str) -> Webhooks: ...

    async def set_url(
        self, uid: str, name: str, trigger: str, url: str, seconds: int | None
    ) -> WebhookRow: ...

    async def enable(self, uid: str, name: str, trigger: str) -> WebhookRow: ...

    async def disable(self, uid: str, name: str, trigger: str) -> WebhookRow: ...

    async def secrets(self, uid: str, fresh: str) -> Sequence[SecretRow]: ...

    async def rotate(self, uid: str, fresh: str, overlap: float) -> Sequence[SecretRow]: ...


class DeliveryLog(Protocol):
    """What endpoints were told."""

    async def get(self, uid: str, id: str) -> DeliveryRow | None: ...

    async def list(
        self, uid: str, chosen: DeliveryFilter, *, limit: int = 100, offset: int = 0
    ) -> Sequence[DeliveryRow]: ...

    async def counts(self, uid: str) -> Mapping[tuple[str, str], int]: ...

    async def ended(
        self, uid: str, chosen: DeliveryFilter, *, limit: int, offset: int = 0
    ) -> Sequence[DeliveryRow]: ...

    async def replay(self, uid: str, *ids: str) -> int: ...


@dataclass(frozen=True, kw_only=True)
class WebhookServices:
    """All of it. `check`: what is wrong with a URL, None if nothing; `gone`: those of deliveries' files that are not
    there any more; `changed`: a user's settings are others now; `overlap`: seconds for which a replaced secret goes on
    signing.
    """

    table: Endpoints
    log: DeliveryLog
    check: Callable[[str], Awaitable[str | None]]
    gone: Callable[[Sequence[str]], Awaitable[Collection[str]]]
    changed: Callable[[str], None]
    overlap: float
