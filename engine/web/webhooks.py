"""/v1/users/developer: whom the user has told of what, how that went, and what it is signed with."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from engine.conversation.document import instant
from engine.store.deliveries import DeliveryFilter
from engine.store.webhook_records import DeliveryRow, SecretRow, WebhookRow
from engine.web.answers import Done, existing, missing
from engine.web.api import Api, Identify
from engine.web.errors import ApiError
from engine.web.reading import micros
from engine.web.webhook_ports import WebhookServices
from engine.webhooks.ports import AUDIO_BYTES, DEVELOPER, TRIGGERS, Trigger
from engine.webhooks.signing import new_secret
from engine.webhooks.urls import DEFAULT_SECONDS, split_seconds
from engine.wire.refusal import printable

__all__ = ["webhooks"]

REPLAY_LIMIT = 1000
"""Deliveries that one request sends again."""

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
    """Which deliveries that have ended are sent again: those made `since` and before `until`; of these states."""

    since: datetime
    until: datetime | None = None
    trigger: Trigger | None = None
    endpoint: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    states: tuple[Literal["delivered", "dead", "dropped"], ...] = ("dead", "dropped")


class Replayed(msgspec.Struct, frozen=True):
    """So many are sent again; at most 1,000 a request, the oldest first."""

    count: int


class Secret(msgspec.Struct, frozen=True, kw_only=True):
    """A secret; `expires_at`: until when one that was replaced goes on signing."""

    secret: str
    created_at: datetime
    expires_at: datetime | None


class Secrets(msgspec.Struct, frozen=True):
    """What the user's deliveries are signed with: `secret`, and all that are valid, the newest first."""

    secret: str
    secrets: list[Secret]


def webhooks(services: WebhookServices, identify: Identify) -> Api:
    """The routes."""
    api = Api("webhooks", identify, prefix="/v1/users/developer", tag="Webhooks")
    _settings(api, services)
    _status(api, services)
    _log(api, services)
    _secrets(api, services)
    return api


def _settings(api: Api, services: WebhookServices) -> None:
    table, path = services.table, "/webhook/<type>"

    @api.get(path, "Where a user's webhook goes", answer=WebhookUrl, errors=(404,))
    async def url(uid: str, type: str) -> WebhookUrl:
        row = await table.get(uid, DEVELOPER, _known(type))
        return WebhookUrl(_shown(row) if row else "")

    @api.post(path, "Set where a webhook goes, and turn it on", body=WebhookUrl, answer=Done, errors=(404,))
    async def set_url(uid: str, type: str, body: WebhookUrl) -> Done:
        _known(type)
        url, seconds = body.url.strip(), None
        if type == AUDIO_BYTES:
            url, seconds = split_seconds(url)
        if url in ("", ","):
            url = ""
        elif wrong := await services.check(url):
            raise ApiError(422, f"url={printable(body.url)} is not accepted: {wrong}")
        await table.set_url(uid, DEVELOPER, type, url, seconds)
        services.changed(uid)
        return Done()

    @api.post(f"{path}/enable", "Turn a webhook on", answer=Done, errors=(404,))
    async def enable(uid: str, type: str) -> Done:
        await table.enable(uid, DEVELOPER, _known(type))
        services.changed(uid)
        return Done()

    @api.post(f"{path}/disable", "Turn a webhook off; its URL is kept", answer=Done, errors=(404,))
    async def disable(uid: str, type: str) -> Done:
        await table.disable(uid, DEVELOPER, _known(type))
        services.changed(uid)
        return Done()


def _status(api: Api, services: WebhookServices) -> None:
    @api.get("/webhooks/status", "What is on, and how it is doing", answer=WebhookStatus)
    async def status(uid: str) -> WebhookStatus:
        rows = await services.table.list(uid)
        waiting = await services.log.counts(uid)
        own = {row.trigger: _is_on(row) and bool(row.url) for row in rows if row.name == DEVELOPER}
        return WebhookStatus(
            endpoints=[_endpoint(row, waiting.get((row.name, row.trigger), 0)) for row in rows],
            **{trigger: own.get(trigger, False) for trigger in TRIGGERS},
        )


def _log(api: Api, services: WebhookServices) -> None:
    path = "/webhooks/deliveries"

    @api.get(path, "What endpoints were told, newest first", query=DeliveryPage, answer=DeliveryList)
    async def page(uid: str, query: DeliveryPage) -> DeliveryList:
        chosen = DeliveryFilter(
            endpoint=query.endpoint,
            trigger=query.trigger,
            states=query.state,
            since=_micros(query.since),
            until=_micros(query.until),
        )
        rows = await services.log.list(uid, chosen, limit=query.limit, offset=query.offset)
        return DeliveryList([DeliveryDocument(**_delivery(row)) for row in rows])

    @api.get(f"{path}/<delivery_id>", "One delivery", answer=DeliveryDetails, errors=(404,))
    async def one(uid: str, delivery_id: str) -> DeliveryDetails:
        return _details(existing(await services.log.get(uid, delivery_id), "Delivery"))

    @api.post(f"{path}/<delivery_id>/replay", "Send it again", answer=Done, errors=(404, 409))
    async def replay(uid: str, delivery_id: str) -> Done:
        if not await services.log.replay(uid, delivery_id):
            row = await services.log.get(uid, delivery_id)
            if row is None:
                raise missing("Delivery")
            why = "it is being sent" if row.state == "pending" else "its audio is not kept"
            raise ApiError(409, f"the delivery cannot be sent again: {why}")
        services.changed(uid)
        return Done()

    @api.post("/webhooks/replay", "Send again what failed since a time", body=Replay, answer=Replayed)
    async def replay_all(uid: str, body: Replay) -> Replayed:
        chosen = DeliveryFilter(
            endpoint=body.endpoint,
            trigger=body.trigger,
            states=body.states,
            since=micros(body.since),
            until=_micros(body.until),
        )
        count = await services.log.replay_all(uid, chosen, REPLAY_LIMIT)
        services.changed(uid)
        return Replayed(count)


def _secrets(api: Api, services: WebhookServices) -> None:
    path = "/webhooks/secret"

    @api.get(path, "What deliveries are signed with", answer=Secrets)
    async def secret(uid: str) -> Secrets:
        return _secrets_document(await services.table.secrets(uid, new_secret()))

    @api.post(f"{path}/rotate", "Sign with a new secret; the old one signs, too, for a while", answer=Secrets)
    async def rotate(uid: str) -> Secrets:
        rows = await services.table.rotate(uid, new_secret(), services.overlap)
        services.changed(uid)
        return _secrets_document(rows)


def _known(trigger: str) -> str:
    """Raises `ApiError` 404 for what is no trigger."""
    if trigger not in TRIGGERS:
        raise ApiError(404, f"type={printable(trigger)} is not known: use one of {', '.join(TRIGGERS)}")
    return trigger


def _shown(row: WebhookRow) -> str:
    """As it was set: with `,seconds` unless these are the default."""
    if not row.url or row.seconds in (None, DEFAULT_SECONDS):
        return row.url
    return f"{row.url},{row.seconds}"


def _is_on(row: WebhookRow) -> bool:
    return row.enabled and row.disabled_at is None


def _endpoint(row: WebhookRow, waiting: int) -> EndpointDocument:
    fields = {name: getattr(row, name) for name in EndpointDocument.__struct_fields__ if name != "waiting"}
    times = _times(
        fields, "disabled_at", "paused_until", "failing_since", "last_attempt_at", "last_success_at"
    )
    return EndpointDocument(**fields | times | {"enabled": _is_on(row), "waiting": waiting})


def _delivery(row: DeliveryRow) -> dict[str, Any]:
    names = [name for name in DeliveryDocument.__struct_fields__ if name != "next_attempt_at"]
    fields = {name: getattr(row, name) for name in names} | {"next_attempt_at": row.due_at}
    return fields | _times(fields, "created_at", "next_attempt_at", "expires_at", "ended_at")


def _details(row: DeliveryRow) -> DeliveryDetails:
    history = [
        AttemptDocument(at=instant(at), status=status, milliseconds=milliseconds, reason=reason)
        for at, status, milliseconds, reason in row.history
    ]
    body = None if row.body is None else row.body.decode(errors="replace")
    return DeliveryDetails(**_delivery(row), query=row.query, history=history, body=body)


def _secrets_document(rows: Sequence[SecretRow]) -> Secrets:
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


def _micros(moment: datetime | None) -> int | None:
    return None if moment is None else micros(moment)
