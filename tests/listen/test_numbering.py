"""One numbering over all streams of a session."""

from collections.abc import Sequence

from engine.listen.numbering import Numbering
from engine.stt.vendor import Ready
from engine.transcript.words import Word

OURS = Ready(keeps_numbers=True)


def said(numbering: Numbering, *speakers: int | None) -> list[int | None]:
    return [word.speaker for word in numbering.numbered(words(speakers))]


def words(speakers: Sequence[int | None]) -> list[Word]:
    return [Word("x", 100 * n, 100 * n + 50, speaker) for n, speaker in enumerate(speakers)]


def after(*streams: Ready) -> Numbering:
    numbering = Numbering()
    for ready in streams:
        numbering.began(ready)
    return numbering


def test_the_first_streams_numbers_stay_as_they_are() -> None:
    assert said(after(Ready()), 1, 0, 3, 1) == [1, 0, 3, 1]


def test_a_vendors_numbers_begin_anew_with_its_next_stream_and_are_new_speakers() -> None:
    numbering = after(Ready())
    said(numbering, 0, 1)
    numbering.began(Ready())
    assert said(numbering, 0, 1, 0) == [2, 3, 2]
    numbering.began(Ready())
    assert said(numbering, 1) == [4]


def test_numbers_that_go_on_come_back() -> None:
    numbering = after(OURS)
    said(numbering, 0, 1)
    numbering.began(Ready())
    assert said(numbering, 0) == [2]
    numbering.began(OURS)
    assert said(numbering, 1, 2) == [1, 3]
    assert numbering.session_number(2) == 3


def test_who_speaks_where_nobody_is_told_apart_has_one_number_in_all_streams() -> None:
    numbering = after(Ready())
    assert said(numbering, None, None) == [0, 0]
    numbering.began(Ready())
    assert said(numbering, None) == [0]
    numbering.began(Ready())
    assert said(numbering, 0, None, 1) == [1, 1, 2]
    numbering.began(Ready())
    assert said(numbering, None) == [0]
    assert said(numbering, 5) == [3], "whoever spoke in other streams, too, need not be they"


def test_a_word_without_a_speaker_is_of_who_spoke_before_it_or_first() -> None:
    assert said(after(Ready()), None, 2, None, 1) == [2, 2, 2, 1]
    numbering = after(Ready())
    assert said(numbering, None) == [0]
    assert said(numbering, 1, None, 2) == [0, 0, 2]


def test_two_that_are_one_have_one_number_from_then_on() -> None:
    numbering = after(Ready())
    said(numbering, 0, 1)
    numbering.began(Ready())
    said(numbering, 0)
    numbering.merge(2, 1)
    assert said(numbering, 0, 1) == [1, 3]
    assert numbering.apart(1, 3)
    assert numbering.apart(0, 1)
    assert not numbering.apart(0, 3)


def test_who_spoke_the_preroll_keeps_the_number_over_streams() -> None:
    numbering = after(Ready())
    said(numbering, 0)
    numbering.began(Ready(owner=3))
    assert numbering.owner == 1
    assert said(numbering, 0, 3) == [2, 1]
    numbering.began(Ready(owner=0))
    assert said(numbering, 0, 1) == [1, 3]
    numbering.merge(1, 0)
    assert numbering.owner == 0


def test_words_that_may_change_take_no_number() -> None:
    numbering = after(Ready())
    said(numbering, 0)
    numbering.began(Ready())
    assert [word.speaker for word in numbering.tentative(words([0]))] == [1]
    assert said(numbering, 1, 0) == [1, 2]
    assert [word.speaker for word in numbering.tentative(words([0, 1, 5]))] == [2, 1, 3]
