"""Who the speakers of a session are: what is filled in, and what wins."""

from engine.listen.naming import MOST, NOBODY, SpeakerNames
from engine.wire.messages import Segment, Speaker

OWNER, GRACE = Speaker(is_user=True), Speaker(person_id="grace")


def said(label: str = "SPEAKER_00", **fields: object) -> Segment:
    return Segment(**{"id": "s", "text": "Well.", "speaker": label, "start": 0.0, "end": 1.0, **fields})  # type: ignore[arg-type]


def shown(names: SpeakerNames, segment: Segment) -> tuple[bool, str | None, bool]:
    (named,) = names.named([segment])
    return named.is_user, named.person_id, named.speech_profile_processed


def test_while_nobody_is_compared_with_nothing_is_changed() -> None:
    segment = said()
    assert SpeakerNames().named([segment]) == (segment,)


def test_segments_say_that_their_speaker_was_not_compared_until_they_were() -> None:
    names = SpeakerNames()
    names.awaited = True
    assert shown(names, said()) == (False, None, False)
    names.find("SPEAKER_00", NOBODY)
    assert shown(names, said()) == (False, None, True)
    assert shown(names, said("SPEAKER_01")) == (False, None, False)
    names.find("SPEAKER_00", OWNER)
    assert shown(names, said()) == (True, None, True)
    assert (names.found("SPEAKER_00"), names.found("SPEAKER_01")) == (OWNER, None)


def test_what_was_said_by_hand_wins_and_needs_no_voices() -> None:
    names = SpeakerNames()
    names.assign("SPEAKER_00", GRACE)
    names.find("SPEAKER_00", OWNER)
    assert shown(names, said()) == (False, "grace", True)
    assert (names.assigned("SPEAKER_00"), names.assigned("SPEAKER_01")) == (GRACE, None)
    assert names.assignments == {"SPEAKER_00": GRACE}
    names.assign("SPEAKER_00", NOBODY)
    assert shown(names, said()) == (False, None, True), "also that it is nobody one knows"


def test_a_segment_that_names_somebody_stays_as_it_is() -> None:
    names = SpeakerNames()
    names.assign("SPEAKER_00", GRACE)
    for segment in (said(is_user=True), said(person_id="ida")):
        assert names.named([segment]) == (segment,)


def test_the_first_of_too_many_are_forgotten() -> None:
    names = SpeakerNames()
    for number in range(MOST + 1):
        names.find(f"SPEAKER_{number:02}", OWNER)
    assert names.found("SPEAKER_00") is None
    assert names.found(f"SPEAKER_{MOST:02}") == OWNER
