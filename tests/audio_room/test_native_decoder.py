"""PCM, Opus and LC3 at 16 kHz: how messages become samples. No resampler here."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.audio.codecs import PIECE_SAMPLES, Decoded, create_decoder
from engine.audio.ring import Ring, RingFull
from tests.audio_room.streams import decode_all, heard, packets, signal_to_noise, speech, through

NO_OPUS = b"\xff\x00\x00"  # code 3 with no frames: RFC 6716 section 3.4, rule R6
NATIVE = ("pcm8", "pcm16", "opus", "opus_fs320", "lc3", "lc3_fs1030")


def downmixed(pcm: NDArray[np.int16]) -> NDArray[np.int16]:
    """The slow model: the mean, halves to even."""
    mean: NDArray[np.float64] = pcm.reshape(-1, 2).astype(np.float64).mean(axis=1)
    return np.rint(mean).astype(np.int16)


@given(st.binary(max_size=200), st.lists(st.integers(1, 40), max_size=20), st.sampled_from([1, 2]))
def test_pcm16_gives_the_same_samples_however_it_is_cut(data: bytes, cuts: list[int], channels: int) -> None:
    messages = []
    rest = data
    for cut in cuts:
        messages.append(rest[:cut])
        rest = rest[cut:]
    whole = np.frombuffer(data[: len(data) // (2 * channels) * 2 * channels], "<i2")
    expected = whole if channels == 1 else downmixed(whole)
    assert (
        decode_all(create_decoder("pcm16", 16_000, channels), [*messages, rest]).tolist() == expected.tolist()
    )


@given(st.binary(max_size=200), st.integers(0, 200), st.sampled_from([1, 2]))
def test_pcm8_is_unsigned_with_its_mid_point_at_128(data: bytes, cut: int, channels: int) -> None:
    whole = (np.frombuffer(data[: len(data) // channels * channels], np.uint8).astype(np.int16) - 128) * 256
    expected = whole if channels == 1 else downmixed(whole)
    decoded = decode_all(create_decoder("pcm8", 16_000, channels), [data[:cut], data[cut:]])
    assert decoded.tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("left", "right", "mono"),
    [(1, 2, 2), (2, 3, 2), (-1, -2, -2), (-2, -3, -2), (0, 1, 0), (-1, 0, 0), (-32768, -32768, -32768),
     (32767, 32767, 32767), (32767, -32768, 0), (-32768, -32767, -32768), (32766, 32767, 32766)],
)  # fmt: skip
def test_stereo_is_averaged_and_halves_go_to_even(left: int, right: int, mono: int) -> None:
    message = np.array([left, right], "<i2").tobytes()
    assert decode_all(create_decoder("pcm16", 16_000, 2), [message]).tolist() == [mono]


@pytest.mark.parametrize("codec", NATIVE)
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_a_message_may_be_any_buffer_of_bytes(codec: str, kind: type) -> None:
    messages = packets(codec, speech()[:3200])
    ring = Ring(16_000)
    decoder = create_decoder(codec, 16_000)
    samples = [decoder.decode(kind(message), ring).samples for message in messages]
    assert sum(samples) == ring.write_position == 3200


@pytest.mark.parametrize("milliseconds", [2.5, 5, 10, 20, 40, 60, 80, 100, 120])
def test_opus_packets_may_be_longer_than_the_codecs_name_says(milliseconds: float) -> None:
    frame = packets("opus_fs320", speech()[:320])[0]  # one 20 ms CELT frame, code 0
    configuration = {2.5: 0b10100, 5: 0b10101, 10: 0b10110}.get(milliseconds, 0b10111)  # CELT, wide band
    count = max(1, round(milliseconds / 20))
    packet = bytes([configuration << 3 | 3, count]) + frame[1:] * count
    decoded = create_decoder("opus", 16_000).decode(packet, Ring(16_000))
    assert decoded == Decoded(samples=round(16 * milliseconds))


@pytest.mark.parametrize("rate", [8000, 12000, 16000, 24000, 48000])
@pytest.mark.parametrize("channels", [1, 2])
def test_opus_comes_out_at_16_khz_mono_whatever_the_client_sends(rate: int, channels: int) -> None:
    tone = np.sin(2 * np.pi * 440 * np.arange(rate) / rate) * 8000
    pcm = np.repeat(tone.astype(np.int16), channels)
    decoded = through("opus_fs320", pcm, rate, channels)
    assert len(decoded) == 16_000
    spectrum = np.abs(np.fft.rfft(decoded[3200:]))
    assert np.argmax(spectrum) * 16_000 / 12_800 == pytest.approx(440, abs=2)
    assert np.sqrt(np.mean(decoded[3200:].astype(float) ** 2)) == pytest.approx(8000 / np.sqrt(2), rel=0.05)


@pytest.mark.parametrize(("codec", "samples"), [("opus", 160), ("opus_fs320", 320)])
def test_a_corrupt_opus_packet_lasts_as_long_as_the_last_good_one(codec: str, samples: int) -> None:
    decoder = create_decoder(codec, 16_000)
    ring = Ring(16_000)
    concealed = Decoded(samples=0, concealed=samples, rejected=True, packets=1, bad_packets=1)
    assert decoder.decode(NO_OPUS, ring) == concealed
    assert decoder.decode(b"", ring) == concealed
    other = packets("opus_fs320" if codec == "opus" else "opus", speech()[:320])[0]
    good = decoder.decode(other, ring)
    assert decoder.decode(NO_OPUS, ring).concealed == good.samples == 480 - samples


def test_concealed_opus_goes_on_sounding_like_what_came_before() -> None:
    messages = packets("opus_fs320", speech())
    lost = len(messages) // 2
    ring = Ring(60 * 16_000)
    decoder = create_decoder("opus_fs320", 16_000)
    for number, message in enumerate(messages):
        decoder.decode(NO_OPUS if number == lost else message, ring)
    gap = heard(ring)[lost * 320 : (lost + 1) * 320].astype(float)
    before = heard(ring)[(lost - 1) * 320 : lost * 320].astype(float)
    assert 0.1 < np.sqrt(np.mean(gap**2) / np.mean(before**2)) < 2


def test_an_lc3_frame_is_as_long_as_its_message() -> None:
    frame = packets("lc3", speech()[16_000:16_160])[0]
    ring = Ring(16_000)
    decoder = create_decoder("lc3", 16_000)
    assert decoder.decode(frame, ring) == Decoded(samples=160)
    for wrong in (b"", frame[:19], bytes(401)):
        bad = decoder.decode(wrong, ring)
        assert bad == Decoded(samples=0, concealed=160, rejected=True, packets=1, bad_packets=1)


@pytest.mark.parametrize(
    ("extra", "good", "bad"),
    [(b"", 3, 0), (b"12345", 3, 0), (b"1234", 3, 1), (b"123456", 3, 1), (b"x" * 29, 3, 1)],
    ids=["three frames", "the pendant's footer", "4 bytes left", "6 bytes left", "29 bytes left"],
)
def test_lc3_fs1030_messages_are_split_on_30_bytes(extra: bytes, good: int, bad: int) -> None:
    frames = packets("lc3_fs1030", speech()[16_000:16_480])
    assert [len(frame) for frame in frames] == [30, 30, 30]
    decoded = create_decoder("lc3_fs1030", 16_000).decode(b"".join(frames) + extra, Ring(16_000))
    assert decoded == Decoded(160 * good, 160 * bad, False, good + bad, bad)


def test_lc3_fs1030_frames_decode_the_same_together_and_apart() -> None:
    frames = packets("lc3_fs1030", speech())
    together = [b"".join(frames[i : i + 3]) for i in range(0, len(frames), 3)]
    apart = decode_all(create_decoder("lc3_fs1030", 16_000), frames)
    assert decode_all(create_decoder("lc3_fs1030", 16_000), together).tolist() == apart.tolist()


@pytest.mark.parametrize("codec", ["lc3", "lc3_fs1030"])
def test_stereo_lc3_is_two_frames_of_equal_length(codec: str) -> None:
    left, right = speech(), np.zeros(len(speech()), np.int16)
    messages = packets(codec, np.stack([left, right], axis=1), channels=2)
    decoder = create_decoder(codec, 16_000, 2)
    mono = decode_all(decoder, messages)
    assert signal_to_noise((left / 2).astype(np.int16), mono, delay=40) > 10
    bad = decoder.decode(messages[0][:-1], Ring(16_000))
    assert (bad.concealed, bad.bad_packets, bad.rejected) == (160, 1, True)


def test_lc3_coded_at_8_khz_comes_out_at_16_without_resampling() -> None:
    tone = (np.sin(2 * np.pi * 440 * np.arange(8000) / 8000) * 8000).astype(np.int16)
    decoder = create_decoder("lc3", 8000)
    decoded = decode_all(decoder, packets("lc3", tone, 8000))
    assert decoder.delay == 0
    assert len(decoded) == 16_000
    assert np.argmax(np.abs(np.fft.rfft(decoded))) == pytest.approx(440, abs=1)


@pytest.mark.parametrize("codec", NATIVE)
def test_a_decoder_that_has_no_room_says_so_before_it_does_anything(codec: str) -> None:
    messages = packets(codec, speech()[16_000:19_200])
    ring = Ring(2048)
    reader = ring.cursor("slow")
    expected = decode_all(create_decoder(codec, 16_000), messages)
    decoder = create_decoder(codec, 16_000)
    got: list[int] = []
    refused = 0
    for message in messages:
        try:
            decoder.decode(message, ring)
        except RingFull:
            refused += 1
            got += reader.peek(reader.available)
            reader.advance(reader.available)
            decoder.decode(message, ring)
    got += reader.peek(reader.available)
    assert refused
    assert got == expected.tolist()


@pytest.mark.parametrize("codec", NATIVE)
@pytest.mark.parametrize("channels", [1, 2])
def test_a_large_message_comes_in_pieces_that_decode_to_the_same(codec: str, channels: int) -> None:
    message = np.random.default_rng(1).bytes(200_003)
    decoder = create_decoder(codec, 16_000, channels)
    ring = Ring(16_000)
    reader = ring.cursor("reader")
    got: list[int] = []
    pieces = decoder.pieces(message)
    assert b"".join(bytes(piece) for piece in pieces) == message
    for piece in pieces:
        assert decoder.max_samples(len(piece)) <= PIECE_SAMPLES
        decoder.decode(piece, ring)
        got += reader.peek(reader.available)
        reader.advance(reader.available)
    whole = Ring(2_000_000)
    create_decoder(codec, 16_000, channels).decode(message, whole)
    assert got == heard(whole).tolist()


@pytest.mark.parametrize("codec", NATIVE)
def test_flush_has_nothing_to_add(codec: str) -> None:
    decoder = create_decoder(codec, 16_000)
    assert decoder.flush(Ring(16_000)) == Decoded(0, packets=0)


@pytest.mark.parametrize("codec", NATIVE)
def test_a_closed_decoder_refuses(codec: str) -> None:
    decoder = create_decoder(codec, 16_000)
    decoder.close()
    decoder.close()
    with pytest.raises(ValueError, match="the decoder is closed"):
        decoder.decode(b"123", Ring(16_000))


@settings(deadline=None, max_examples=150)
@given(
    codec=st.sampled_from(NATIVE),
    channels=st.sampled_from([1, 2]),
    messages=st.lists(st.one_of(st.binary(max_size=420), st.integers(0, 5)), max_size=12),
)
def test_no_payload_makes_a_decoder_raise_and_the_ring_advances_as_reported(
    codec: str, channels: int, messages: list[bytes | int]
) -> None:
    good = packets(codec, speech()[16_000:16_960].repeat(channels), channels=channels)
    decoder = create_decoder(codec, 16_000, channels)
    ring = Ring(60 * 16_000)
    for message in messages:
        payload = message if isinstance(message, bytes) else good[message % len(good)]
        before = ring.write_position
        done = decoder.decode(payload, ring)
        assert (
            ring.write_position - before == done.samples + done.concealed <= decoder.max_samples(len(payload))
        )
        assert 0 <= done.bad_packets <= done.packets
        assert done.packets >= 1
        assert done.rejected == (done.bad_packets == done.packets)
        assert bool(done.concealed) == bool(done.bad_packets)
