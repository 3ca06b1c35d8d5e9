"""What is counted of a stream that native code decodes, and for which codecs it may."""

import socket
from collections.abc import Iterator

import pytest

from engine._native import ffi, lib
from engine.audio.codecs import Decoder, create_decoder
from engine.audio.intake import Intake, open_intake
from engine.audio.ring import Ring
from tests.native.test_frame import BINARY, frame


def intake_of(decoder: Decoder, ring: Ring) -> Intake | None:
    return open_intake(decoder, ring, margin=0, keepalive=2, alarm=3)


@pytest.fixture(name="lane")
def _lane() -> Iterator[object]:
    lane = lib.lane_open(1, 1 << 20, ffi.new("int *"))
    yield lane
    lib.lane_close(lane)


def test_what_was_decoded_is_given_once(lane: object) -> None:
    ring, decoder = Ring(16_000), create_decoder("pcm16", 16_000)
    intake = intake_of(decoder, ring)
    assert intake is not None
    assert intake.quiet_for() is None
    client, server = socket.socketpair()
    with client, server:
        slot = lib.lane_add(lane, server.fileno())
        lib.lane_decode(lane, slot, intake.native)
        lib.lane_read(lane, slot, lib.LANE_ALL)
        client.sendall(frame(BINARY, bytes(640)) * 3)
        lib.lane_run(lane)
        done = intake.take()
        assert (done.samples, done.packets, done.bad_packets, done.rejected) == (960, 3, 0, False)
        assert ring.write_position == 960
        assert intake.take().packets == 0
        assert (intake.quiet_for() or -1) >= 0
        lib.lane_remove(lane, slot)


def test_one_packet_in_sixteen_is_timed(lane: object) -> None:
    intake = intake_of(create_decoder("pcm16", 16_000), Ring(64_000))
    assert intake is not None
    assert intake.take_times() is None
    client, server = socket.socketpair()
    with client, server:
        slot = lib.lane_add(lane, server.fileno())
        lib.lane_decode(lane, slot, intake.native)
        lib.lane_read(lane, slot, lib.LANE_ALL)
        client.sendall(frame(BINARY, bytes(640)) * (lib.LANE_TIMED + 1))
        lib.lane_run(lane)
        assert intake.native.timed == 2
        assert intake.take_times() is not None
        assert intake.take_times() is None
        lib.lane_remove(lane, slot)


@pytest.mark.parametrize(
    ("codec", "rate", "native"),
    [
        ("pcm16", 16_000, True),
        ("pcm8", 16_000, True),
        ("opus", 48_000, True),
        ("opus_fs320", 16_000, True),
        ("lc3", 8_000, True),
        ("lc3_fs1030", 16_000, True),
        ("pcm8", 8_000, True),
        ("pcm16", 44_100, True),
        ("lc3", 48_000, True),
        ("aac", 16_000, False),
    ],
)
def test_every_codec_that_is_native_goes_past_python_whatever_its_rate(
    codec: str, rate: int, native: bool
) -> None:
    decoder = create_decoder(codec, rate)
    assert (intake_of(decoder, Ring(16_000)) is not None) == native
    decoder.close()


def test_an_alarm_is_given_once() -> None:
    intake = intake_of(create_decoder("pcm16", 16_000), Ring(16_000))
    assert intake is not None
    intake.native.alarmed = 7
    assert [intake.take_alarm(), intake.take_alarm()] == [7, 0]
