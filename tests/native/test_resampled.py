"""Decoding and converting the rate in native code, against the same done in Python, step by step."""

import socket
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine._native import ffi, lib
from engine.audio import _layout as at
from engine.audio.codecs import create_decoder
from engine.audio.intake import open_intake
from engine.audio.resample import Resampler, native_kernel, warm
from engine.audio.ring import Ring
from tests.audio_room.streams import heard, packets, speech
from tests.native.test_frame import BINARY, frame

Samples = NDArray[np.int16]
RATES = (8000, 11025, 22050, 44_100, 44_101, 48_000)
SECONDS = 2


@pytest.fixture(scope="module", autouse=True)
def _warm() -> None:
    warm()


def in_python(codec: str, rate: int, channels: int, data: bytes) -> Samples:
    """The whole stream: samples, their mean, the Python resampler."""
    unit = channels * (1 if codec == "pcm8" else 2)
    data = data[: len(data) // unit * unit]
    pcm = (
        (np.frombuffer(data, np.uint8).astype(np.int16) - 128) * 256
        if codec == "pcm8"
        else np.frombuffer(data, "<i2")
    )
    if channels == 2:
        pcm = np.rint(pcm.reshape(-1, 2).mean(axis=1)).astype(np.int16)
    resampler = Resampler(rate)
    return np.concatenate([resampler.process(pcm), resampler.flush()])


def through_the_lane(codec: str, rate: int, channels: int, messages: Sequence[bytes]) -> Samples:
    """The messages as WebSocket frames over a socket, received, decoded and converted by the lane."""
    decoder, ring = create_decoder(codec, rate, channels), Ring(SECONDS * 16_000)
    intake = open_intake(decoder, ring, margin=0, keepalive=2, alarm=50)
    assert intake is not None
    lane = ffi.gc(lib.lane_open(1, 1 << 20, ffi.new("int *")), lib.lane_close)
    client, server = socket.socketpair()
    with client, server:
        slot = lib.lane_add(lane, server.fileno())
        lib.lane_decode(lane, slot, intake.native)
        lib.lane_read(lane, slot, lib.LANE_ALL)
        for message in messages:
            client.sendall(frame(BINARY, message))
            received = lib.lane_counted(lane).decoded + 1
            while lib.lane_counted(lane).decoded < received:
                lib.lane_run(lane)
        lib.lane_remove(lane, slot)
    done = intake.take()
    assert (done.samples, done.packets) == (ring.write_position, len(messages))
    decoder.flush(ring)
    return heard(ring)


def cut(data: bytes, sizes: Sequence[int]) -> Iterator[bytes]:
    for size in sizes:
        yield data[:size]
        data = data[size:]
    if len(data) > 2:  # else it is a keep-alive
        yield data


@settings(max_examples=120, deadline=None)
@given(
    codec=st.sampled_from(["pcm8", "pcm16"]),
    rate=st.sampled_from(RATES),
    channels=st.sampled_from([1, 2]),
    sizes=st.lists(st.integers(3, 4000), max_size=12),
)
def test_the_lane_and_python_give_the_same_bits_however_the_stream_is_cut(
    codec: str, rate: int, channels: int, sizes: list[int]
) -> None:
    data = np.random.default_rng(len(sizes)).bytes(sum(sizes) + 3001)
    messages = list(cut(data, sizes))
    expected = in_python(codec, rate, channels, b"".join(messages))
    assert through_the_lane(codec, rate, channels, messages).tobytes() == expected.tobytes()


@pytest.mark.parametrize("channels", [1, 2])
def test_lc3_at_48_khz_is_converted_in_the_lane(channels: int) -> None:
    pcm = speech()[16_000:20_800].repeat(channels)
    messages = packets("lc3", pcm, 48_000, channels)
    decoder, ring = create_decoder("lc3", 48_000, channels), Ring(16_000)
    for message in messages:
        decoder.decode(message, ring)
    decoder.flush(ring)
    assert ring.write_position == 1600
    assert through_the_lane("lc3", 48_000, channels, messages).tobytes() == heard(ring).tobytes()


def test_streams_in_one_call_share_no_state() -> None:
    data = np.random.default_rng(4).bytes(9600)
    rings = [Ring(16_000) for _ in RATES]
    decoders = [create_decoder("pcm16", rate) for rate in RATES]
    for start in range(0, len(data), 700):
        for decoder, ring in zip(decoders, rings, strict=True):
            decoder.decode(data[start : start + 700], ring)
    for decoder, ring, rate in zip(decoders, rings, RATES, strict=True):
        decoder.flush(ring)
        assert heard(ring).tobytes() == in_python("pcm16", rate, 1, data).tobytes()


def test_concealed_packets_are_counted_when_they_come_out_of_the_conversion() -> None:
    decoder, ring = create_decoder("lc3", 48_000), Ring(16_000)
    done = [decoder.decode(b"bad", ring) for _ in range(10)]
    tail = decoder.flush(ring)
    assert all(one.rejected and one.samples == 0 for one in done)
    assert sum(one.concealed for one in done) + tail.samples == ring.write_position == 1600


def test_a_message_too_long_to_be_converted_at_once_is_refused_whole() -> None:
    decoder, ring = create_decoder("pcm16", 48_000), Ring(16 * 16_000)
    codec, piece = decoder.native_codec()  # type: ignore[attr-defined]
    result = ffi.new("codec_result *")
    longest = 2 * lib.RESAMPLE_PIECE
    assert piece <= longest
    assert lib.codec_decode_ring(codec, bytes(longest + 2), longest + 2, ring._native(), result) == (
        lib.CODEC_NO_ROOM
    )
    assert ring.write_position == 0
    assert lib.codec_decode_ring(codec, bytes(longest), longest, ring._native(), result) > 0


def test_both_languages_mean_the_same_layout() -> None:
    assert lib.RESAMPLE_STATE_SCRATCH == at.SCRATCH
    assert lib.RESAMPLE_SCRATCH >= at.SCRATCH_ROOM
    codec = lib.codec_open_resampled(
        lib.codec_open_pcm(16, 1),
        ffi.cast("resample_kernel", native_kernel()),
        48_000,
        16_000,
        at.STATE_BYTES,
    )
    address = int(ffi.cast("uintptr_t", lib.codec_resampler_state(codec)))
    assert address % 64 == 0
    assert bytes(ffi.buffer(lib.codec_resampler_state(codec), at.STATE_BYTES)) == bytes(at.STATE_BYTES)
    lib.codec_close(codec)
