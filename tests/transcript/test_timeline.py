import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.transcript.timeline import (
    OffsetTable,
    resumed_offset,
    samples_to_seconds,
    seconds_to_samples,
)

STEPS = st.lists(
    st.tuples(st.sampled_from(["session audio", "gated", "not the session's"]), st.integers(1, 50)),
    max_size=30,
)


class Twin:
    """The slow, obvious table: the session position of every vendor sample, one by one."""

    def __init__(self) -> None:
        self.starts: list[int] = []
        self.ends: list[int] = []
        self.session = 0
        self.table = OffsetTable()
        self.table.add(0, 0)

    def step(self, kind: str, samples: int) -> None:
        if kind == "gated":
            self.session += samples
        else:
            for _ in range(samples):
                self.starts.append(self.session)
                self.session += kind == "session audio"
                self.ends.append(self.session)
        self.table.add(len(self.starts), self.session)


@given(STEPS)
def test_every_vendor_sample_lies_where_the_session_has_it(steps: list[tuple[str, int]]) -> None:
    twin = Twin()
    for kind, samples in steps:
        twin.step(kind, samples)
    for sample, (start, end) in enumerate(zip(twin.starts, twin.ends, strict=True)):
        held = start == end
        if not held:
            assert twin.table.to_session(sample) == start
            assert twin.table.to_session(sample + 1, end=True) == end
    assert twin.table.to_session(len(twin.starts)) == twin.session


@given(STEPS, st.lists(st.integers(-20, 2000), min_size=2))
def test_translation_keeps_order_and_stays_within_the_session(
    steps: list[tuple[str, int]], samples: list[int]
) -> None:
    twin = Twin()
    for kind, count in steps:
        twin.step(kind, count)
    ordered = sorted(samples)
    translated = [twin.table.to_session(sample) for sample in ordered]
    assert translated == sorted(translated)
    assert translated[0] >= 0
    start, end = twin.table.span(ordered[0], ordered[-1])
    assert start <= end


def test_an_empty_table_changes_nothing() -> None:
    assert OffsetTable().to_session(123) == 123
    assert OffsetTable().span(1, 5) == (1, 5)


def test_pre_roll_lies_at_the_point_where_the_stream_began() -> None:
    table = OffsetTable()
    table.add(0, 5_000)
    table.add(480_000, 5_000)
    assert table.span(0, 480_000) == (5_000, 5_000)
    assert table.span(100, 480_160) == (5_000, 5_160)


def test_a_word_that_ends_where_silence_was_cut_out_ends_before_the_gap() -> None:
    table = OffsetTable()
    table.add(0, 0)
    table.add(1_000, 9_000)
    assert table.span(500, 1_000) == (500, 1_000)
    assert table.span(1_000, 1_200) == (9_000, 9_200)
    assert table.span(500, 1_200) == (500, 9_200)


def test_an_empty_span_at_a_gap_is_not_turned_around() -> None:
    table = OffsetTable()
    table.add(0, 0)
    table.add(1_000, 9_000)
    assert table.span(1_000, 1_000) == (9_000, 9_000)


def test_checkpoints_on_one_line_are_kept_once() -> None:
    table = OffsetTable()
    for position in range(0, 1_000, 10):
        table.add(position, position + 7)
    assert table.statistics().checkpoints == 1
    assert table.statistics().coalesced == 99
    assert table.to_session(5_000) == 5_007


def test_a_second_checkpoint_at_one_position_replaces_the_first() -> None:
    table = OffsetTable()
    table.add(0, 0)
    table.add(100, 200)
    table.add(100, 300)
    assert table.to_session(100) == 300
    assert table.statistics().checkpoints == 2


def test_the_oldest_checkpoints_are_forgotten_when_it_is_full() -> None:
    table = OffsetTable(capacity=3)
    for index in range(5):
        table.add(index * 10, index * 100)
    assert table.statistics().checkpoints == 3
    assert table.statistics().forgotten == 2
    assert table.to_session(45) == 405
    assert table.to_session(0) == 200


@pytest.mark.parametrize("checkpoint", [(5, 100), (20, 50)])
def test_checkpoints_cannot_go_back(checkpoint: tuple[int, int]) -> None:
    table = OffsetTable()
    table.add(10, 60)
    with pytest.raises(ValueError, match=r"lies before \(10, 60\)"):
        table.add(*checkpoint)
    assert table.to_session(10) == 60


def test_a_table_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="capacity=0"):
        OffsetTable(capacity=0)


@given(st.integers(0, 10**12))
def test_seconds_are_samples_to_the_millisecond(samples: int) -> None:
    assert abs(seconds_to_samples(samples_to_seconds(samples)) - samples) <= 8


def test_a_resumed_conversation_began_earlier() -> None:
    assert resumed_offset(61_500_000, 1_000_000) == 60.5
    assert resumed_offset(1_000_000, 61_500_000) == 0.0
