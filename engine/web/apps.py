"""/v1/apps: apps that users register, and those that they see."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta
from quart import Response, current_app, request

from engine.ids import new_id
from engine.store.app_registry import AppFound, AppRow
from engine.web.answers import Done, existing, missing
from engine.web.api import Api, Identify
from engine.web.app_documents import AppDetails, AppDocument, app_details, app_document, submitted
from engine.web.app_ports import AppServices, Registry, Setup
from engine.web.errors import ApiError
from engine.web.reading import read_json
from engine.web.record_ports import Now
from engine.webhooks.app_setup import NotToBeHad
from engine.webhooks.signing import new_secret
from engine.webhooks.submission import (
    AppChange,
    ExternalIntegration,
    NewApp,
    absolute_tools,
    asked_at,
    wrong_with,
)
from engine.wire.images import image_type

__all__ = ["AppPage", "apps", "own_app", "seen_app"]

REVIEWS = 100
"""The latest reviews that are shown with an app."""
FORM = "app_data"
"""The field of a form in which clients that exist send what an app says of itself, its picture being in `file`."""

NOBODY = ""
"""Sees what is public."""

Prepare = Callable[[NewApp], Awaitable[NewApp]]


class AppPage(msgspec.Struct, frozen=True, kw_only=True):
    """Which apps: with `q` in name or description, of a category, that can do something."""

    q: Annotated[str, Meta(max_length=200)] | None = None
    category: Annotated[str, Meta(max_length=64)] | None = None
    capability: Annotated[str, Meta(max_length=64)] | None = None
    limit: Annotated[int, Meta(ge=1, le=1000)] = 1000
    offset: Annotated[int, Meta(ge=0, le=1_000_000_000)] = 0


class Registered(Done, frozen=True):
    """The app's id."""

    app_id: str = ""


class Refreshed(Done, frozen=True):
    """How many tools it has."""

    tools_count: int = 0


class VisibilityQuery(msgspec.Struct, frozen=True):
    """Whether it is there for its owner alone."""

    private: bool


def apps(services: AppServices, now: Now, identify: Identify) -> Api:
    """The routes."""
    api = Api("apps", identify, prefix="/v1/apps", tag="Apps")
    prepare = _preparing(services.setup)
    _seen(api, services, identify)
    _made(api, services, prepare, now)
    _changed(api, services.registry, prepare)
    return api


def _seen(api: Api, services: AppServices, identify: Identify) -> None:
    registry, reviews = services.registry, services.reviews

    @api.get(
        "",
        "The apps that the user sees, by name: public ones and their own",
        query=AppPage,
        answer=list[AppDocument],
    )
    async def list_apps(uid: str, query: AppPage) -> list[AppDocument]:
        found = await registry.list(
            uid,
            limit=query.limit,
            offset=query.offset,
            text=query.q,
            category=query.category,
            capability=query.capability,
        )
        return [app_document(one, uid, request.url_root) for one in found]

    @api.get("/<app_id>", "One app, with what is said of it", answer=AppDetails)
    async def one_app(uid: str, app_id: str) -> AppDetails:
        found = await seen_app(registry, uid, app_id)
        said = await reviews.of(app_id, limit=REVIEWS)
        own = await reviews.own(uid, app_id)
        if own is not None and own not in said:
            said = [*said, own]
        return app_details(found, uid, request.url_root, said)

    @api.get("/<app_id>/image", "The picture of a public app, or of one's own", public=True, media="image/*")
    async def app_image(app_id: str) -> Response:
        try:
            uid = await identify(request)
        except ApiError:
            uid = NOBODY
        image = existing(await registry.image(uid, app_id), "Picture")
        kind = image_type(image) or "application/octet-stream"  # without one it would be sent as a page
        response = current_app.response_class(image, content_type=kind)
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response


def _made(api: Api, services: AppServices, prepare: Prepare, now: Now) -> None:
    registry, most = services.registry, services.settings.registered

    @api.post("", "Register an app", creates=True, form=FORM, body=NewApp, answer=Registered, errors=(409,))
    async def register(uid: str, body: NewApp) -> Registered:
        app, image = await prepare(body), await _image()
        id, made = new_id().replace("-", ""), now()
        values = _columns(app) | ({"image": f"/v1/apps/{id}/image"} if image else {})
        row = AppRow(id=id, uid=uid, secret=new_secret(), created_at=made, updated_at=made, **values)
        if not await registry.add(row, most):
            raise ApiError(
                409, f"there are {most} apps of yours already, the most a user may have (apps.registered)"
            )
        if image:
            await registry.give_image(uid, id, image)
        return Registered(app_id=id)

    @api.delete("/<app_id>", "Remove an app, with its keys and what is said of it", answer=Done)
    async def remove(uid: str, app_id: str) -> Done:
        await own_app(registry, uid, app_id)
        if not await registry.remove(uid, app_id):
            raise missing("App")
        return Done()


def _changed(api: Api, registry: Registry, prepare: Prepare) -> None:
    async def keep(uid: str, app_id: str, values: dict[str, Any]) -> None:
        existing(await registry.change(uid, app_id, values), "App")

    @api.patch("/<app_id>", "Change an app", form=FORM, body=AppChange, answer=Done)
    async def change(uid: str, app_id: str, body: AppChange) -> Done:
        row, image = await own_app(registry, uid, app_id), await _image()
        given = {name: value for name, value in msgspec.structs.asdict(body).items() if value is not UNSET}
        integration = body.external_integration
        if isinstance(integration, ExternalIntegration) and integration.chat_tools_manifest_url:
            given.setdefault("chat_tools", [])  # then they are read from the manifest
        app = read_json(msgspec.json.encode(submitted(row) | given), NewApp)
        before, after = msgspec.structs.asdict(row), _columns(await prepare(app))
        if image:
            await registry.give_image(uid, app_id, image)
            after["image"] = f"/v1/apps/{app_id}/image"
        elif given.get("image") is None:
            after["image"] = row.image
        await keep(uid, app_id, {name: value for name, value in after.items() if before[name] != value})
        return Done()

    @api.patch(
        "/<app_id>/change-visibility", "Make an app public, or private", query=VisibilityQuery, answer=Done
    )
    async def change_visibility(uid: str, app_id: str, query: VisibilityQuery) -> Done:
        await own_app(registry, uid, app_id)
        await keep(uid, app_id, {"private": query.private})
        return Done()

    @api.post(
        "/<app_id>/refresh-manifest",
        "Read an app's tools from its manifest again",
        answer=Refreshed,
        errors=(409,),
    )
    async def refresh_manifest(uid: str, app_id: str) -> Refreshed:
        row = await own_app(registry, uid, app_id)
        if not (row.external_integration or {}).get("chat_tools_manifest_url"):
            raise ApiError(409, "the app has no chat_tools_manifest_url")
        app = read_json(msgspec.json.encode(submitted(row) | {"chat_tools": []}), NewApp)
        tools = _columns(await prepare(app))["chat_tools"]
        await keep(uid, app_id, {"chat_tools": tools})
        return Refreshed(tools_count=len(tools))


def _preparing(setup: Setup) -> Prepare:
    async def prepare(app: NewApp) -> NewApp:
        """The app as it is kept, with the tools of its manifest. Raises `ApiError` 422."""
        whole = await complete(app)
        if wrong := await setup.wrong_with(asked_at(whole)):
            raise ApiError(422, wrong)
        return whole

    async def complete(app: NewApp) -> NewApp:
        url = app.external_integration.chat_tools_manifest_url if app.external_integration else None
        if wrong := wrong_with(absolute_tools(app)):
            raise ApiError(422, wrong)
        if not url or app.chat_tools:
            return absolute_tools(app)
        try:
            tools = list(await setup.tools(url))
        except NotToBeHad as error:
            raise ApiError(422, f"chat_tools_manifest_url={url} is not accepted: {error}") from None
        whole = absolute_tools(msgspec.structs.replace(app, chat_tools=tools))
        if wrong := wrong_with(whole):
            raise ApiError(422, f"chat_tools_manifest_url={url} is not accepted: {wrong}")
        return whole

    return prepare


def _columns(app: NewApp) -> dict[str, Any]:
    values: dict[str, Any] = msgspec.to_builtins(app)
    notification = values.pop("proactive_notification") or {}
    scopes = list(dict.fromkeys(notification.get("scopes", ())))
    return values | {"scopes": scopes, "name": app.name.strip(), "image": app.image or ""}


async def _image() -> bytes | None:
    """The picture that was sent with a form. Raises `ApiError` 422 for what is none."""
    if request.mimetype != "multipart/form-data":
        return None
    file = (await request.files).get("file")
    if file is None:
        return None
    image: bytes = file.read()
    if image and image_type(image) is None:
        raise ApiError(422, "file is not accepted: use a JPEG, PNG, GIF or WebP picture")
    return image or None


async def seen_app(registry: Registry, uid: str, app_id: str) -> AppFound:
    """An app that the user sees. Raises `ApiError` 404."""
    return existing(await registry.get(uid, app_id), "App")


async def own_app(registry: Registry, uid: str, app_id: str) -> AppRow:
    """An app of the user's own. Raises `ApiError` 404 for one that they do not see, 403 for another's."""
    found = (await seen_app(registry, uid, app_id)).app
    if found.uid != uid:
        raise ApiError(403, "the app is another user's: only who registered it may do this")
    return found
