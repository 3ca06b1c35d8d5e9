"""Conversations that are given whole, as a text or a transcript, and merged ones: they begin as `processing`.

Invariants: of a conversation and its job there are both or neither. A text is kept as it came, in `external_data`;
what processing reads of it are its lines.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

from engine.conversation.ports import Clock, Processing
from engine.store.records import PROCESSING, ConversationRow
from engine.wire.messages import Segment, speaker_label

__all__ = ["create_from_segments", "create_from_text", "segments_of_text"]

TIMEOUT_SECONDS = 120
"""Of a conversation that nobody listens to: the column wants one."""

SECONDS_A_WORD = 0.4
OWNER = frozenset(("user", "me", "you", "i"))
"""What a transcript calls its owner."""
LINE_LIMIT = 10_000
"""Lines of a text that processing reads."""

_NAMED = re.compile(r"^\s*(?:\[[^\]]{0,20}\]\s*)?([^\W\d_][\w .'-]{0,40}?)\s*:\s+(\S.*)$")


async def create_from_text(
    processing: Processing,
    now: Clock,
    uid: str,
    text: str,
    *,
    text_source: str = "audio_transcript",
    text_source_spec: str | None = None,
    started_at: int | None = None,
    finished_at: int | None = None,
    source: str = "external_integration",
    language: str | None = None,
    geolocation: Mapping[str, Any] | None = None,
    app_id: str | None = None,
) -> ConversationRow:
    """A conversation whose words are `text`, `processing`. Times in µs; without them it was now.

    Whoever gave it did so on purpose, but it is discarded like others when there is nothing in it.
    """
    external = {"text": text, "text_source": text_source, "text_source_spec": text_source_spec}
    row = _row(now(), uid, started_at, finished_at, source, language, geolocation, app_id, external)
    await processing.begin(row, (), {})
    return row


async def create_from_segments(
    processing: Processing,
    now: Clock,
    uid: str,
    segments: Sequence[Segment],
    *,
    started_at: int | None = None,
    finished_at: int | None = None,
    source: str = "external_integration",
    language: str | None = None,
    geolocation: Mapping[str, Any] | None = None,
    app_id: str | None = None,
) -> ConversationRow:
    """A conversation of `segments` (seconds after `started_at`, each with an id of its own), `processing`.

    Without `started_at` (µs) it ended now; without `finished_at` it ends with its last segment.
    """
    length = round(max((segment.end for segment in segments), default=0.0) * 1_000_000)
    moment = now()
    begun = moment - length if started_at is None else started_at
    ended = begun + length if finished_at is None else finished_at
    row = _row(moment, uid, begun, ended, source, language, geolocation, app_id, None)
    await processing.begin(row, segments, {})
    return row


def _row(
    now: int,
    uid: str,
    started_at: int | None,
    finished_at: int | None,
    source: str,
    language: str | None,
    geolocation: Mapping[str, Any] | None,
    app_id: str | None,
    external: dict[str, Any] | None,
) -> ConversationRow:
    begun = (now if finished_at is None else finished_at) if started_at is None else started_at
    ended = max(begun if finished_at is None else finished_at, begun)
    return ConversationRow(
        uid=uid,
        id=str(uuid4()),
        status=PROCESSING,
        created_at=now,
        started_at=begun,
        finished_at=ended,
        last_speech_at=ended,
        timeout_seconds=TIMEOUT_SECONDS,
        source=source,
        language=language,
        external_data=external,
        geolocation=None if geolocation is None else dict(geolocation),
        app_id=app_id,
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
