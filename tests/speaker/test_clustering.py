"""Tests of pieces of speech put together by voice."""

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.speaker.clustering import Cluster, clustered
from engine.speaker.embedding import SIZE, Floats
from engine.speaker.roster import Piece, nothing
from engine.speaker.usual import load

LEAST = 0.8


def pieces(voice: int, alike: float, seconds: Sequence[float], shared: float = 0.0) -> list[Piece]:
    """One voice's, which are alike by `alike`, as seen from the usual voice; `shared` of that is its line's."""
    found = []
    for index, length in enumerate(seconds):
        away: Floats = np.zeros(SIZE, np.float32)
        away[0], away[1 + voice] = np.sqrt(shared), np.sqrt(alike - shared)
        away[50 + 50 * voice + index] = np.sqrt(1 - alike)
        found.append(Piece(load() + np.float32(0.6) * away, length, voice))
    return found


def voices(clusters: Sequence[Cluster]) -> list[list[int]]:
    """The voices that are in each cluster."""
    return sorted(sorted({piece.number for piece in one.pieces}) for one in clusters)


def heard(*parts: Sequence[Piece]) -> list[Cluster]:
    return clustered([Cluster.of_piece(piece) for part in parts for piece in part], LEAST)


def test_pieces_of_one_voice_are_one_cluster_and_those_of_two_are_two() -> None:
    found = heard(pieces(0, 0.7, [3] * 6), pieces(1, 0.7, [3] * 6))
    assert voices(found) == [[0], [1]]
    assert sorted(len(one.pieces) for one in found) == [6, 6]


def test_short_pieces_are_less_alike_and_still_one_voice() -> None:
    assert len(heard(pieces(0, 0.6, [1.5] * 10))) == 1
    assert len(heard(pieces(0, 0.6, [6] * 10))) > 1


def test_two_on_one_telephone_line_stay_two_though_much_of_what_is_heard_is_the_line() -> None:
    assert voices(heard(pieces(0, 0.7, [2.5] * 4, shared=0.45), pieces(1, 0.7, [2.5] * 4, shared=0.45))) == [
        [0],
        [1],
    ]


def test_somebody_less_like_themselves_than_others_are_makes_their_own_measure() -> None:
    odd = pieces(1, 0.58, [4], shared=0.58)
    few, many = (pieces(0, 0.66, [4] * count, shared=0.5) for count in (1, 12))
    assert len(heard(few, odd)) == 2
    assert len(heard(many, odd)) == 1


def test_who_is_sure_to_be_somebody_else_is_not_joined() -> None:
    same = pieces(0, 0.9, [5, 5])
    known = []
    for number, piece in enumerate(same):
        sure = nothing()
        sure.add(piece.vector, piece.seconds)
        known.append(Cluster.of_speaker(number, sure))
    found = clustered([*known, Cluster.of_piece(pieces(0, 0.9, [3, 3, 3])[2])], LEAST)
    assert sorted(one.number for one in found if one.number is not None) == [0, 1]
    assert len(found) == 2


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0.5, 8.0)), min_size=1, max_size=12))
def test_each_piece_is_in_one_cluster_and_each_cluster_is_the_sum_of_its_pieces(
    heard: list[tuple[int, float]],
) -> None:
    given = [pieces(voice, 0.7, [seconds])[0] for voice, seconds in heard]
    found = clustered([Cluster.of_piece(piece) for piece in given], LEAST)
    assert sorted(id(piece) for one in found for piece in one.pieces) == sorted(id(piece) for piece in given)
    for one in found:
        parts = [Cluster.of_piece(piece) for piece in one.pieces]
        assert np.allclose(one.total, sum(part.total for part in parts), atol=1e-4)
        assert np.isclose(one.seconds, sum(piece.seconds for piece in one.pieces))
