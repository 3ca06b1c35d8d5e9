"""The ring, rule by rule; test_ring_model.py drives it against a slow model."""

import itertools
import os

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.audio.ring import Ring, RingFull, RingPool


def ramp(start: int, count: int) -> NDArray[np.int16]:
    return (np.arange(start, start + count) % 32768).astype(np.int16)


def test_capacity_is_rounded_up_to_whole_pages() -> None:
    page = os.sysconf("SC_PAGESIZE") // 2
    assert Ring(1).capacity == page
    assert Ring(page).capacity == page
    assert Ring(page + 1).capacity == 2 * page


@pytest.mark.parametrize("capacity", [0, -1, 1 << 32])
def test_a_capacity_that_makes_no_sense_is_refused(capacity: int) -> None:
    with pytest.raises(ValueError, match=f"capacity_samples: {capacity} is not between 1 and"):
        Ring(capacity)


def test_a_window_over_the_end_of_the_buffer_is_contiguous() -> None:
    ring = Ring(4096)
    ring.write(ramp(0, ring.capacity - 10))
    ring.write(ramp(ring.capacity - 10, 300))
    start = ring.capacity - 100
    assert ring.window(start, start + 390).tolist() == ramp(start, 390).tolist()


def test_views_are_read_only_and_no_copies() -> None:
    ring = Ring(4096)
    cursor = ring.cursor("reader")
    ring.write(ramp(0, 10))
    view = cursor.peek(10)
    assert view.readonly
    assert view.format == "h"
    ring.reserve_view(10)  # where sample 10 goes
    seen = np.frombuffer(ring.window(0, 10), np.int16)
    assert np.shares_memory(seen, np.frombuffer(view, np.int16))


def test_reserving_and_committing_is_writing() -> None:
    ring = Ring(4096)
    place = ring.reserve(3)
    place[0], place[1], place[2] = 7, 8, 9
    assert ring.write_position == 0
    ring.commit(2)
    assert ring.write_position == 2
    assert ring.window(0, 2).tolist() == [7, 8]
    with pytest.raises(LookupError):
        ring.window(0, 3)


def test_reserving_more_than_the_ring_holds_is_refused() -> None:
    ring = Ring(2048)
    for samples, reserve in itertools.product((-1, ring.capacity + 1), (ring.reserve, ring.reserve_view)):
        with pytest.raises(ValueError, match=f"samples: {samples} is not between 0 and the ring's capacity"):
            reserve(samples)


def test_a_lossless_reader_holds_the_writer_back_and_nothing_has_moved() -> None:
    ring = Ring(4096)
    cursor = ring.cursor("slow")
    ring.write(ramp(0, ring.capacity - 5))
    assert ring.headroom() == 5
    with pytest.raises(RingFull, match="6 samples do not fit: 5 of"):
        ring.write(ramp(0, 6))
    with pytest.raises(RingFull):
        ring.commit(6)
    assert ring.write_position == ring.capacity - 5
    assert cursor.peek(5).tolist() == [0, 1, 2, 3, 4]
    cursor.advance(1)
    ring.write(ramp(0, 6))


def test_a_lossy_reader_is_moved_on_and_counts_what_it_lost() -> None:
    ring = Ring(4096)
    cursor = ring.cursor("speaker identification", lossless=False)
    for start in range(0, 3 * ring.capacity, 64):
        ring.write(ramp(start, 64))
    assert cursor.overrun == 2 * ring.capacity
    assert cursor.position == 2 * ring.capacity
    assert cursor.available == ring.capacity
    assert ring.headroom() == ring.capacity


def test_a_closed_reader_no_longer_holds_the_writer_back() -> None:
    ring = Ring(4096)
    cursor = ring.cursor("gone")
    ring.write(ramp(0, ring.capacity))
    cursor.close()
    cursor.close()
    assert ring.headroom() == ring.capacity
    with pytest.raises(ValueError, match="cursor 'gone' is closed"):
        cursor.peek(1)
    assert ring.cursor("gone").position == ring.capacity


def test_a_reader_may_begin_anywhere_the_ring_still_holds() -> None:
    ring = Ring(4096)
    ring.write(ramp(0, ring.capacity))
    ring.write(ramp(0, 100))
    assert ring.cursor("oldest", at=100).peek(1).tolist() == [100]
    assert ring.cursor("now").available == 0
    for outside in (-1, 99, ring.capacity + 101):
        with pytest.raises(LookupError, match=rf"at: {outside} is outside the ring, which holds 100 to \d+"):
            ring.cursor("lost", at=outside)


def test_readers_have_distinct_names_and_there_are_eight() -> None:
    ring = Ring(4096)
    for number in range(8):
        ring.cursor(f"reader {number}")
    with pytest.raises(ValueError, match="8 are open"):
        ring.cursor("ninth")
    with pytest.raises(ValueError, match="'reader 3' is open already"):
        ring.cursor("reader 3")


def test_a_reader_cannot_leave_what_the_ring_holds() -> None:
    ring = Ring(4096)
    cursor = ring.cursor("reader", lossless=False)
    ring.write(ramp(0, ring.capacity))
    ring.write(ramp(0, 100))
    for samples in (-1, ring.capacity + 1):
        with pytest.raises(ValueError, match=f"samples: {samples} is not between 0 and the {ring.capacity}"):
            cursor.advance(samples)
    for position in (-1, 99, ring.capacity + 101):
        with pytest.raises(LookupError, match=f"position: {position} is outside"):
            cursor.seek(position)
    with pytest.raises(ValueError, match="samples: -1 is negative"):
        cursor.peek(-1)
    cursor.seek(ring.capacity + 50)
    assert cursor.available == 50
    cursor.seek(100)
    assert cursor.available == ring.capacity


def test_positions_go_on_beyond_what_32_bits_hold() -> None:
    ring = Ring(4096)
    ring._memory.written = (1 << 40) + 17  # two years of audio
    cursor = ring.cursor("reader")
    ring.write(ramp(5, 10))
    assert cursor.position == (1 << 40) + 17
    assert cursor.peek(20).tolist() == ramp(5, 10).tolist()
    assert ring.window(ring.write_position - 2, ring.write_position).tolist() == [13, 14]


def test_views_outlive_the_ring() -> None:
    ring = Ring(4096)
    ring.write(ramp(0, 100))
    view = ring.window(0, 100)
    ring.close()
    ring.close()
    del ring
    assert view.tolist() == ramp(0, 100).tolist()


def test_a_closed_ring_and_its_readers_refuse_everything_but_statistics() -> None:
    ring = Ring(4096)
    cursor = ring.cursor("reader")
    ring.write(ramp(0, 5))
    ring.close()
    for use in (
        ring.headroom,
        lambda: ring.write(ramp(0, 1)),
        lambda: ring.window(0, 1),
        lambda: ring.reserve(1),
    ):
        with pytest.raises(ValueError, match="the ring is closed"):
            use()
    with pytest.raises(ValueError, match="cursor 'reader' is closed"):
        cursor.advance(1)
    assert ring.statistics().write_position == 5
    assert ring.statistics().cursors[0].name == "reader"


def test_statistics_say_where_everyone_is() -> None:
    ring = Ring(4096)
    ring.cursor("stt")
    ring.cursor("speaker", lossless=False)
    ring.write(ramp(0, 100))
    statistics = ring.statistics()
    assert (statistics.capacity, statistics.write_position) == (ring.capacity, 100)
    assert statistics.headroom == ring.capacity - 100
    assert [(c.name, c.lossless, c.available) for c in statistics.cursors] == [
        ("stt", True, 100),
        ("speaker", False, 100),
    ]


def test_a_pool_hands_a_used_ring_out_as_new() -> None:
    pool = RingPool(4096, idle_limit=1)
    first = pool.acquire()
    first.cursor("left open")
    first.write(ramp(0, 100))
    memory = first._memory
    pool.release(first)
    second = pool.acquire()
    assert second._memory is memory
    assert second.statistics() == Ring(4096).statistics()
    with pytest.raises(LookupError):
        second.window(0, 100)
    with pytest.raises(ValueError, match="closed"):
        first.write(ramp(0, 1))


def test_a_pool_never_hands_on_memory_that_is_still_looked_at() -> None:
    pool = RingPool(4096, idle_limit=4)
    ring = pool.acquire()
    ring.write(ramp(0, 100))
    kept = np.frombuffer(ring.window(0, 100), np.int16)
    pool.release(ring)
    other = pool.acquire()
    other.write(np.full(other.capacity, -1, np.int16))
    assert kept.tolist() == ramp(0, 100).tolist()
    assert pool.statistics().in_view == 1


def test_a_pool_keeps_no_more_idle_rings_than_it_may_and_counts() -> None:
    pool = RingPool(4096, idle_limit=2)
    rings = [pool.acquire() for _ in range(3)]
    assert pool.statistics().in_use == 3
    for ring in rings:
        pool.release(ring)
        pool.release(ring)
    statistics = pool.statistics()
    assert (statistics.idle, statistics.in_use, statistics.mapped, statistics.surplus) == (2, 0, 3, 1)
    pool.acquire()
    assert pool.statistics().reused == 1


def test_of_several_positions_wanted_the_nearest_is_told_of() -> None:
    ring = Ring(16_000)
    ring._native().wanted = 1000
    ring.want(2000)
    ring.want(500)
    assert ring._native().wanted == 500
