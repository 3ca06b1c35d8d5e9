"""What the routes about webhooks take and answer."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from engine.moments import instant
from engine.store.webhook_records import DeliveryRow, SecretRow, WebhookRow
from engine.webhooks.triggers import Trigger
from engine.webhooks.urls import DEFAULT_SECONDS

__all__ = [
    "DeliveryDetails",
    "DeliveryDocument",
    "DeliveryList",
    "DeliveryPage",
    "Replay",
    "Secrets",
    "WebhookStatus",
    "WebhookUrl",
    "delivery_details",
    "delivery_document",
    "endpoint_document",
    "is_on",
    "secrets_document",
    "shown_url",
]

State = Literal["pending", "delivered", "dead", "dropped", "lost"]


class WebhookUrl(msgspec.Struct, frozen=True):
    """Where it goes; for audio `url,seconds`. Empty, or a comma: nowhere."""

    url: Annotated[str, Meta(max_length=2100)]


class EndpointDocument(msgspec.Struct, frozen=True, kw_only=True):
    """How an endpoint is doing. `name`: developer, or app: and the app's id; `seconds` of audio in a request.

    `enabled`: whether it is sent to; `disabled_reason` says why it was turned off, if its owner did not. It gets
    nothing before `paused_until`. Counters are since it was made: `requests` and `bytes` sent in them, and deliveries
    by how they ended; `waiting` have not.
    """

    name: str
    trigger: str
    enabled: bool
    seconds: int | None
    disabled_at: datetime | None
    disabled_reason: str | None
    paused_until: datetime | None
    failures: int
    failing_since: datetime | None
    waiting: int
    requests: int
    bytes: int
    delivered: int
    dead: int
    dropped: int
    lost: int
    last_status: int | None
    last_reason: str | None
    last_attempt_at: datetime | None
    last_success_at: datetime | None


class WebhookStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What is on of what the user has set, and how all endpoints are doing, those of apps among them."""

    audio_bytes: bool
    memory_created: bool
    realtime_transcript: bool
    day_summary: bool
    endpoints: list[EndpointDocument]


class AttemptDocument(msgspec.Struct, frozen=True, kw_only=True):
    """One request: answered with `status`, or not, after `milliseconds`; `reason`: why it did not work."""

    at: datetime
    status: int | None
    milliseconds: int
    reason: str | None


class DeliveryDocument(msgspec.Struct, frozen=True, kw_only=True):
    """Something an endpoint is told, or was. `status`, `milliseconds` and `reason` are the latest attempt's.

    `next_attempt_at`: while pending; `expires_at`: when it is dropped instead. `size` in bytes.
    """

    id: str
    endpoint: str
    trigger: str
    state: str
    created_at: datetime
    next_attempt_at: datetime | None
    expires_at: datetime | None
    ended_at: datetime | None
    attempts: int
    status: int | None
    milliseconds: int | None
    reason: str | None
    size: int
    content_type: str


class DeliveryDetails(DeliveryDocument, frozen=True, kw_only=True):
    """A delivery with its latest attempts, and its body as text while that is kept."""

    query: dict[str, str]
    history: list[AttemptDocument]
    body: str | None


class DeliveryPage(msgspec.Struct, frozen=True):
    """Which deliveries, newest first."""

    trigger: Trigger | None = None
    endpoint: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    state: tuple[State, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    offset: Annotated[int, Meta(ge=0)] = 0


class DeliveryList(msgspec.Struct, frozen=True):
    """A page of deliveries, newest first."""

    deliveries: list[DeliveryDocument]


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """Which deliveries that have ended are sent again: those made `since` and before `until`; of these states.

    At most 1,000 a request, the oldest first.
    """

    since: datetime
    until: datetime | None = None
    trigger: Trigger | None = None
    endpoint: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    states: tuple[Literal["delivered", "dead", "dropped"], ...] = ("dead", "dropped")


class Secret(msgspec.Struct, frozen=True, kw_only=True):
    """A secret; `expires_at`: until when one that was replaced goes on signing."""

    secret: str
    created_at: datetime
    expires_at: datetime | None


class Secrets(msgspec.Struct, frozen=True):
    """What the user's deliveries are signed with: `secret`, and all that are valid, the newest first."""

    secret: str
    secrets: list[Secret]


def shown_url(row: WebhookRow) -> str:
    """As it was set: with `,seconds` unless these are the default."""
    if not row.url or row.seconds in (None, DEFAULT_SECONDS):
        return row.url
    return f"{row.url},{row.seconds}"


def is_on(row: WebhookRow) -> bool:
    """Whether it is sent to, if it has a URL."""
    return row.enabled and row.disabled_at is None


def endpoint_document(row: WebhookRow, waiting: int) -> EndpointDocument:
    """How an endpoint is doing, as its owner reads it."""
    fields = {name: getattr(row, name) for name in EndpointDocument.__struct_fields__ if name != "waiting"}
    times = _times(
        fields, "disabled_at", "paused_until", "failing_since", "last_attempt_at", "last_success_at"
    )
    return EndpointDocument(**fields | times | {"enabled": is_on(row), "waiting": waiting})


def delivery_document(row: DeliveryRow) -> DeliveryDocument:
    """A delivery as its owner reads it."""
    return DeliveryDocument(**_delivery(row))


def _delivery(row: DeliveryRow) -> dict[str, Any]:
    names = [name for name in DeliveryDocument.__struct_fields__ if name != "next_attempt_at"]
    fields = {name: getattr(row, name) for name in names} | {"next_attempt_at": row.due_at}
    return fields | _times(fields, "created_at", "next_attempt_at", "expires_at", "ended_at")


def delivery_details(row: DeliveryRow) -> DeliveryDetails:
    """A delivery with all that is known of it."""
    history = [
        AttemptDocument(at=instant(at), status=status, milliseconds=milliseconds, reason=reason)
        for at, status, milliseconds, reason in row.history
    ]
    body = None if row.body is None else row.body.decode(errors="replace")
    return DeliveryDetails(**_delivery(row), query=row.query, history=history, body=body)


def secrets_document(rows: Sequence[SecretRow]) -> Secrets:
    """Secrets as their owner reads them; there is one at least."""
    shown = [
        Secret(
            secret=row.secret,
            created_at=instant(row.created_at),
            expires_at=None if row.expires_at is None else instant(row.expires_at),
        )
        for row in rows
    ]
    return Secrets(rows[0].secret, shown)


def _times(fields: Mapping[str, Any], *names: str) -> dict[str, datetime | None]:
    return {name: None if fields[name] is None else instant(fields[name]) for name in names}
