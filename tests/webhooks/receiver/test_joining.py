"""Requests become sessions without gaps, however the audio was cut."""

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.webhooks.receiver.joining import Audio, Began, Dropped, Ended, Silence, Step
from tests.webhooks.receiver.chunks import RATE, chunk, cut, joiner, sessions, tone

SIZES = st.lists(st.integers(1, 3 * RATE), max_size=20)


@given(SIZES, st.floats(0, 0.9))
def test_however_audio_is_cut_its_samples_are_the_same(sizes: list[int], late: float) -> None:
    pcm = tone(5 * RATE)
    pieces = cut(pcm, sizes)
    ends = accumulate(len(piece) / 2 / RATE for piece in pieces)
    one = joiner()
    steps = [
        step for piece, end in zip(pieces, ends, strict=True) for step in one.take(chunk(piece, end + late))
    ]
    assert sessions([*steps, *one.end("over")]) == [pcm]


@given(SIZES)
def test_a_sender_that_says_where_audio_belongs_is_believed_whenever_it_arrives(sizes: list[int]) -> None:
    pcm = tone(5 * RATE)
    one, steps, at = joiner(), [], 0
    for number, piece in enumerate(cut(pcm, sizes)):
        arrived = number * 500.0  # later than any gap may be
        steps += one.take(chunk(piece, arrived, session="s", position=at))
        at += len(piece) // 2
    assert sessions(steps) == [pcm]


@given(SIZES, st.data())
def test_in_whatever_order_and_however_often_pieces_come_their_samples_are_the_same(
    sizes: list[int], data: st.DataObject
) -> None:
    pcm = tone(5 * RATE)
    at, pieces = 0, []
    for piece in cut(pcm, sizes):
        pieces.append((at, piece))
        at += len(piece) // 2
    again = data.draw(st.lists(st.sampled_from(pieces), max_size=5))
    one = joiner(jitter=1)
    steps = []
    for number, (position, piece) in enumerate(data.draw(st.permutations([*pieces, *again]))):
        steps += one.take(chunk(piece, number * 0.02, session="s", position=position))
        steps += one.pass_time(number * 0.02)
    steps += one.end("over")
    assert sessions(steps) == [pcm]
    assert not any(isinstance(step, Silence) for step in steps)
    dropped = [step for step in steps if isinstance(step, Dropped)]
    assert sum(step.samples for step in dropped) == sum(len(piece) // 2 for _, piece in again)
    assert {step.reason for step in dropped} <= {"duplicate"}


@given(st.lists(st.tuples(st.integers(0, 6 * RATE), st.integers(1, 2 * RATE), st.floats(0, 3)), max_size=12))
def test_with_positions_every_sample_is_in_its_place_once_or_dropped(
    runs: list[tuple[int, int, float]],
) -> None:
    pcm = tone(9 * RATE)
    one, now = joiner(), 0.0
    steps: list[Step] = []
    for start, size, pause in runs:
        piece = pcm[2 * start : 2 * (start + size)]
        steps += one.take(chunk(piece, now, session="s", position=start))
        now += pause
        steps += one.pass_time(now)
    steps += one.end("over")
    sessions(steps)  # which follow each other without a gap
    taken = sum(step.samples for step in steps if isinstance(step, Audio | Dropped))
    assert taken == sum(size for _, size, _ in runs)
    began = None
    for step in steps:
        if isinstance(step, Audio):
            position = step.chunk.position or 0
            first = position + step.chunk.samples - step.samples
            began = first - step.position if began is None else began
            assert step.pcm == pcm[2 * first : 2 * (position + step.chunk.samples)]
            assert step.position == first - began
        elif isinstance(step, Ended):
            began = None


def test_what_is_ahead_waits_for_what_is_missing_and_then_is_behind_silence() -> None:
    one = joiner(jitter=2)
    first = chunk(tone(100), 1.0, session="s", position=0)
    ahead = chunk(tone(100, 200), 2.0, session="s", position=200)
    missing = chunk(tone(100, 100), 5.0, session="s", position=100)
    assert [type(step) for step in one.take(first)] == [Began, Audio]
    assert one.take(ahead) == []
    assert one.due == 4.0
    assert one.pass_time(3.9) == []
    assert one.pass_time(4.0) == [
        Silence(position=100, samples=100),
        Audio(position=200, pcm=ahead.pcm, chunk=ahead),
    ]
    assert one.take(missing) == [Dropped(reason="late", samples=100, chunk=missing)]
    overlapping = chunk(tone(100, 250), 5.0, session="s", position=250)
    assert one.take(overlapping) == [
        Dropped(reason="duplicate", samples=50, chunk=overlapping),
        Audio(position=300, pcm=tone(50, 300), chunk=overlapping),
    ]


@pytest.mark.parametrize("is_over", [False, True])
def test_what_a_process_died_with_is_not_dropped_because_it_is_late(is_over: bool) -> None:
    one = joiner(jitter=2)
    first = chunk(tone(100, 100), 0.0, session="s", position=100)
    steps = [*one.take(first), *one.pass_time(2.0)]
    if is_over:
        steps += one.pass_time(100.0)
    left = [chunk(tone(50, at), 3.0, session="s", position=at, again=True) for at in (0, 50)]
    for piece in left:
        steps += one.take(piece)
    steps += one.take(chunk(tone(50, 200), 3.0, session="s", position=200))
    assert [bytes(one) for one in sessions([*steps, *one.end("over")])] == [
        tone(100, 100),
        tone(100) + bytes(200) + tone(50, 200),
    ]
    assert not [step for step in steps if isinstance(step, Dropped)]


def test_the_first_piece_there_is_waits_unless_it_is_the_first_of_its_session() -> None:
    one = joiner(jitter=2)
    assert one.take(chunk(tone(100, 100), 1.0, session="s", position=100)) == []
    steps = one.take(chunk(tone(100), 1.5, session="s", position=0))
    assert sessions(steps) == [tone(200)]
    another = joiner(jitter=2)
    assert another.take(chunk(tone(100, 100), 1.0, session="s", position=100)) == []
    assert sessions(another.pass_time(3.0)) == [tone(100, 100)]


def test_more_than_may_be_held_is_not_waited_for() -> None:
    one = joiner(held_bytes=5000)
    one.take(chunk(tone(1000), 1.0, session="s", position=0))
    assert one.take(chunk(tone(1000, 2000), 1.0, session="s", position=2000)) == []
    assert one.take(chunk(tone(1000, 3000), 1.0, session="s", position=3000)) == []
    steps = one.take(chunk(tone(1000, 4000), 1.0, session="s", position=4000))
    assert [type(step) for step in steps] == [Silence, Audio, Audio, Audio]


def test_what_is_held_at_the_end_is_put_in_its_place() -> None:
    one = joiner()
    steps = one.take(chunk(tone(100), 1.0, session="s", position=0))
    steps += one.take(chunk(tone(100, 200), 1.0, session="s", position=200))
    assert sessions([*steps, *one.end("over")]) == [tone(100) + bytes(200) + tone(100, 200)]


def test_a_sender_that_goes_on_after_a_gap_has_what_went_before_dropped() -> None:
    one = joiner(gap=1, jitter=1)
    steps = one.take(chunk(tone(100), 1.0, session="s", position=0))
    steps += one.take(chunk(tone(100, 3 * RATE), 2.0, session="s", position=3 * RATE))
    steps += one.pass_time(3.0)
    assert sessions(steps) == [tone(100), tone(100, 3 * RATE)]
    late = chunk(tone(100, 200), 3.0, session="s", position=200)
    assert one.take(late) == [Dropped(reason="late", samples=100, chunk=late)]


def test_two_sessions_of_the_sender_at_once_take_turns() -> None:
    one = joiner(jitter=1)
    steps: list[Step] = []
    for number in range(8):
        for name, first in (("a", 0), ("b", 10_000)):
            steps += one.take(
                chunk(tone(100, first + 100 * number), number * 0.5, session=name, position=100 * number)
            )
            steps += one.pass_time(number * 0.5)
    steps += one.end("over")
    heard = sessions(steps)
    assert not any(isinstance(step, Dropped | Silence) for step in steps)
    assert sorted(sample for pcm in heard for sample in cut(pcm, [1] * (len(pcm) // 2))) == sorted(
        cut(tone(800) + tone(800, 10_000), [1] * 1600)
    )
    assert len(heard) < 8


def test_a_gap_is_silence_of_its_length() -> None:
    one = joiner(gap=10, jitter=1)
    steps = [*one.take(chunk(tone(RATE), 1.0)), *one.take(chunk(tone(RATE), 6.0))]
    assert sessions(steps) == [tone(RATE) + bytes(2 * 4 * RATE) + tone(RATE)]


def test_a_longer_gap_ends_the_session() -> None:
    one = joiner(gap=10, jitter=1)
    steps = [*one.take(chunk(tone(RATE), 1.0)), *one.take(chunk(tone(RATE, 7), 12.5))]
    assert sessions(steps) == [tone(RATE), tone(RATE, 7)]
    assert [step.reason for step in steps if isinstance(step, Ended)] == ["gap"]


def test_what_is_a_little_late_has_no_gap_before_it() -> None:
    one = joiner(jitter=1)
    steps = [*one.take(chunk(tone(RATE), 1.0)), *one.take(chunk(tone(RATE, 7), 2.99))]
    assert sessions(steps) == [tone(RATE) + tone(RATE, 7)]


def test_what_was_late_and_then_catches_up_is_joined() -> None:
    one = joiner(jitter=5)
    steps = []
    for number, arrived in enumerate((1.0, 5.0, 5.1, 5.2, 6.0)):
        steps += one.take(chunk(tone(RATE, number), arrived))
    assert sessions(steps) == [b"".join(tone(RATE, number) for number in range(5))]


def test_a_delivery_is_taken_once() -> None:
    one = joiner(known=["before"])
    (before,) = one.take(chunk(tone(10), 1.0, delivery_id="before"))
    assert isinstance(before, Dropped)
    assert before.reason == "duplicate"
    first = one.take(chunk(tone(10), 1.0, delivery_id="a"))
    assert [type(step) for step in first] == [Began, Audio]
    assert [type(step) for step in one.take(chunk(tone(10), 1.1, delivery_id="a"))] == [Dropped]


def test_another_rate_or_another_session_of_the_sender_is_another_session() -> None:
    one = joiner()
    steps = [
        *one.take(chunk(tone(100), 1.0)),
        *one.take(chunk(tone(100), 1.0, sample_rate=16_000)),
        *one.take(chunk(tone(100), 1.0, sample_rate=16_000, session="a", position=0)),
        *one.take(chunk(tone(100), 1.0, sample_rate=16_000, session="b", position=0)),
        *one.pass_time(2.0),  # until then there may be more of the first
    ]
    assert sessions(steps) == [tone(100)] * 4
    reasons = [step.reason for step in steps if isinstance(step, Ended)]
    assert reasons == ["sample rate", "sender's session", "sender's session"]


def test_a_session_is_due_when_the_next_chunk_would_end_it_anyway() -> None:
    one = joiner(gap=10)
    assert one.due is None
    one.take(chunk(tone(2 * RATE), 2.0))
    assert one.due == 2.0 + 10 + 2
    one.end("over")
    assert one.due is None


def test_nothing_is_nothing() -> None:
    assert joiner().take(chunk(b"", 1.0)) == []
    assert joiner().end("over") == []
