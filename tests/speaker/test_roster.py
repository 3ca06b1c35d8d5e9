"""Tests of a session's speakers."""

import numpy as np

from engine.speaker.roster import PIECES, Piece, Roster
from tests.speaker.test_matching import at


def test_numbers_count_from_0_and_are_given_once() -> None:
    roster = Roster()
    assert [roster.new() for _ in range(3)] == [0, 1, 2]
    roster.forget_number(0, 2)
    assert roster.new() == 3


def test_a_speaker_sounds_like_all_that_was_heard_of_them_by_its_length() -> None:
    roster = Roster()
    number = roster.new()
    roster.heard(number, at(0), 3.0)
    roster.heard(number, at(90), 1.0)
    voice = roster.voices()[number]
    assert voice.seconds == 4.0
    assert np.allclose(voice.vector[:2], np.array([3, 1]) / np.sqrt(10), atol=1e-6)


def test_the_most_similar_comes_first_and_who_was_not_heard_does_not_come() -> None:
    roster = Roster()
    for degrees in (0, 50, 20):
        roster.heard(roster.new(), at(degrees), 1.0)
    roster.new()
    assert [number for _, number in roster.ranked(at(21))] == [2, 0, 1]


def test_who_was_taken_for_two_is_one() -> None:
    roster = Roster()
    for degrees in (0, 10):
        roster.heard(roster.new(), at(degrees), 2.0)
    roster.forget_number(0, 1)
    assert roster.numbers == [0]
    assert roster.voices()[0].seconds == 4.0


def test_the_oldest_pieces_become_surely_their_speakers() -> None:
    roster = Roster()
    number = roster.new()
    for _ in range(PIECES + 5):
        roster.pieces.append(Piece(at(0), 1.0, number))
    roster.trim()
    assert len(roster.pieces) == PIECES
    assert roster.sure[number].seconds == 5.0
    assert roster.voices()[number].seconds == PIECES + 5.0
