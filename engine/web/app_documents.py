"""Apps and their reviews as clients read them."""

from datetime import datetime
from typing import Any

import msgspec

from engine.moments import instant
from engine.store.app_registry import AppFound, AppRow
from engine.store.app_reviews import AppReviewRow
from engine.webhooks.app_setup import integration_of
from engine.webhooks.submission import ChatTool, ExternalIntegration, NewApp

__all__ = [
    "AppDetails",
    "AppDocument",
    "AppReview",
    "Scopes",
    "app_details",
    "app_document",
    "app_review",
    "submitted",
]


class Scopes(msgspec.Struct, frozen=True):
    """What of a user the app's notifications may be made of."""

    scopes: list[str]


class AppReview(msgspec.Struct, frozen=True, kw_only=True):
    """What a user says of an app. `uid` is the user's own id to themselves, to others one that stands for them."""

    uid: str
    rated_at: datetime
    score: float
    review: str
    username: str
    user_name: str
    response: str
    updated_at: datetime | None
    responded_at: datetime | None


class AppDocument(msgspec.Struct, frozen=True, kw_only=True):
    """An app. `uid`, prompts, and where it is sent what happens are told to its owner alone."""

    id: str
    name: str
    uid: str | None
    private: bool
    approved: bool = True
    status: str = "approved"
    category: str
    author: str
    description: str
    image: str
    capabilities: list[str]
    external_integration: ExternalIntegration | None
    proactive_notification: Scopes | None
    chat_tools: list[ChatTool]
    rating_avg: float | None
    rating_count: int
    installs: int
    enabled: bool
    deleted: bool = False
    is_paid: bool = False
    price: float = 0.0
    is_user_paid: bool = False
    thumbnails: list[str] = []
    thumbnail_urls: list[str] = []
    created_at: datetime


class AppDetails(AppDocument, frozen=True, kw_only=True):
    """An app with what is said of it, newest first, and what the user says."""

    memory_prompt: str | None
    chat_prompt: str | None
    reviews: list[AppReview]
    user_review: AppReview | None


def app_document(found: AppFound, uid: str, root: str) -> AppDocument:
    """The app as `uid` reads it. `root`: the address of this server, at which the picture is."""
    return AppDocument(**_fields(found, uid, root))


def app_details(found: AppFound, uid: str, root: str, reviews: list[AppReviewRow]) -> AppDetails:
    """As `app_document`, with `reviews`."""
    row, own = found.app, found.app.uid == uid
    said = [app_review(review, uid) for review in reviews if review.review]
    mine = next((app_review(review, uid) for review in reviews if review.uid == uid), None)
    return AppDetails(
        **_fields(found, uid, root),
        memory_prompt=row.memory_prompt if own else None,
        chat_prompt=row.chat_prompt if own else None,
        reviews=said,
        user_review=mine,
    )


def _fields(found: AppFound, uid: str, root: str) -> dict[str, Any]:
    row, own = found.app, found.app.uid == uid
    integration = None if row.external_integration is None else integration_of(row)
    if integration is not None and not own:
        integration = msgspec.structs.replace(integration, webhook_url=None, chat_tools_manifest_url=None)
    return {
        "id": row.id,
        "name": row.name,
        "uid": row.uid if own else None,
        "private": row.private,
        "category": row.category,
        "author": row.author,
        "description": row.description,
        "image": root.rstrip("/") + row.image if row.image.startswith("/") else row.image,
        "capabilities": row.capabilities,
        "external_integration": integration,
        "proactive_notification": Scopes(row.scopes) if row.scopes else None,
        "chat_tools": msgspec.convert(row.chat_tools, list[ChatTool]) if own else [],
        "rating_avg": found.rating,
        "rating_count": found.ratings,
        "installs": found.installs,
        "enabled": found.enabled,
        "created_at": instant(row.created_at),
    }


def app_review(row: AppReviewRow, uid: str) -> AppReview:
    """A review as `uid` reads it."""
    return AppReview(
        uid=uid if row.uid == uid else row.id,
        rated_at=instant(row.rated_at),
        score=row.score,
        review=row.review,
        username=row.username,
        user_name=row.username,
        response=row.response,
        updated_at=None if row.updated_at is None else instant(row.updated_at),
        responded_at=None if row.responded_at is None else instant(row.responded_at),
    )


def submitted(row: AppRow) -> dict[str, Any]:
    """The app as it would be registered again; a picture that was sent as a file is not said."""
    said = {name: getattr(row, name) for name in NewApp.__struct_fields__ if name != "proactive_notification"}
    image = "" if row.image.startswith("/") else row.image
    return {**said, "image": image, "proactive_notification": {"scopes": row.scopes}}
