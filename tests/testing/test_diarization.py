"""Tests of the diarization error rate."""

import pytest

from engine.testing.diarization import SpeakerTurn, diarization_error, read_rttm

TRUTH = [SpeakerTurn(0, 4, "ada"), SpeakerTurn(4, 8, "grace")]


def test_turns_are_read_from_a_file_in_rttm() -> None:
    text = "SPEAKER sample 1 6.690 0.430 <NA> <NA> ada <NA> <NA>\nSPKR-INFO x\n"
    assert read_rttm(text) == [SpeakerTurn(6.69, 7.12, "ada")]


def test_names_do_not_matter() -> None:
    error = diarization_error(TRUTH, [SpeakerTurn(0, 4, "1"), SpeakerTurn(4, 8, "0")])
    assert (error.rate, error.speakers) == (0, 2)


@pytest.mark.parametrize(
    ("heard", "missed", "false", "confused"),
    [
        ([SpeakerTurn(0, 4, "0")], 0.5, 0, 0),
        ([SpeakerTurn(0, 4, "0"), SpeakerTurn(4, 10, "1")], 0, 0.25, 0),
        ([SpeakerTurn(0, 8, "0")], 0, 0, 0.5),
        ([SpeakerTurn(0, 6, "0"), SpeakerTurn(6, 8, "1")], 0, 0, 0.25),
        ([SpeakerTurn(0, 4, "0"), SpeakerTurn(2, 8, "1")], 0, 0.25, 0),
        ([SpeakerTurn(0, 4, "0"), SpeakerTurn(4, 6, "1"), SpeakerTurn(6, 8, "2")], 0, 0, 0.25),
        ([], 1, 0, 0),
    ],
)
def test_what_is_missed_false_or_confused_counts(
    heard: list[SpeakerTurn], missed: float, false: float, confused: float
) -> None:
    error = diarization_error(TRUTH, heard)
    assert (error.missed, error.false, error.confused) == (missed, false, confused)
    assert error.rate == missed + false + confused


def test_where_two_speak_at_once_both_count() -> None:
    truth = [SpeakerTurn(0, 4, "ada"), SpeakerTurn(2, 4, "grace")]
    assert diarization_error(truth, [SpeakerTurn(0, 4, "0")]).missed == pytest.approx(2 / 6)
