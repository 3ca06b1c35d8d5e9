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

    async def get(self, uid: str, name: str, trigger: str) -> WebhookRow | None:
        """One endpoint, or None when nothing was ever set or sent."""
        ...

    async def list(self, uid: str) -> Webhooks:
        """All of a user's, also those that are off."""
        ...

    async def set_url(self, uid: str, name: str, trigger: str, url: str, seconds: int | None) -> WebhookRow:
        """Set where it is, and turn it on; an empty `url` turns it off and is kept."""
        ...

    async def enable(self, uid: str, name: str, trigger: str) -> WebhookRow:
        """Turn it on, whatever turned it off."""
        ...

    async def disable(self, uid: str, name: str, trigger: str) -> WebhookRow:
        """Turn it off. What waits for it is given up; it can be sent again later."""
        ...

    async def secrets(self, uid: str, fresh: str) -> Sequence[SecretRow]:
        """A user's valid secrets, the newest first; `fresh` becomes the first one of a user who has none."""
        ...

    async def rotate(self, uid: str, fresh: str, overlap: float) -> Sequence[SecretRow]:
        """Have `fresh` take the place of the others, which go on signing for `overlap` seconds; all of them then."""
        ...


class DeliveryLog(Protocol):
    """What endpoints were told."""

    async def get(self, uid: str, id: str) -> DeliveryRow | None:
        """One delivery of a user's."""
        ...

    async def list(
        self, uid: str, chosen: DeliveryFilter, *, limit: int = 100, offset: int = 0
    ) -> Sequence[DeliveryRow]:
        """A page of a user's deliveries, newest first, their bodies left out. Raises ValueError for a bad page."""
        ...

    async def counts(self, uid: str) -> Mapping[tuple[str, str], int]:
        """How many of a user's deliveries are pending, by endpoint and trigger."""
        ...

    async def ended(
        self, uid: str, chosen: DeliveryFilter, *, limit: int, offset: int = 0
    ) -> Sequence[DeliveryRow]:
        """A page of those chosen that may be sent again, the oldest first, their bodies left out."""
        ...

    async def replay(self, uid: str, *ids: str) -> int:
        """Send these again, those that have ended; how many. A file may be gone by then: its log says so."""
        ...


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
