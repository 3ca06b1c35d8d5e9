"""/v1/received: what was posted to this server for a user: listed, fetched, watched, deleted by that user."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from engine.moments import instant
from engine.store.received_records import (
    AUDIO,
    RESULTS,
    ReceivedFileRow,
    ReceivedMessageRow,
    results_id,
)
from engine.web.answers import Deleted, existing
from engine.web.api import Api, Identify
from engine.web.receiver_ports import ReceiverServices
from engine.webhooks.receiver.events import EventsRead

__all__ = ["received"]

LINK_SECONDS = 3600.0

Trigger = Literal["memory_created", "realtime_transcript", "day_summary"]


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Which ones, newest first."""

    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    offset: Annotated[int, Meta(ge=0)] = 0


class MessagePage(Page, frozen=True, kw_only=True):
    """Which ones, newest first; of one trigger or of all."""

    trigger: Trigger | None = None


class EventsAfter(msgspec.Struct, frozen=True, kw_only=True):
    """Those after number `after`, which is the last answer's `next`; for the first of them `wait` so many seconds."""

    after: Annotated[int, Meta(ge=0)] = 0
    wait: Annotated[float, Meta(ge=0, le=20)] = 0.0


class ReceivedAudio(msgspec.Struct, frozen=True, kw_only=True):
    """A WAV file. `start`, in seconds, is where it begins in its session; `size` in bytes.

    `url` and `results_url` (lines of JSON, what processors said of it) are good for an hour.
    """

    id: str
    created_at: datetime
    session_id: str
    session_began_at: datetime
    start: float
    seconds: float
    sample_rate: int
    size: int
    url: str | None = None
    results_url: str | None = None


class ReceivedMessage(msgspec.Struct, frozen=True, kw_only=True):
    """What a webhook said; `body` as it came."""

    id: str
    trigger: str
    delivery_id: str | None
    session_id: str | None
    created_at: datetime
    size: int
    body: msgspec.Raw


class ReceivedStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of the user, in files, messages and bytes; `oldest_at` is None for nothing.

    `retention_days` and `quota_bytes`: after and above which the oldest is erased; 0: not at all.
    """

    files: int
    messages: int
    bytes: int
    oldest_at: datetime | None
    retention_days: float
    quota_bytes: int


def received(services: ReceiverServices, identify: Identify) -> Api:
    """The routes."""
    api = Api("received", identify, prefix="/v1/received", tag="Receiving")
    _about(api, services)
    _audio(api, services)
    _messages(api, services)
    return api


def _about(api: Api, services: ReceiverServices) -> None:
    @api.get("/status", "How much is kept of what was received", answer=ReceivedStatus)
    async def get_status(uid: str) -> ReceivedStatus:
        totals = await services.received.totals(uid)
        return ReceivedStatus(
            files=totals.files,
            messages=totals.messages,
            bytes=totals.bytes,
            oldest_at=None if totals.oldest_at is None else instant(totals.oldest_at),
            retention_days=services.settings.retention_days,
            quota_bytes=round(services.settings.user_quota_mib * 2**20),
        )

    @api.get(
        "/events",
        "What happened to audio that was received, the oldest first",
        query=EventsAfter,
        answer=EventsRead,
    )
    async def get_events(uid: str, query: EventsAfter) -> EventsRead:
        return await services.events.read(uid, query.after, query.wait)


def _audio(api: Api, services: ReceiverServices) -> None:
    files, blobs = services.received.files, services.blobs

    @api.get("/audio", "Audio that was received", query=Page, answer=list[ReceivedAudio])
    async def list_audio(uid: str, query: Page) -> list[ReceivedAudio]:
        rows = await files.of_kind(uid, AUDIO, limit=query.limit, offset=query.offset)
        return [_document(row) for row in rows]

    @api.get(
        "/audio/<audio_id>", "One of them, with links to its file", answer=ReceivedAudio, errors=(404, 503)
    )
    async def get_audio(uid: str, audio_id: str) -> ReceivedAudio:
        row, results = await _both(services, uid, audio_id)
        url = await blobs.link(uid, row.name, LINK_SECONDS)
        results_url = None if results is None else await blobs.link(uid, results.name, LINK_SECONDS)
        return msgspec.structs.replace(_document(row), url=url, results_url=results_url)

    @api.delete("/audio/<audio_id>", "Delete audio that was received", answer=Deleted, errors=(404, 503))
    async def delete_audio(uid: str, audio_id: str) -> Deleted:
        row, results = await _both(services, uid, audio_id)
        for one in (results, row):
            if one is not None:
                await blobs.delete(uid, one.name)
                await files.delete(uid, one.id)
        return Deleted()


async def _both(
    services: ReceiverServices, uid: str, audio_id: str
) -> tuple[ReceivedFileRow, ReceivedFileRow | None]:
    """The row of a file, and of what was said about it. Raises `ApiError` 404."""
    rows: Sequence[ReceivedFileRow] = await services.received.files.some(
        uid, [audio_id, results_id(audio_id)]
    )
    by_kind = {row.kind: row for row in rows}
    return existing(by_kind.get(AUDIO), "Audio"), by_kind.get(RESULTS)


def _messages(api: Api, services: ReceiverServices) -> None:
    messages = services.received.messages

    @api.get(
        "/messages",
        "What webhooks said, but for audio",
        query=MessagePage,
        answer=list[ReceivedMessage],
    )
    async def list_messages(uid: str, query: MessagePage) -> list[ReceivedMessage]:
        rows = await messages.of_trigger(uid, query.trigger, limit=query.limit, offset=query.offset)
        return [_message(row) for row in rows]

    @api.get("/messages/<received_id>", "One of them", answer=ReceivedMessage, errors=(404,))
    async def get_message(uid: str, received_id: str) -> ReceivedMessage:
        return _message(existing(await messages.get(uid, received_id), "Message"))

    @api.delete("/messages/<received_id>", "Delete one of them", answer=Deleted, errors=(404,))
    async def delete_message(uid: str, received_id: str) -> Deleted:
        existing(await messages.delete(uid, received_id) or None, "Message")
        return Deleted()


def _document(row: ReceivedFileRow) -> ReceivedAudio:
    return ReceivedAudio(
        id=row.id,
        created_at=instant(row.created_at),
        session_id=row.session_id,
        session_began_at=instant(row.session_began_at),
        start=round(row.position / row.sample_rate, 6),
        seconds=round(row.samples / row.sample_rate, 6),
        sample_rate=row.sample_rate,
        size=row.size,
    )


def _message(row: ReceivedMessageRow) -> ReceivedMessage:
    return ReceivedMessage(
        id=row.id,
        trigger=row.trigger,
        delivery_id=row.delivery_id,
        session_id=row.session_id,
        created_at=instant(row.created_at),
        size=row.size,
        body=msgspec.Raw(row.body),
    )
