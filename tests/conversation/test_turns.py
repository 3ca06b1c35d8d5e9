"""What was said last: audio by its place, and which segment is looked at next."""

from typing import cast

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.conversation.turns import KEPT, MOST, RecentAudio, Turns
from engine.listen.ports import OpenConversation
from engine.listen.tap import Run
from engine.wire.messages import Segment

HERE = cast(OpenConversation, None)  # turns only hand it on


def run(position: int, samples: int) -> Run:
    """Each sample is its own number, in 15 bits."""
    return Run(position, (np.arange(position, position + samples) % 32768).astype("<i2").tobytes())


def said(id: str, label: str = "SPEAKER_00") -> Segment:
    return Segment(id=id, text="Well.", speaker=label, start=0.0, end=1.0)


@given(st.lists(st.integers(1, 9000), min_size=1, max_size=12), st.data())
def test_any_span_of_what_was_heard_is_given_to_the_sample(lengths: list[int], data: st.DataObject) -> None:
    audio, position = RecentAudio(), 100
    for length in lengths:
        audio.add(run(position, length))
        position += length
    start = data.draw(st.integers(100, position - 1))
    end = data.draw(st.integers(start + 1, position))
    pcm = audio.between(start, end)
    assert pcm is not None
    np.testing.assert_array_equal(pcm, np.arange(start, end) % 32768)


def test_a_span_with_a_gap_or_before_what_is_kept_is_not_given() -> None:
    audio = RecentAudio()
    audio.add(run(0, 16_000))
    audio.add(run(32_000, 16_000))
    assert audio.between(8_000, 40_000) is None
    assert audio.between(33_000, 48_000) is not None
    assert audio.between(48_000, 64_000) is None
    for position in range(48_000, 48_000 + KEPT, 16_000):
        audio.add(run(position, 16_000))
    assert audio.between(0, 16_000) is None


def test_speakers_nobody_was_found_for_come_first_and_what_was_put_off_comes_last() -> None:
    turns = Turns()
    turns.update(HERE, [said("a", "SPEAKER_00"), said("b", "SPEAKER_01"), said("c", "SPEAKER_01")], 0.0)
    found = {"SPEAKER_00"}.__contains__
    first = turns.next(found)
    assert first is not None
    turns.later(first)
    rest = [turn.segment.id for turn in iter(lambda: turns.next(found), None) if turn is not None]
    assert (first.segment.id, rest) == ("b", ["c", "a"])
    turns.update(HERE, [said("d", "SPEAKER_01")], 0.0)
    turns.again()
    assert [turn.segment.id for turn in iter(lambda: turns.next(found), None) if turn is not None] == [
        "d",
        "b",
    ]


def test_a_segment_that_comes_again_is_looked_at_once_in_its_latest_form() -> None:
    turns = Turns()
    turns.update(HERE, [said("a")], 0.0)
    turns.update(HERE, [said("a", "SPEAKER_03")], 2.0)
    turn = turns.next(lambda label: False)
    assert turn is not None
    assert (turn.segment.speaker, turn.offset) == ("SPEAKER_03", 2.0)
    assert turns.next(lambda label: False) is None


def test_a_segment_in_which_nothing_is_to_be_seen_is_known_and_not_looked_at() -> None:
    turns = Turns()
    turns.update(HERE, [said("a")], 0.0, look=False)
    assert turns.next(lambda label: False) is None
    turns.update(HERE, [said("a", "SPEAKER_03")], 0.0)
    turns.update(HERE, [said("a", "SPEAKER_04")], 0.0, look=False)
    turn = turns.next(lambda label: False)
    assert turn is not None
    assert turn.segment.speaker == "SPEAKER_04"


def test_the_oldest_are_forgotten_and_those_nobody_had_looked_at_counted() -> None:
    turns = Turns()
    for number in range(MOST):
        assert turns.update(HERE, [said(str(number))], 0.0) == 0
    turns.next(lambda label: False)
    assert turns.update(HERE, [said("x"), said("y")], 0.0) == 1
    turns.drop(["x", "2"])
    left = {turn.segment.id for turn in turns.all()}
    assert not left & {"0", "1", "2", "x"}
    assert len(left) == MOST - 2
