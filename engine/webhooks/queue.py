"""What is to be told, made durable: one delivery for each endpoint that wants to know.

Operations: `offer`, `offer_to`, `offer_file`, `drop`, `size`, `lost`; `ports.Deliveries` says what each does.
Invariants: a call returns once its deliveries are in the database. A delivery's id is a hash of user, endpoint, trigger
and key, so offering twice makes one.
Bounded: by those who offer; see `engine.store.deliveries` for what bounds what waits.
Cost: a commit a call.
Cancellation: what was offered may be kept; offering it again does no harm.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

import msgspec

from engine.moments import SECOND
from engine.store.deliveries import Offered
from engine.store.webhook_records import LOST, DeliveryRow
from engine.webhooks.ports import Directory, Endpoint
from engine.webhooks.triggers import Trigger

__all__ = ["JSON", "OCTETS", "DeliveryQueue", "delivery_id", "with_id"]

OCTETS = "application/octet-stream"
JSON = "application/json"
NOTHING: Mapping[str, str] = MappingProxyType({})


class Kept(Protocol):
    """What this needs of the store; `engine.store.deliveries` says what each does."""

    async def offer(self, *rows: DeliveryRow) -> Offered:
        """Keep what is new among `rows`, numbered in this order; how many, and whether one of them is due."""
        ...

    async def drop(self, uid: str, id: str, reason: str) -> DeliveryRow | None:
        """End one that is pending; as it was, or None when there is none."""
        ...

    async def get(self, uid: str, id: str) -> DeliveryRow | None:
        """One delivery of a user's, or None."""
        ...

    async def add_lost(self, row: DeliveryRow) -> bool:
        """Keep a row that never was a delivery, in state lost; False when it is there already."""
        ...


class DeliveryQueue:
    """Implements `ports.Deliveries`. `wake` is called with the endpoints that are to be told something now."""

    def __init__(
        self,
        kept: Kept,
        directory: Directory,
        now: Callable[[], int],
        wake: Callable[..., None],
    ) -> None:
        self._kept = kept
        self._directory = directory
        self._now = now
        self._wake = wake

    async def offer(
        self,
        uid: str,
        trigger: Trigger,
        body: bytes,
        *,
        key: str,
        query: Mapping[str, str] = NOTHING,
        seconds: float | None = None,
    ) -> int:
        """See `ports.Deliveries`."""
        endpoints = await self._directory.endpoints(uid, trigger)
        rows = [self._told(endpoint, body, key, query, seconds) for endpoint in endpoints]
        return await self._keep(rows)

    async def offer_to(
        self,
        endpoint: Endpoint,
        body: bytes,
        *,
        key: str,
        query: Mapping[str, str] = NOTHING,
        seconds: float | None = None,
    ) -> bool:
        """See `ports.Deliveries`."""
        return await self._keep([self._told(endpoint, body, key, query, seconds)]) > 0

    async def offer_file(
        self,
        endpoint: Endpoint,
        file: str,
        size: int,
        *,
        key: str,
        query: Mapping[str, str] = NOTHING,
        seconds: float | None = None,
    ) -> bool:
        """See `ports.Deliveries`."""
        row = self._row(endpoint, key, query, seconds)
        return await self._keep([msgspec.structs.replace(row, content_type=OCTETS, file=file, size=size)]) > 0

    async def drop(self, uid: str, id: str, reason: str) -> bool:
        """See `ports.Deliveries`."""
        return await self._kept.drop(uid, id, reason) is not None

    async def size(self, uid: str, name: str, trigger: Trigger, *, key: str) -> int:
        """See `ports.Deliveries`."""
        row = await self._kept.get(uid, delivery_id(uid, name, trigger, key))
        return row.size if row is not None else 0

    async def lost(self, uid: str, name: str, trigger: Trigger, *, key: str, size: int, reason: str) -> bool:
        """See `ports.Deliveries`."""
        now = self._now()
        row = DeliveryRow(
            uid=uid,
            id=delivery_id(uid, name, trigger, key),
            endpoint=name,
            trigger=trigger,
            size=size,
            state=LOST,
            created_at=now,
            ended_at=now,
            reason=reason,
        )
        return await self._kept.add_lost(row)

    async def _keep(self, rows: Sequence[DeliveryRow]) -> int:
        if not rows:
            return 0
        offered = await self._kept.offer(*rows)
        if offered.now:
            self._wake(*((row.uid, row.endpoint, row.trigger) for row in rows))
        return offered.new

    def _told(
        self, endpoint: Endpoint, body: bytes, key: str, query: Mapping[str, str], seconds: float | None
    ) -> DeliveryRow:
        row = self._row(endpoint, key, query, seconds)
        named = with_id(body, row.id)
        return msgspec.structs.replace(row, body=named, size=len(named))

    def _row(
        self, endpoint: Endpoint, key: str, query: Mapping[str, str], seconds: float | None
    ) -> DeliveryRow:
        now = self._now()
        return DeliveryRow(
            uid=endpoint.uid,
            id=delivery_id(endpoint.uid, endpoint.name, endpoint.trigger, key),
            endpoint=endpoint.name,
            trigger=endpoint.trigger,
            query={**query, "uid": endpoint.uid},
            content_type=JSON,
            created_at=now,
            due_at=now,
            expires_at=None if seconds is None else now + round(seconds * SECOND),
        )


def delivery_id(uid: str, name: str, trigger: str, key: str) -> str:
    """The id of what an endpoint is told under `key`: `msg_` and 32 hexadecimal digits."""
    said = msgspec.json.encode((uid, name, trigger, key))
    return "msg_" + hashlib.blake2b(said, digest_size=16).hexdigest()


def with_id(body: bytes, id: str) -> bytes:
    """A JSON object with `delivery_id` as its last member. Raises ValueError for what is none."""
    inner = body.strip()
    if not (inner.startswith(b"{") and inner.endswith(b"}")):
        raise ValueError(f"body: {len(body)} bytes given that are no JSON object, a JSON object accepted")
    members = inner[1:-1].rstrip()
    comma = b"," if members.strip() else b""
    return b"{" + members + comma + b'"delivery_id":"' + id.encode() + b'"}'
