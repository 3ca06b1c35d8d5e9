"""/v1/apps: what users say of apps. Nobody says anything of their own."""

from typing import Annotated
from uuid import uuid4

import msgspec
from msgspec import Meta

from engine.store.app_reviews import AppReviewRow
from engine.web.answers import Done, missing
from engine.web.api import Api, Identify
from engine.web.app_access import AppChoice
from engine.web.app_documents import AppReview, app_review
from engine.web.app_ports import AppServices
from engine.web.apps import own_app, seen_app
from engine.web.errors import ApiError
from engine.web.record_ports import Now

__all__ = ["app_reviews"]


class NewReview(msgspec.Struct, frozen=True, kw_only=True):
    """What a user says of an app. `username`: as whom, the name that others read."""

    score: Annotated[float, Meta(ge=0, le=5)]
    review: Annotated[str, Meta(max_length=5000)] | None = None
    username: Annotated[str, Meta(max_length=100)] | None = None


class Reply(msgspec.Struct, frozen=True):
    """An answer to a review, which is named by its `uid`."""

    reviewer_uid: Annotated[str, Meta(min_length=1, max_length=128)]
    response: Annotated[str, Meta(max_length=5000, pattern=r"\S")]


class ReviewPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of them."""

    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    offset: Annotated[int, Meta(ge=0, le=1_000_000_000)] = 0


def app_reviews(services: AppServices, now: Now, identify: Identify) -> Api:
    """The routes."""
    api = Api("app_reviews", identify, prefix="/v1/apps", tag="Apps")
    registry, reviews = services.registry, services.reviews

    async def check_may(uid: str, app_id: str) -> None:
        if (await seen_app(registry, uid, app_id)).app.uid == uid:
            raise ApiError(403, "the app is your own: others review it")

    @api.post(
        "/review", "Say what you think of an app", query=AppChoice, body=NewReview, answer=Done, errors=(404,)
    )
    async def review(uid: str, query: AppChoice, body: NewReview) -> Done:
        await check_may(uid, query.app_id)
        said = AppReviewRow(uid=uid, app_id=query.app_id, id=uuid4().hex, score=body.score, rated_at=now())
        await reviews.put(
            msgspec.structs.replace(said, review=body.review or "", username=body.username or "")
        )
        return Done()

    @api.patch("/<app_id>/review", "Say otherwise what you think of an app", body=NewReview, answer=Done)
    async def change_review(uid: str, app_id: str, body: NewReview) -> Done:
        await check_may(uid, app_id)
        values = {"score": body.score, "review": body.review or "", "updated_at": now()}
        if body.username is not None:
            values["username"] = body.username
        if not await reviews.change(uid, app_id, values):
            raise missing("Review")
        return Done()

    @api.patch("/<app_id>/review/reply", "Answer a review of your app", body=Reply, answer=Done)
    async def reply(uid: str, app_id: str, body: Reply) -> Done:
        await own_app(registry, uid, app_id)
        if not await reviews.reply(app_id, body.reviewer_uid, body.response, now()):
            raise missing("Review")
        return Done()

    @api.get(
        "/<app_id>/reviews", "What is said of an app, newest first", query=ReviewPage, answer=list[AppReview]
    )
    async def list_reviews(uid: str, app_id: str, query: ReviewPage) -> list[AppReview]:
        await seen_app(registry, uid, app_id)
        said = await reviews.of(app_id, limit=query.limit, offset=query.offset)
        return [app_review(row, uid) for row in said]

    return api
