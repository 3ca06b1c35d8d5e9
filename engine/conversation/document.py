"""Fills in the full conversation as REST, events and webhooks show it: `engine.wire.documents`."""

import base64
from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from engine.moments import instant
from engine.store.records import ConversationRow
from engine.store.user_records import ActionItemRow, PhotoRow
from engine.store.whole import Whole
from engine.wire.documents import (
    ActionItemDocument,
    AppResult,
    ConversationDocument,
    Geolocation,
    PhotoDocument,
    PluginResult,
    StructuredDocument,
)
from engine.wire.messages import Segment

__all__ = [
    "conversation_document",
    "iso_time",
    "photo_document",
    "shared_document",
    "teaser_document",
    "whole_document",
]


def iso_time(microseconds: int) -> str:
    """Microseconds since the epoch as ISO 8601 in UTC: `2026-11-21T20:18:00.250000+00:00`."""
    return instant(microseconds).isoformat()


def conversation_document(
    row: ConversationRow,
    segments: Sequence[Segment],
    action_items: Sequence[ActionItemRow] = (),
    photos: Sequence[PhotoRow] = (),
) -> ConversationDocument:
    """The document of a conversation with these segments, action items and photos, all in their order.

    The owner's id is not part of it. What this server does not fill in is null or empty.
    """
    structured = msgspec.convert(row.structured, StructuredDocument)
    results = msgspec.convert(row.apps_results, tuple[AppResult, ...])
    location = row.geolocation
    return ConversationDocument(
        id=row.id,
        created_at=instant(row.created_at),
        started_at=instant(row.started_at),
        finished_at=instant(row.finished_at),
        source=row.source,
        language=row.language,
        structured=replace(structured, action_items=tuple(map(_action_item, action_items))),
        transcript_segments=tuple(segments),
        geolocation=None if location is None else msgspec.convert(location, Geolocation),
        photos=tuple(map(photo_document, photos)),
        apps_results=results,
        plugins_results=tuple(PluginResult(plugin_id=one.app_id, content=one.content) for one in results),
        external_data=row.external_data,
        app_id=row.app_id,
        discarded=row.discarded,
        visibility=row.visibility,
        starred=row.starred,
        status=row.status,
        is_locked=row.is_locked,
        folder_id=row.folder_id,
    )


def whole_document(whole: Whole) -> ConversationDocument:
    """The document of a conversation as it was read; of a locked one what `teaser_document` leaves."""
    document = conversation_document(whole.row, whole.segments, whole.action_items, whole.photos)
    return teaser_document(document) if whole.row.is_locked else document


def teaser_document(document: ConversationDocument) -> ConversationDocument:
    """What lists show of a locked conversation: that it is there, and what it was about."""
    return replace(
        document,
        structured=replace(document.structured, action_items=(), events=()),
        transcript_segments=(),
        photos=(),
        apps_results=(),
        plugins_results=(),
        suggested_summarization_apps=(),
    )


def shared_document(document: ConversationDocument) -> ConversationDocument:
    """What anybody may read who has the link: without audio, place, folder, or what an integration sent along."""
    return replace(
        document,
        geolocation=None,
        audio_files=(),
        external_data=None,
        folder_id=None,
        starred=False,
        transcript_segments=tuple(replace(one, person_id=None) for one in document.transcript_segments),
    )


def photo_document(row: PhotoRow) -> PhotoDocument:
    """A picture as clients read it."""
    return PhotoDocument(
        id=row.id,
        base64=base64.b64encode(row.image).decode(),
        description=row.description,
        created_at=instant(row.created_at),
        discarded=row.discarded,
    )


def _action_item(row: ActionItemRow) -> ActionItemDocument:
    return ActionItemDocument(
        description=row.description,
        completed=row.completed,
        created_at=instant(row.created_at),
        updated_at=instant(row.updated_at),
        due_at=None if row.due_at is None else instant(row.due_at),
        completed_at=None if row.completed_at is None else instant(row.completed_at),
        conversation_id=row.conversation_id,
    )
