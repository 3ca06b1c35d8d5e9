"""Requests become sessions without gaps, however the audio was cut."""

from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from engine.webhooks.receiver.joining import Audio, Began, Dropped, Ended, Silence
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


@given(SIZES, st.randoms(use_true_random=False))
def test_a_sender_that_says_where_audio_belongs_is_believed_whenever_it_arrives(
    sizes: list[int], random: object
) -> None:
    pcm = tone(5 * RATE)
    one, steps, at = joiner(), [], 0
    for number, piece in enumerate(cut(pcm, sizes)):
        arrived = number * 500.0  # later than any gap may be
        steps += one.take(chunk(piece, arrived, session="s", position=1000 + at))
        at += len(piece) // 2
    assert sessions(steps) == [pcm]


@given(st.lists(st.tuples(st.integers(0, 6 * RATE), st.integers(1, 2 * RATE)), max_size=12))
def test_with_positions_every_sample_is_in_its_place_once_or_dropped(runs: list[tuple[int, int]]) -> None:
    pcm = tone(9 * RATE)
    one = joiner()
    steps = [
        step
        for start, size in runs
        for step in one.take(chunk(pcm[2 * start : 2 * (start + size)], 0.0, session="s", position=start))
    ]
    heard = sessions(steps)
    taken = sum(step.samples for step in steps if isinstance(step, Audio | Dropped))
    assert taken == sum(min(size, 9 * RATE - start) for start, size in runs)
    for session in heard:
        origin = next(start for start, _ in runs)
        for at in range(0, len(session), 2):
            sample = session[at : at + 2]
            assert sample in (b"\0\0", pcm[2 * origin + at : 2 * origin + at + 2])


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
    assert one.take(chunk(tone(10), 1.0, delivery_id="before")) == [Dropped(reason="duplicate", samples=10)]
    first = one.take(chunk(tone(10), 1.0, delivery_id="a"))
    assert [type(step) for step in first] == [Began, Audio]
    assert one.take(chunk(tone(10), 1.1, delivery_id="a")) == [Dropped(reason="duplicate", samples=10)]


def test_what_comes_too_late_for_its_place_is_dropped() -> None:
    one = joiner()
    one.take(chunk(tone(100), 1.0, session="s", position=0))
    skipped = one.take(chunk(tone(100, 200), 1.0, session="s", position=200))
    assert skipped[0] == Silence(position=100, samples=100)
    late = one.take(chunk(tone(100, 100), 1.0, session="s", position=100))
    assert late == [Dropped(reason="late", samples=100)]
    overlapping = one.take(chunk(tone(100, 250), 1.0, session="s", position=250))
    assert overlapping == [
        Dropped(reason="late", samples=50),
        Audio(position=300, pcm=tone(50, 300)),
    ]


def test_another_rate_or_another_session_of_the_sender_is_another_session() -> None:
    one = joiner()
    steps = [
        *one.take(chunk(tone(100), 1.0)),
        *one.take(chunk(tone(100), 1.0, sample_rate=16_000)),
        *one.take(chunk(tone(100), 1.0, sample_rate=16_000, session="a", position=0)),
        *one.take(chunk(tone(100), 1.0, sample_rate=16_000, session="b", position=0)),
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
