"""/v1/users/developer: whom the user has told of what, how that went, and what it is signed with."""

from datetime import datetime

from engine.moments import micros
from engine.store.deliveries import DeliveryFilter
from engine.web.answers import Done, existing
from engine.web.api import Api, Identify
from engine.web.errors import ApiError
from engine.web.webhook_documents import (
    DeliveryDetails,
    DeliveryList,
    DeliveryPage,
    Replay,
    Secrets,
    WebhookStatus,
    WebhookUrl,
    delivery_details,
    delivery_document,
    endpoint_document,
    is_on,
    secrets_document,
    shown_url,
)
from engine.web.webhook_ports import WebhookServices
from engine.webhooks.ports import DEVELOPER
from engine.webhooks.replaying import Replayed, replay_since
from engine.webhooks.signing import new_secret
from engine.webhooks.triggers import AUDIO_BYTES, TRIGGERS
from engine.webhooks.urls import split_seconds
from engine.wire.refusal import printable

__all__ = ["webhooks"]

REPLAY_LIMIT = 1000
"""Deliveries that one request sends again."""


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
        return WebhookUrl(shown_url(row) if row else "")

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
        own = {row.trigger: is_on(row) and bool(row.url) for row in rows if row.name == DEVELOPER}
        return WebhookStatus(
            endpoints=[endpoint_document(row, waiting.get((row.name, row.trigger), 0)) for row in rows],
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
        return DeliveryList([delivery_document(row) for row in rows])

    @api.get(f"{path}/<delivery_id>", "One delivery", answer=DeliveryDetails, errors=(404,))
    async def one(uid: str, delivery_id: str) -> DeliveryDetails:
        return delivery_details(existing(await services.log.get(uid, delivery_id), "Delivery"))

    @api.post(f"{path}/<delivery_id>/replay", "Send it again", answer=Done, errors=(404, 409))
    async def replay(uid: str, delivery_id: str) -> Done:
        row = existing(await services.log.get(uid, delivery_id), "Delivery")
        if row.file is not None and await services.gone([row.file]):
            raise ApiError(409, "the delivery cannot be sent again: its audio is not kept any more")
        if not await services.log.replay(uid, delivery_id):
            why = "it is being sent" if row.state == "pending" else "it never was one"
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
        replayed = await replay_since(services.log, services.gone, uid, chosen, REPLAY_LIMIT)
        services.changed(uid)
        return replayed


def _secrets(api: Api, services: WebhookServices) -> None:
    path = "/webhooks/secret"

    @api.get(path, "What deliveries are signed with", answer=Secrets)
    async def secret(uid: str) -> Secrets:
        return secrets_document(await services.table.secrets(uid, new_secret()))

    @api.post(f"{path}/rotate", "Sign with a new secret; the old one signs, too, for a while", answer=Secrets)
    async def rotate(uid: str) -> Secrets:
        rows = await services.table.rotate(uid, new_secret(), services.overlap)
        services.changed(uid)
        return secrets_document(rows)


def _known(trigger: str) -> str:
    """Raises `ApiError` 404 for what is no trigger."""
    if trigger not in TRIGGERS:
        raise ApiError(404, f"type={printable(trigger)} is not known: use one of {', '.join(TRIGGERS)}")
    return trigger


def _micros(moment: datetime | None) -> int | None:
    return None if moment is None else micros(moment)
