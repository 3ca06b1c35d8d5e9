"""What clients send: packet sizes and counts, and that nothing of the input is left out."""

import numpy as np
import pytest

from engine.audio.encoders import create_encoder
from tests.audio_room.streams import speech


@pytest.mark.parametrize(
    ("codec", "rate", "channels", "frame", "size"),
    [
        ("pcm8", 8000, 1, 160, 160),
        ("pcm16", 16_000, 1, 320, 640),
        ("pcm16", 44_100, 2, 882, 3528),
        ("lc3", 16_000, 1, 160, 40),
        ("lc3", 48_000, 2, 480, 240),
        ("lc3_fs1030", 16_000, 1, 160, 30),
        ("lc3_fs1030", 16_000, 2, 160, 60),
    ],
)
def test_packets_of_fixed_size(codec: str, rate: int, channels: int, frame: int, size: int) -> None:
    encoder = create_encoder(codec, rate, channels)
    assert encoder.frame_samples == frame
    packets = encoder.encode(np.zeros((5 * frame, channels), np.int16))
    assert [len(packet) for packet in packets] == [size] * 5


@pytest.mark.parametrize(("codec", "milliseconds"), [("opus", 10), ("opus_fs320", 20)])
@pytest.mark.parametrize("rate", [8000, 12_000, 16_000, 24_000, 48_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_opus_packets_last_what_the_codecs_name_says(
    codec: str, milliseconds: int, rate: int, channels: int
) -> None:
    encoder = create_encoder(codec, rate, channels)
    assert encoder.frame_samples == rate * milliseconds // 1000
    packets = encoder.encode(np.zeros(rate * channels, np.int16))
    assert len(packets) == 1000 // milliseconds
    assert all(
        packet[0] >> 2 & 1 == channels - 1 for packet in packets
    )  # RFC 6716 section 3.1: the stereo flag


@pytest.mark.parametrize("codec", ["pcm16", "opus", "lc3", "aac"])
def test_the_way_the_input_is_cut_does_not_change_the_packets(codec: str) -> None:
    pcm = speech()[:8000]
    whole = create_encoder(codec, 16_000)
    cut = create_encoder(codec, 16_000)
    pieces = [packet for i in range(0, len(pcm), 77) for packet in cut.encode(pcm[i : i + 77])]
    assert [*pieces, *cut.flush()] == [*whole.encode(pcm), *whole.flush()]


def test_flush_fills_the_last_frame_up_with_silence() -> None:
    encoder = create_encoder("lc3", 16_000)
    assert encoder.encode(np.zeros(161, np.int16)) != []
    assert len(encoder.flush()) == 1
    assert encoder.flush() == []


def test_pcm_ends_exactly_where_the_input_ends() -> None:
    pcm = np.arange(-500, 500, dtype=np.int16)
    encoder = create_encoder("pcm16", 16_000)
    assert b"".join([*encoder.encode(pcm), *encoder.flush()]) == pcm.tobytes()
    assert encoder.flush() == []


def test_pcm8_is_unsigned_rounded_and_clipped() -> None:
    pcm = np.array([-32768, -129, -128, 0, 127, 128, 32767], np.int16)
    encoder = create_encoder("pcm8", 16_000)
    assert [*encoder.encode(pcm), *encoder.flush()] == [bytes([0, 127, 128, 128, 128, 129, 255])]


def test_what_cannot_be_encoded_is_refused_by_parameter() -> None:
    with pytest.raises(ValueError, match="sample_rate: lc3 at 44100 Hz"):
        create_encoder("lc3", 44_100)
    with pytest.raises(ValueError, match="sample_rate: AAC at 15000 Hz; accepted: 96000"):
        create_encoder("aac", 15_000)
    with pytest.raises(ValueError, match="pcm: 3 samples of int16; accepted: int16, 2 channels"):
        create_encoder("pcm16", 16_000, 2).encode(np.zeros(3, np.int16))
    with pytest.raises(ValueError, match="pcm: 4 samples of float32"):
        create_encoder("pcm16", 16_000).encode(np.zeros(4, np.float32))
