"""The summary of a day as routes and webhooks show it. Names and shapes are those of the Omi backend."""

import msgspec

__all__ = [
    "MOST_FINDINGS",
    "MOST_HIGHLIGHTS",
    "DayActionItem",
    "DaySummary",
    "Decision",
    "Highlight",
    "Insight",
    "Place",
    "Question",
    "Stats",
]

DEFAULT_HEADLINE = "Your Day in Review"
DEFAULT_EMOJI = "📅"
HIGHLIGHT_EMOJI = "💡"

MOST_HIGHLIGHTS = 4
MOST_FINDINGS = 3
"""Of questions, of decisions and of insights."""


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """How much there was."""

    total_conversations: int
    total_duration_minutes: int
    action_items_count: int


class Highlight(msgspec.Struct, frozen=True, kw_only=True):
    """Something that the day was about."""

    topic: str
    emoji: str = HIGHLIGHT_EMOJI
    summary: str
    conversation_ids: tuple[str, ...]


class DayActionItem(msgspec.Struct, frozen=True, kw_only=True):
    """Something to be done. `priority` is high while it is not done, else medium."""

    description: str
    priority: str
    completed: bool
    source_conversation_id: str


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """A question that was left open."""

    question: str
    conversation_id: str


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was decided."""

    decision: str
    conversation_id: str


class Insight(msgspec.Struct, frozen=True, kw_only=True):
    """Something worth knowing."""

    insight: str
    conversation_id: str


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a conversation was, in degrees, and when it began (local time, HH:MM)."""

    latitude: float
    longitude: float
    address: str | None
    conversation_id: str
    time: str


class DaySummary(msgspec.Struct, frozen=True, kw_only=True):
    """A summary of one day. `date` is the local day (2026-11-21); `created_at` is UTC, written without an offset."""

    id: str
    date: str
    created_at: str
    headline: str = DEFAULT_HEADLINE
    overview: str
    day_emoji: str = DEFAULT_EMOJI
    stats: Stats
    highlights: tuple[Highlight, ...] = ()
    action_items: tuple[DayActionItem, ...] = ()
    unresolved_questions: tuple[Question, ...] = ()
    decisions_made: tuple[Decision, ...] = ()
    knowledge_nuggets: tuple[Insight, ...] = ()
    locations: tuple[Place, ...] = ()
