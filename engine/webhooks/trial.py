"""A request as a trigger makes it, about something made up: for trying an address before anything has happened.

Its URL, body, headers and signature are made by what makes real ones, so that a receiver that takes it takes those.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from uuid import uuid4

import msgspec

from engine.conversation.day_summary.document import DaySummary, Stats
from engine.moments import SECOND, instant
from engine.store.records import COMPLETED, ConversationRow
from engine.store.user_records import DaySummaryRow
from engine.store.whole import Whole
from engine.stt.vendor import SAMPLE_RATE
from engine.webhooks.cutting import QUERY as AUDIO_QUERY
from engine.webhooks.day_summaries import webhook_body
from engine.webhooks.finished import memory_body
from engine.webhooks.queue import JSON, OCTETS, with_id
from engine.webhooks.signing import signed_headers
from engine.webhooks.transcripts import Body
from engine.webhooks.triggers import AUDIO_BYTES, MEMORY_CREATED, REALTIME_TRANSCRIPT, Trigger
from engine.webhooks.urls import with_query
from engine.wire.messages import Segment

__all__ = ["Trial", "trial"]

SAID = "This is a test of your webhook."
SESSION = "0" * 32
SILENCE = bytes(2 * SAMPLE_RATE)
"""A second of it."""


class Trial(msgspec.Struct, frozen=True):
    """What to send where."""

    url: str
    body: bytes
    headers: Mapping[str, str]


def trial(url: str, trigger: Trigger, uid: str, secrets: Sequence[str], now: int) -> Trial:
    """A request to `url` as `trigger` makes it for a user, signed with `secrets`. `now`: µs since the epoch."""
    id = f"msg_{uuid4().hex}"
    query, body = _told(trigger, uid, now)
    if trigger == AUDIO_BYTES:
        kind = OCTETS
    else:
        kind, body = JSON, with_id(body, id)
    headers = {"Content-Type": kind, **signed_headers(id, body, secrets, now // SECOND)}
    return Trial(with_query(url, {**query, "uid": uid}), body, headers)


def _told(trigger: Trigger, uid: str, now: int) -> tuple[Mapping[str, str], bytes]:
    """What the trigger adds to the query, and the body but for the delivery's id."""
    if trigger == AUDIO_BYTES:
        return AUDIO_QUERY, SILENCE
    if trigger == REALTIME_TRANSCRIPT:
        return {"session_id": SESSION}, msgspec.json.encode(Body((_segment(),), SESSION))
    if trigger == MEMORY_CREATED:
        return {}, memory_body(Whole(row=_conversation(uid, now), segments=(_segment(),)))
    return {}, webhook_body(_day(uid, now), now)


def _segment() -> Segment:
    return Segment(id="00000000-0000-0000-0000-000000000000", text=SAID, start=0.0, end=2.0)


def _conversation(uid: str, now: int) -> ConversationRow:
    return ConversationRow(
        uid=uid,
        id="00000000-0000-0000-0000-000000000000",
        status=COMPLETED,
        created_at=now,
        started_at=now - 2 * SECOND,
        finished_at=now,
        last_speech_at=now,
        timeout_seconds=120,
        structured={"title": "A test", "overview": SAID, "emoji": "🧪", "category": "other"},
    )


def _day(uid: str, now: int) -> DaySummaryRow:
    today: date = instant(now).date()
    stats = Stats(total_conversations=1, total_duration_minutes=0, action_items_count=0)
    made = instant(now).replace(tzinfo=None).isoformat()
    summary = DaySummary(id="test", date=today.isoformat(), created_at=made, overview=SAID, stats=stats)
    return DaySummaryRow(
        uid=uid, id="test", date=today.isoformat(), created_at=now, summary=msgspec.to_builtins(summary)
    )
