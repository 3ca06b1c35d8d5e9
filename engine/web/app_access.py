"""/v1/apps: what a user lets apps do, and what an app needs for that: its setup, its keys, its secret."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from engine.moments import HOUR, instant
from engine.store.apps import AppKeyRow
from engine.web.answers import Done, missing
from engine.web.api import Api, Identify
from engine.web.app_ports import AppServices
from engine.web.apps import own_app, seen_app
from engine.web.errors import ApiError
from engine.web.record_ports import Now
from engine.webhooks.app_setup import NotToBeHad, integration_of
from engine.webhooks.apps import PREFIX, trigger_of
from engine.webhooks.signing import new_secret
from engine.webhooks.submission import AuthStep, linked, opened, text_for

__all__ = ["app_access", "app_preferences"]

MOST_KEYS = 100
"""Valid keys of one app."""
NOT_COMPLETED = "App setup is not completed"
"""What clients that exist compare the answer with, before they open the page on which it is done."""


class AppChoice(msgspec.Struct, frozen=True):
    """Which app."""

    app_id: Annotated[str, Meta(min_length=1, max_length=128)]


class SetupDocument(msgspec.Struct, frozen=True, kw_only=True):
    """How an app is set up by this user: every address has their id in its query.

    `reason`: why nobody can tell whether it is. `setup_instructions`: a text, or an address.
    """

    is_setup_completed: bool
    reason: str | None = None
    auth_steps: list[AuthStep]
    setup_instructions: str | None
    is_instructions_url: bool


class AppKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key of an app, which it is told in `secret` once, when it is made."""

    id: str
    label: str
    created_at: datetime
    secret: str | None = None


class WebhookSecret(msgspec.Struct, frozen=True):
    """What is sent to the app is signed with it (Standard Webhooks)."""

    secret: str


def app_access(services: AppServices, now: Now, overlap_hours: float, identify: Identify) -> Api:
    """The routes. `overlap_hours`: how long a secret goes on signing that another took the place of."""
    api = Api("app_access", identify, prefix="/v1/apps", tag="Apps")
    _enabling(api, services)
    _keys(api, services)
    _secrets(api, services, now, round(overlap_hours * HOUR))
    return api


def _enabling(api: Api, services: AppServices) -> None:
    apps, registry, setup = services.apps, services.registry, services.setup

    @api.get("/enabled", "The ids of the apps that have your data", answer=list[str])
    async def enabled_apps(uid: str) -> list[str]:
        return await apps.enabled(uid)

    @api.post(
        "/enable",
        "Let an app have your data, once it is set up",
        query=AppChoice,
        answer=Done,
        errors=(400, 404),
    )
    async def enable(uid: str, query: AppChoice) -> Done:
        if not await apps.exists(query.app_id, uid):
            raise missing("App")
        found = await registry.get(uid, query.app_id)
        if found is not None:
            try:
                completed = await setup.completed(integration_of(found.app), uid)
            except NotToBeHad as error:
                raise ApiError(400, f"{NOT_COMPLETED}: {error}") from None
            if not completed:
                raise ApiError(400, NOT_COMPLETED)
        await apps.enable(uid, query.app_id)
        trigger = None if found is None else trigger_of(found.app)
        if trigger is not None:
            await services.endpoints.enable(uid, PREFIX + query.app_id, trigger)  # whatever had turned it off
        services.changed(uid)
        return Done()

    @api.post("/disable", "Let an app have your data no more", query=AppChoice, answer=Done, errors=(404,))
    async def disable(uid: str, query: AppChoice) -> Done:
        if not await apps.disable(uid, query.app_id):
            raise missing("App")
        services.changed(uid)
        return Done()

    @api.get("/<app_id>/setup", "How an app is set up, and whether it is", answer=SetupDocument)
    async def setup_of(uid: str, app_id: str) -> SetupDocument:
        integration = integration_of((await seen_app(registry, uid, app_id)).app)
        completed, reason = False, None
        try:
            completed = await setup.completed(integration, uid)
        except NotToBeHad as error:
            reason = str(error)
        told = integration.setup_instructions_file_path or None
        is_url = told is not None and told.startswith(("https://", "http://")) and len(told.split()) == 1
        if told is not None:
            told = opened(told, uid) if is_url else text_for(told, uid)
        return SetupDocument(
            is_setup_completed=completed,
            reason=reason,
            auth_steps=linked(integration.auth_steps or (), uid),
            setup_instructions=told,
            is_instructions_url=is_url,
        )


def _keys(api: Api, services: AppServices) -> None:
    apps, registry = services.apps, services.registry

    async def valid(app_id: str) -> list[AppKeyRow]:
        return [row for row in await apps.list_keys(app_id) if row.revoked_at is None]

    @api.get("/<app_id>/keys", "The keys of your app that are valid", answer=list[AppKey])
    async def app_keys(uid: str, app_id: str) -> list[AppKey]:
        await own_app(registry, uid, app_id)
        return [_key(row) for row in await valid(app_id)]

    @api.post(
        "/<app_id>/keys", "Make a key of your app, for the Integration API", answer=AppKey, errors=(409,)
    )
    async def make_key(uid: str, app_id: str) -> AppKey:
        await own_app(registry, uid, app_id)
        if len(await valid(app_id)) >= MOST_KEYS:
            raise ApiError(
                409, f"there are {MOST_KEYS} keys already, the most an app may have: revoke one first"
            )
        row, key = await apps.issue_key(app_id, uid)
        return _key(row, key)

    @api.delete("/<app_id>/keys/<key_id>", "Make a key of your app invalid for good", answer=Done)
    async def revoke_key(uid: str, app_id: str, key_id: str) -> Done:
        await own_app(registry, uid, app_id)
        if not await apps.revoke_key(key_id, app_id):
            raise missing("Key")
        return Done()


def _key(row: AppKeyRow, secret: str | None = None) -> AppKey:
    return AppKey(id=row.id, label=row.label, created_at=instant(row.created_at), secret=secret)


def _secrets(api: Api, services: AppServices, now: Now, overlap: int) -> None:
    registry = services.registry

    @api.get("/<app_id>/secret", "What is sent to your app is signed with this", answer=WebhookSecret)
    async def app_secret(uid: str, app_id: str) -> WebhookSecret:
        return WebhookSecret((await own_app(registry, uid, app_id)).secret)

    @api.post(
        "/<app_id>/secret/rotate",
        "Sign what is sent to your app with a new secret; the old one signs, too, for a while",
        answer=WebhookSecret,
    )
    async def rotate_secret(uid: str, app_id: str) -> WebhookSecret:
        old = (await own_app(registry, uid, app_id)).secret
        made = new_secret()
        values = {"secret": made, "old_secret": old, "old_secret_until": now() + overlap}
        if await registry.change(uid, app_id, values) is None:
            raise missing("App")
        return WebhookSecret(made)


def app_preferences(services: AppServices, identify: Identify) -> Api:
    """Which app is asked first what to make of a conversation."""
    api = Api("app_preferences", identify, prefix="/v1/users/preferences", tag="Apps")

    @api.route(
        "PUT",
        "/app",
        "Put an app's prompt to conversations before others'",
        query=AppChoice,
        answer=Done,
        errors=(404,),
    )
    async def prefer_app(uid: str, query: AppChoice) -> Done:
        if not await services.registry.prefer(uid, query.app_id):
            raise ApiError(404, "App not found among those that you have enabled")
        return Done()

    return api
