"""The transcript as a client keeps it."""

from __future__ import annotations

import pytest

from engine.cli.transcript import Transcript, clock
from engine.wire.messages import Segment


def segment(id: str, start: float, text: str = "text") -> Segment:
    return Segment(id=id, text=text, start=start, end=start + 1)


def test_segments_are_replaced_by_id_and_kept_in_the_order_of_their_times() -> None:
    transcript = Transcript()
    transcript.update([segment("b", 5, " second "), segment("a", 1, "frist")])
    transcript.update([segment("a", 1, "first")])
    assert transcript.text == "first second"
    transcript.delete(["b", "unknown"])
    assert [kept.id for kept in transcript.segments] == ["a"]


def test_a_segment_is_settled_when_another_follows_and_again_when_it_changed() -> None:
    transcript = Transcript()
    transcript.update([segment("a", 1)])
    assert transcript.settled() == []
    transcript.update([segment("b", 2)])
    assert [one.id for one in transcript.settled()] == ["a"]
    assert transcript.settled() == []
    transcript.update([segment("a", 1, "changed")])
    assert [one.text for one in transcript.settled()] == ["changed"]
    assert [one.id for one in transcript.settled(all=True)] == ["b"]


def test_what_was_certain_takes_the_place_of_the_interim() -> None:
    transcript = Transcript()
    transcript.interim = (segment("i", 1),)
    transcript.update([segment("a", 1)])
    assert not transcript.interim


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "00:00.0"), (59.96, "01:00.0"), (61.24, "01:01.2"), (3599.99, "1:00:00.0"), (7325.5, "2:02:05.5")],
)
def test_times_read_as_on_a_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_the_owner_is_called_you_and_times_can_be_left_out() -> None:
    mine = Segment(id="a", text=" Yes. ", is_user=True, start=0, end=1.25)
    assert list(Transcript().plain([mine])) == ["[00:00.0 - 00:01.2] you: Yes."]
    assert list(Transcript().plain([mine], timestamps=False)) == ["Yes."]


def test_a_person_is_called_by_their_name_once_it_was_looked_up() -> None:
    transcript = Transcript()
    theirs = Segment(id="a", text="Yes.", person_id="p1", start=0, end=1.25)
    transcript.update([theirs, segment("b", 2)])
    assert transcript.unnamed == {"p1"}
    assert list(transcript.plain(transcript.settled())) == ["[00:00.0 - 00:01.2] SPEAKER_00: Yes."]
    transcript.names["p1"] = "Ada"
    assert not transcript.unnamed
    assert list(transcript.plain(transcript.settled())) == ["[00:00.0 - 00:01.2] Ada: Yes."]
    assert "Ada" in transcript.styled(theirs).plain
    assert transcript.settled() == []
