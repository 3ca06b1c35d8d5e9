"""Short conversations for the tests of extraction, written as "A: text" lines.

A is the owner, Anna; B is Ben, C is Cleo, D nobody knows. They talk on Wednesday 3 June 2026 at 10:00 in Berlin.
"""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from engine.conversation.structured import Transcript
from engine.wire.messages import Segment, speaker_label

ZONE = ZoneInfo("Europe/Berlin")
START = datetime(2026, 6, 3, 10, 0, tzinfo=ZONE)
NAMES = {"A": "Anna", "B": "Ben", "C": "Cleo", "D": ""}


def spoken(*lines: str, start: datetime = START, language: str = "en") -> Transcript:
    """A transcript of these lines, five seconds each."""
    return Transcript(
        segments=tuple(_segment(i, line) for i, line in enumerate(lines)),
        started_at=start.astimezone(UTC),
        time_zone=ZoneInfo(str(start.tzinfo)),
        language=language,
        owner_name="Anna",
        people={letter: name for letter, name in NAMES.items() if letter != "A" and name},
    )


def label(letter: str) -> str:
    """The speaker label of a letter."""
    return speaker_label("ABCD".index(letter))


def local(moment: datetime | None, zone: ZoneInfo = ZONE) -> str:
    """`2026-06-04`, with a time when it is not the last minute of the day; empty for None."""
    if moment is None:
        return ""
    there = moment.astimezone(zone)
    return f"{there:%Y-%m-%d}" if (there.hour, there.minute) == (23, 59) else f"{there:%Y-%m-%d %H:%M}"


def _segment(i: int, line: str) -> Segment:
    letter, text = line.split(": ", 1)
    return Segment(
        id=str(i),
        text=text,
        speaker=label(letter),
        is_user=letter == "A",
        person_id=letter if letter in "BC" else None,
        start=i * 5.0,
        end=i * 5.0 + 4.5,
    )
