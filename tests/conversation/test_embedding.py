"""What is embedded of a conversation."""

from datetime import UTC, datetime

from engine.conversation.embedding.port import conversation_text
from engine.conversation.structured import ActionItem, Event, Structured


def test_a_conversation_is_embedded_as_what_was_made_of_it() -> None:
    structured = Structured(
        title="Boat trip",
        overview="They plan a trip.",
        category="travel",
        action_items=(ActionItem(description="Call the harbour"),),
        events=(
            Event(title="Trip", description="at the pier", start=datetime(2026, 4, 4, tzinfo=UTC)),
            Event(title="Dinner", start=datetime(2026, 4, 4, tzinfo=UTC)),
        ),
    )
    assert conversation_text(structured).splitlines() == [
        "Boat trip",
        "Category: travel",
        "They plan a trip.",
        "Action items:",
        "- Call the harbour",
        "Events:",
        "- Trip: at the pier",
        "- Dinner",
    ]


def test_what_there_is_not_has_no_heading() -> None:
    assert conversation_text(Structured(title="A", overview="B")) == "A\nCategory: other\nB"
