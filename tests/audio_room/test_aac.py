"""AAC in ADTS: what frames, damaged frames and changing headers become."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.audio.aac import FRAME_SAMPLES, AdtsDecoder
from engine.audio.adts import RATES
from engine.audio.codecs import PIECE_SAMPLES, Decoded
from engine.audio.ring import Ring, RingFull
from tests.audio_room.streams import decode_all, heard, packets, speech

SPOKEN = packets("aac", speech())
LOST = Decoded(samples=0, concealed=1024, rejected=True, packets=1, bad_packets=1)


def tone(rate: int, channels: int = 1) -> list[bytes]:
    pcm = (np.sin(2 * np.pi * 440 * np.arange(rate) / rate) * 8000).astype(np.int16)
    return packets("aac", pcm.repeat(channels), rate, channels)


def test_several_frames_in_a_message_decode_as_they_would_apart() -> None:
    frames = packets("aac", speech())
    apart = decode_all(AdtsDecoder(16_000), frames)
    ring = Ring(10 * 16_000)
    decoder = AdtsDecoder(16_000)
    done = decoder.decode(b"".join(frames[:5]), ring)
    assert done == Decoded(5 * 1024, packets=5)
    for frame in frames[5:]:
        decoder.decode(frame, ring)
    assert heard(ring).tolist() == apart.tolist()


def test_the_pieces_of_a_message_are_its_frames() -> None:
    frames = packets("aac", speech())
    decoder = AdtsDecoder(16_000)
    assert [bytes(piece) for piece in decoder.pieces(b"".join(frames) + b"rubbish")] == [*frames, b"rubbish"]
    assert decoder.pieces(b"") == (b"",)
    assert decoder.max_samples(300) == FRAME_SAMPLES <= PIECE_SAMPLES


@pytest.mark.parametrize(
    "payload", [b"", b"\xff", b"not a frame", bytes(300), b"\xff\xf1" + bytes(40)], ids=lambda p: repr(p[:8])
)
def test_what_is_no_frame_is_a_frame_of_silence(payload: bytes) -> None:
    ring = Ring(16_000)
    assert AdtsDecoder(16_000).decode(payload, ring) == LOST
    assert not heard(ring).any()


def test_a_frame_cut_short_is_lost_and_the_next_one_is_not() -> None:
    frames = packets("aac", speech())
    decoder = AdtsDecoder(16_000)
    ring = Ring(10 * 16_000)
    assert decoder.decode(frames[0], ring).samples == 1024
    assert decoder.decode(frames[1][:-3], ring) == LOST
    assert decoder.decode(frames[2], ring).samples == 1024


def test_damage_after_good_frames_costs_one_frame() -> None:
    frames = packets("aac", speech())
    done = AdtsDecoder(16_000).decode(frames[0] + frames[1] + b"damage", Ring(32_000))
    assert done == Decoded(2048, 1024, False, 3, 1)


def test_a_frame_of_several_blocks_is_concealed_in_full_length() -> None:
    frame = bytearray(packets("aac", speech())[1])
    frame[6] |= 3  # four raw data blocks
    assert AdtsDecoder(16_000).decode(frame, Ring(16_000)) == Decoded(0, 4096, True, 1, 1)


def test_rate_and_channels_are_those_of_the_frames_not_of_the_query() -> None:
    for rate, channels in ((44_100, 2), (8000, 1), (24_000, 2)):
        pcm = decode_all(AdtsDecoder(16_000), tone(rate, channels))
        spectrum = np.abs(np.fft.rfft(pcm[-12_000:-4000] * np.hanning(8000)))
        assert np.argmax(spectrum) * 2 == 440


def test_the_rate_may_change_in_mid_stream() -> None:
    pcm = decode_all(AdtsDecoder(16_000), [*tone(48_000), *tone(16_000)])
    frames = {rate: len(tone(rate)) * 1024 for rate in (48_000, 16_000)}
    assert len(pcm) == round(frames[48_000] / 3) + frames[16_000]


@pytest.mark.parametrize("rate", [7350, 64_000, 96_000])
def test_a_rate_that_cannot_be_converted_is_like_damage(rate: int) -> None:
    done = AdtsDecoder(16_000).decode(_at_rate(packets("aac", speech())[1], rate), Ring(16_000))
    assert done == LOST


def _at_rate(frame: bytes, rate: int) -> bytes:
    changed = bytearray(frame)
    changed[2] = changed[2] & 0b11000011 | RATES.index(rate) << 2
    return bytes(changed)


def test_a_lost_frame_lasts_as_long_as_the_streams_frames() -> None:
    frames = tone(48_000)
    decoder = AdtsDecoder(16_000)
    ring = Ring(4 * 16_000)
    for number, frame in enumerate(frames):
        done = decoder.decode(b"lost" if number == 10 else frame, ring)
        if number == 10:
            assert done.concealed in (341, 342)
    decoder.flush(ring)
    assert ring.write_position == round(len(frames) * 1024 / 3)


def test_without_room_nothing_is_decoded() -> None:
    frames = packets("aac", speech())
    ring = Ring(FRAME_SAMPLES)
    reader = ring.cursor("slow")
    ring.write(np.zeros(ring.capacity - 100, np.int16))
    decoder = AdtsDecoder(16_000)
    with pytest.raises(RingFull):
        decoder.decode(frames[0], ring)
    reader.advance(reader.available)
    got = [decoder.decode(frames[0], ring).samples]
    assert got == [1024]


def test_a_closed_decoder_refuses() -> None:
    decoder = AdtsDecoder(16_000)
    decoder.close()
    decoder.close()
    with pytest.raises(ValueError, match="the decoder is closed"):
        decoder.decode(b"123", Ring(16_000))


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=60),
            st.tuples(
                st.integers(0, 40), st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=4)
            ),
        ),
        max_size=6,
    )
)
def test_no_payload_makes_it_raise_and_the_ring_advances_as_reported(
    messages: list[bytes | tuple[int, list[tuple[int, int]]]],
) -> None:
    decoder = AdtsDecoder(16_000)
    ring = Ring(60 * 16_000)
    for message in messages:
        if isinstance(message, bytes):
            payload = message
        else:
            damaged = bytearray(SPOKEN[message[0] % len(SPOKEN)])
            for at, value in message[1]:
                damaged[at % len(damaged)] = value
            payload = bytes(damaged)
        for piece in decoder.pieces(payload):
            before = ring.write_position
            done = decoder.decode(piece, ring)
            assert (
                ring.write_position - before
                == done.samples + done.concealed
                <= decoder.max_samples(len(piece))
            )
            assert done.samples + done.concealed > 0
