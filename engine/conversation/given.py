"""Conversations that are given whole, as a text or a transcript: their rows, and what processing reads of a text.

A text is kept as it came, in `external_data`; what processing reads of it are its lines.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from engine.ids import new_id
from engine.moments import SECOND
from engine.store.records import PROCESSING, ConversationRow
from engine.wire.messages import Segment, speaker_label

__all__ = ["Given", "row_of", "segments_of_text", "text_row", "transcript_row"]

TIMEOUT_SECONDS = 120
"""Of a conversation that nobody listens to: the column wants one."""

SECONDS_A_WORD = 0.4
OWNER = frozenset(("user", "me", "you", "i"))
"""What a transcript calls its owner."""
LINE_LIMIT = 10_000
"""Lines of a text that processing reads."""

_NAMED = re.compile(r"^\s*(?:\[[^\]]{0,20}\]\s*)?([^\W\d_][\w .'-]{0,40}?)\s*:\s+(\S.*)$")


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """What may be said of a conversation that is given whole. Times in µs since the epoch; None: not known."""

    started_at: int | None = None
    finished_at: int | None = None
    source: str = "external_integration"
    language: str | None = None
    geolocation: Mapping[str, Any] | None = None
    app_id: str | None = None
    folder_id: str | None = None
    is_locked: bool = False


def text_row(now: int, uid: str, external: dict[str, Any], given: Given) -> ConversationRow:
    """Of a text; without times it was now."""
    return msgspec.structs.replace(row_of(now, uid, given), external_data=external)


def transcript_row(now: int, uid: str, segments: Sequence[Segment], given: Given) -> ConversationRow:
    """Of a transcript: it is as long as its segments say, and ended now unless times are given."""
    length = round(max((segment.end for segment in segments), default=0.0) * SECOND)
    begun = given.started_at
    if begun is None:
        begun = (now if given.finished_at is None else given.finished_at) - length
    ended = begun + length if given.finished_at is None else given.finished_at
    return row_of(now, uid, msgspec.structs.replace(given, started_at=begun, finished_at=ended))


def row_of(now: int, uid: str, given: Given) -> ConversationRow:
    """A new conversation that is `processing`; one that ended before it began ended then."""
    begun = given.started_at
    if begun is None:
        begun = now if given.finished_at is None else given.finished_at
    ended = max(begun if given.finished_at is None else given.finished_at, begun)
    return ConversationRow(
        uid=uid,
        id=new_id(),
        status=PROCESSING,
        created_at=now,
        started_at=begun,
        finished_at=ended,
        last_speech_at=ended,
        timeout_seconds=TIMEOUT_SECONDS,
        source=given.source,
        language=given.language,
        geolocation=None if given.geolocation is None else dict(given.geolocation),
        app_id=given.app_id,
        folder_id=given.folder_id,
        is_locked=given.is_locked,
    )


def segments_of_text(external: Mapping[str, Any] | None) -> list[Segment]:
    """The lines of a given text as segments, at the speed of speech; of a transcript each by who is named before it."""
    text = str((external or {}).get("text", ""))
    named = (external or {}).get("text_source") == "audio_transcript"
    speakers: dict[str, int] = {}
    segments: list[Segment] = []
    at = 0.0
    for line in [line.strip() for line in text.splitlines() if line.strip()][:LINE_LIMIT]:
        found = _NAMED.match(line) if named else None
        who, words = found.groups() if found else ("", line)
        number = speakers.setdefault(who.casefold(), len(speakers))
        length = SECONDS_A_WORD * len(words.split())
        segments.append(
            Segment(
                id=str(len(segments)),
                text=words,
                start=at,
                end=at + length,
                speaker=speaker_label(number),
                is_user=who.casefold() in OWNER,
            )
        )
        at += length
    return segments
