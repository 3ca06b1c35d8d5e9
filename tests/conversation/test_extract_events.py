"""What is put into the calendar: what was stated or agreed, at the time that was settled on."""

import pytest

from engine.conversation.extract import extract
from tests.conversation.dialogues import local, spoken


@pytest.mark.parametrize(
    ("said", "title", "start", "minutes"),
    [
        (("A: The planning meeting is on Thursday the 11th at two.",), "Planning meeting", "2026-06-11 14:00", 30),
        (("A: The exam is on June 26th at nine. It takes ninety minutes.",), "Exam", "2026-06-26 09:00", 90),
        (("B: Dinner at mine next friday at seven.", "A: I'm in."), "Dinner", "2026-06-12 19:00", 30),
        (("B: Can we have a call on Monday at ten?", "A: Sure."), "Call", "2026-06-08 10:00", 30),
        (
            ("B: Let's have a follow-up. How about Monday at ten?", "A: I'm away then. Tuesday?", "B: Tuesday works."),
            "Follow-up",
            "2026-06-09 10:00",
            30,
        ),
        (("A: My dentist appointment is tomorrow at nine.",), "Dentist appointment", "2026-06-04 09:00", 30),
        (("A: The trip is on July 4th.",), "Trip", "2026-07-04 00:00", 1440),
    ],
)  # fmt: skip
def test_an_event_has_its_title_start_and_duration(
    said: tuple[str, ...], title: str, start: str, minutes: int
) -> None:
    (event,) = extract(spoken(*said)).structured.events
    assert (event.title, local(event.start), event.duration) == (title, start, minutes)


@pytest.mark.parametrize(
    "said",
    [
        ("A: The meeting last Thursday at two was long.",),
        ("B: Shall we have a meeting on Friday at two?", "A: No, I can't."),
        ("A: If there was a party on Friday at nine, I'd go.",),
        ("A: She said the wedding is on July 4th.",),
        ("A: I'll call you tomorrow.",),
        ("A: The report is due by Friday.",),
    ],
)
def test_what_was_not_agreed_is_no_event(said: tuple[str, ...]) -> None:
    assert extract(spoken(*said)).structured.events == ()
