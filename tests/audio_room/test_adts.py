"""ADTS headers, made and found."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.audio.adts import RATES, AdtsFrame, adts_header, split_adts


def test_a_header_is_the_seven_bytes_the_standard_says() -> None:
    # 48 kHz, stereo, LC, no checksum, frame length 7 + 0x100 - 7: as FFmpeg writes it
    assert adts_header(0x100 - 7, 48_000, 2).hex() == "fff14c80201ffc"


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=50), st.sampled_from(RATES), st.integers(1, 2))))
def test_what_was_framed_is_found_again(frames: list[tuple[bytes, int, int]]) -> None:
    framed = [adts_header(len(data), rate, channels) + data for data, rate, channels in frames]
    message = b"".join(framed)
    found = list(split_adts(memoryview(message)))
    assert [message[frame.start : frame.end] for frame in found] == framed
    assert [(frame.rate, frame.blocks) for frame in found] == [(rate, 1) for _, rate, _ in frames]


@given(st.binary(max_size=300))
def test_the_entries_tile_any_message_and_end(message: bytes) -> None:
    position = 0
    for frame in split_adts(memoryview(message)):
        assert frame.start == position < frame.end
        position = frame.end
    assert position == len(message)


def test_where_no_frame_begins_the_rest_is_one_entry() -> None:
    good = adts_header(3, 16_000, 1) + b"abc"
    message = good + b"\xff\xf1rubbish" + good
    assert list(split_adts(memoryview(message))) == [
        AdtsFrame(0, 10, 16_000, 1),
        AdtsFrame(10, len(message), 0, 1),
    ]


def test_a_frame_longer_than_the_message_is_none() -> None:
    assert list(split_adts(memoryview(adts_header(4, 16_000, 1) + b"abc"))) == [AdtsFrame(0, 10, 0, 1)]


def test_what_a_header_cannot_hold_is_refused() -> None:
    with pytest.raises(ValueError, match="rate: ADTS has no 15000 Hz; accepted: 96000, 88200"):
        adts_header(100, 15_000, 1)
    with pytest.raises(ValueError, match="payload_bytes: 8185 is more than 8184"):
        adts_header(8185, 16_000, 1)
