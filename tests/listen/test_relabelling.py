"""Segments whose speaker turns out to be another."""

from engine.listen.relabelling import MOST, Relabelling
from engine.wire.messages import Segment, speaker_label


def segment(id: str, speaker: int, **changes: object) -> Segment:
    known = {"id": id, "text": "x", "speaker": speaker_label(speaker), "start": 0.0, "end": 1.0} | changes
    return Segment(**known)  # type: ignore[arg-type]


def noted(*segments: Segment) -> Relabelling:
    relabelling = Relabelling()
    relabelling.note(segments)
    return relabelling


def test_only_those_of_the_number_that_is_gone_are_changed_under_a_new_revision() -> None:
    found = noted(segment("a", 0), segment("b", 2, revision=3), segment("c", 1)).relabelled(2, 0, None)
    assert [(s.id, s.speaker, s.speaker_id, s.revision) for s in found] == [("b", "SPEAKER_00", 0, 4)]


def test_where_the_one_that_is_kept_is_the_user_all_are_the_users_but_those_that_somebody_named() -> None:
    relabelling = noted(segment("a", 0), segment("b", 1), segment("c", 0, person_id="eve"), segment("d", 2))
    found = relabelling.relabelled(1, 0, 0)
    assert [(s.id, s.is_user, s.speaker_id) for s in found] == [("a", True, 0), ("b", True, 0)]


def test_a_segment_is_as_it_was_last_and_those_of_others_are_not_taken_up() -> None:
    relabelling = noted(segment("a", 1), segment("b", 1))
    relabelling.refresh([segment("a", 1, revision=5, person_id="eve"), segment("another session's", 1)])
    relabelling.note([], deleted=["b"])
    (found,) = relabelling.relabelled(1, 0, None)
    assert (found.id, found.revision, found.person_id) == ("a", 6, "eve")


def test_the_oldest_and_those_of_a_conversation_that_is_over_are_left_as_they_are() -> None:
    relabelling = noted(*(segment(str(n), 1) for n in range(MOST + 1)))
    assert len(relabelling.relabelled(1, 0, None)) == MOST
    relabelling.forget()
    assert relabelling.relabelled(1, 0, None) == []
