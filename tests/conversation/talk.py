"""A conversation, the notes a good model takes on it, and longer ones made of it."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from engine.conversation.structured import Transcript
from engine.testing import LlmRequest, Reply
from engine.wire.messages import Segment

STARTED = datetime(2026, 3, 27, 14, 0, tzinfo=UTC)
"""A Friday; Berlin's clocks go forward on the Sunday after."""

SAID = (
    (0, "Okay so the boat trip on Saturday, are we still on?"),
    (1, "Yes. I'll call the harbour tomorrow morning and book the small boat."),
    (0, "Great, and I will bring the sandwiches. I'm allergic to shellfish, remember."),
    (1, "I wish I could buy a boat of my own one day."),
    (0, "Let's meet at the pier at nine on Saturday the fourth. Tell Marta, please."),
    (1, "Sure, I'll write to Marta tonight."),
)

NOTES: dict[str, Any] = {
    "worth_keeping": True,
    "title": "Boat trip on Saturday",
    "overview": "They plan a boat trip and share out what is to be done.",
    "emoji": "⛵",
    "category": "travel",
    "action_items": [
        {
            "description": "Call the harbour and book the small boat",
            "speaker": "SPEAKER_01",
            "due": "2026-03-28T10:00",
            "completed": False,
            "lines": [2],
        },
        {
            "description": "Bring the sandwiches",
            "speaker": "SPEAKER_00",
            "due": "2026-04-04",
            "completed": False,
            "lines": [3],
        },
        {
            "description": "Write to Marta",
            "speaker": "SPEAKER_01",
            "due": None,
            "completed": False,
            "lines": [5, 6],
        },
    ],
    "events": [
        {
            "title": "Boat trip",
            "description": "Meet at the pier",
            "start": "2026-04-04T09:00",
            "minutes": 240,
            "lines": [5],
        }
    ],
    "memories": [{"content": "Anna is allergic to shellfish", "category": "interesting"}],
    "people": ["Marta"],
    "topics": ["Boat trip", "food"],
    "entities": ["harbour", "pier"],
    "dates": ["2026-03-28", "2026-04-04"],
    "emotions": "Both look forward to it.",
}


def transcript(times: int = 1, **changes: Any) -> Transcript:
    """The conversation said `times` times."""
    segments = tuple(
        Segment(
            id=f"s{number}",
            text=text,
            speaker=f"SPEAKER_0{speaker}",
            is_user=speaker == 0,
            start=4.0 * number,
            end=4.0 * number + 3,
        )
        for number, (speaker, text) in enumerate(SAID * times)
    )
    whole = Transcript(
        segments=segments, started_at=STARTED, time_zone=ZoneInfo("Europe/Berlin"), owner_name="Anna"
    )
    return msgspec.structs.replace(whole, **changes)


def takes_notes(request: LlmRequest) -> Reply:
    """What a good model answers to whatever is asked of the conversation."""
    assert request.schema is not None
    if "superseded" in request.schema["properties"]:
        summary = {name: NOTES[name] for name in ("title", "overview", "emoji", "category", "emotions")}
        return Reply(msgspec.json.encode(summary | {"superseded": []}).decode())
    return Reply(msgspec.json.encode(NOTES).decode())
