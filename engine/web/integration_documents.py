"""The shapes of the Integration API: what apps ask for and give, and what they get."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from engine.web.conversations import Status
from engine.web.given import GivenText
from engine.web.memories import MemoryDocument, Tag
from engine.webhooks.notices import LONGEST
from engine.wire import ConversationDocument

__all__ = [
    "AppConversationList",
    "AppConversationPage",
    "AppMemories",
    "AppMemory",
    "AppMemoryList",
    "AppMemoryPage",
    "AppNotification",
    "AppTelling",
    "AppText",
    "ForUser",
    "Nothing",
]

Uid = Annotated[str, Meta(min_length=1, max_length=128)]


class ForUser(msgspec.Struct, frozen=True, kw_only=True):
    """Whose data it is."""

    uid: Uid


class AppConversationPage(ForUser, frozen=True, kw_only=True):
    """Which conversations; none of `statuses` means any. Of each transcript the first segments, for -1 all."""

    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    offset: Annotated[int, Meta(ge=0)] = 0
    include_discarded: bool = False
    statuses: tuple[Status, ...] = ()
    start_date: datetime | None = None
    end_date: datetime | None = None
    max_transcript_segments: Annotated[int, Meta(ge=-1, le=1000)] = 100


class AppMemoryPage(ForUser, frozen=True, kw_only=True):
    """Which memories."""

    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    offset: Annotated[int, Meta(ge=0)] = 0


class AppText(GivenText, frozen=True, kw_only=True):
    """A conversation as a text."""

    text_source: Literal["audio_transcript", "message", "other_text"] = "audio_transcript"


class AppMemory(msgspec.Struct, frozen=True):
    """Something that is so about the user."""

    content: Annotated[str, Meta(max_length=500, pattern=r"\S")]
    tags: Annotated[list[Tag], Meta(max_length=50)] | None = None


class AppMemories(msgspec.Struct, frozen=True, kw_only=True):
    """What an app knows about the user: said as such, or in a text that says it (one of the two at least).

    Of a text only what it says is kept.
    """

    text: Annotated[str, Meta(max_length=100_000)] | None = None
    text_source: Literal["email", "social_post", "other"] = "other"
    text_source_spec: Annotated[str, Meta(max_length=200)] | None = None
    memories: Annotated[list[AppMemory], Meta(max_length=100)] | None = None


class AppNotification(ForUser, frozen=True, kw_only=True):
    """What a user is told."""

    message: Annotated[str, Meta(min_length=1, max_length=LONGEST)]


class AppTelling(ForUser, frozen=True, kw_only=True):
    """What a user is told, by the app whose id is `aid`."""

    aid: Annotated[str, Meta(min_length=1, max_length=128)]
    message: Annotated[str, Meta(min_length=1, max_length=LONGEST)]


class Nothing(msgspec.Struct, frozen=True):
    """It was done."""


class AppConversationList(msgspec.Struct, frozen=True):
    """A page of conversations, newest first."""

    conversations: list[ConversationDocument]


class AppMemoryList(msgspec.Struct, frozen=True):
    """A page of memories, newest first."""

    memories: list[MemoryDocument]
