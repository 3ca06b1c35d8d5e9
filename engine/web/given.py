"""Conversations that programs and apps give whole: what they send, and what becomes of it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from engine.conversation.given import Given
from engine.ids import new_id
from engine.moments import micros
from engine.store.records import ConversationRow
from engine.web.errors import ApiError
from engine.web.ports import Requests
from engine.wire import Segment
from engine.wire.messages import speaker_label
from engine.wire.parameters import SOURCES, UNKNOWN_SOURCE

__all__ = ["GivenSegments", "GivenText", "Place", "give_segments", "give_text"]

EXTERNAL = "external_integration"
SEGMENTS = 500
LONGEST = 1_000_000.0
"""Seconds: no segment ends later."""

Seconds = Annotated[float, Meta(ge=0, le=LONGEST)]


class Place(msgspec.Struct, frozen=True):
    """Where somebody was, in degrees."""

    latitude: Annotated[float, Meta(ge=-90, le=90)]
    longitude: Annotated[float, Meta(ge=-180, le=180)]
    google_place_id: Annotated[str, Meta(max_length=300)] | None = None
    address: Annotated[str, Meta(max_length=500)] | None = None
    location_type: Annotated[str, Meta(max_length=100)] | None = None


class _Given(msgspec.Struct, frozen=True, kw_only=True):
    """When, where and in which language."""

    started_at: datetime | None = None
    finished_at: datetime | None = None
    language: Annotated[str, Meta(max_length=35)] | None = None
    geolocation: Place | None = None


class GivenText(_Given, frozen=True, kw_only=True):
    """A conversation as a text. `text_source_spec` says more of where it is from, such as "email"."""

    text: Annotated[str, Meta(max_length=100_000, pattern=r"\S")]
    text_source: Literal["audio_transcript", "message", "other_text"] = "other_text"
    text_source_spec: Annotated[str, Meta(max_length=200)] | None = None


class GivenSegment(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of transcript by one speaker; `start` and `end` in seconds since the conversation began."""

    text: Annotated[str, Meta(max_length=10_000, pattern=r"\S")]
    start: Seconds
    end: Seconds
    speaker: Annotated[str, Meta(max_length=64)] | None = None
    speaker_id: Annotated[int, Meta(ge=0, le=999)] | None = None
    is_user: bool = False
    person_id: Annotated[str, Meta(max_length=128)] | None = None


class GivenSegments(_Given, frozen=True, kw_only=True):
    """A conversation as a transcript. A `source` nobody knows is kept as `unknown`."""

    transcript_segments: Annotated[list[GivenSegment], Meta(min_length=1, max_length=SEGMENTS)]
    source: Annotated[str, Meta(max_length=64)] | None = None


async def give_text(
    requests: Requests, uid: str, given: GivenText, app_id: str | None = None
) -> ConversationRow:
    """The conversation that is made of it, `processing`. Raises `ApiError` 422."""
    return await requests.from_text(
        uid,
        given.text.strip(),
        text_source=given.text_source,
        text_source_spec=given.text_source_spec,
        given=_about(given, EXTERNAL, app_id),
    )


async def give_segments(requests: Requests, uid: str, given: GivenSegments) -> ConversationRow:
    """The conversation that is made of it, `processing`. Raises `ApiError` 422."""
    source = given.source or EXTERNAL
    about = _about(given, source if source in SOURCES else UNKNOWN_SOURCE)
    return await requests.from_segments(uid, _segments(given.transcript_segments), given=about)


def _about(given: _Given, source: str, app_id: str | None = None) -> Given:
    start, end = (None if at is None else micros(at) for at in (given.started_at, given.finished_at))
    if start is not None and end is not None and end < start:
        raise ApiError(
            422, f"finished_at={given.finished_at} is not accepted: use a time not before started_at"
        )
    place = given.geolocation
    return Given(
        started_at=start,
        finished_at=end,
        source=source,
        language=given.language or None,
        geolocation=None if place is None else msgspec.structs.asdict(place),
        app_id=app_id,
    )


def _segments(given: Sequence[GivenSegment]) -> list[Segment]:
    return [_segment(place, one) for place, one in enumerate(given)]


def _segment(place: int, given: GivenSegment) -> Segment:
    if given.end < given.start:
        raise ApiError(
            422,
            f"transcript_segments[{place}].end={given.end:g} is not accepted: use start or later ({given.start:g})",
        )
    speaker = given.speaker or speaker_label(given.speaker_id or 0)
    return Segment(
        id=new_id(),
        text=given.text.strip(),
        speaker=speaker,
        is_user=given.is_user,
        person_id=given.person_id,
        start=given.start,
        end=given.end,
    )
