"""WAV files of every kind that is accepted, and what is said of the others."""

import struct
import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.audio.wav import WavError, read_wav, write_wav

PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE


def riff(
    tag: int, bits: int, body: bytes, *, channels: int = 1, rate: int = 16_000, before: bytes = b""
) -> bytes:
    extension = struct.pack("<HHIH14s", 22, bits, 0, tag, bytes(14)) if tag == EXTENSIBLE else b""
    return _riff(struct.pack("<HHIIHH", tag, channels, rate, 0, 0, bits) + extension, body, before)


def _riff(form: bytes, body: bytes, before: bytes = b"") -> bytes:
    chunks = (
        before + b"fmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(body)) + body
    )
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "test.wav"


@pytest.mark.parametrize(
    ("tag", "bits", "body", "samples"),
    [
        (PCM, 8, bytes([0, 128, 255]), [-32768, 0, 32512]),
        (PCM, 16, struct.pack("<3h", -32768, 1, 32767), [-32768, 1, 32767]),
        (
            PCM,
            24,
            b"\x00\x00\x80" + b"\x80\x00\x00" + b"\x81\x00\x00" + b"\xff\xff\x7f",
            [-32768, 0, 1, 32767],
        ),
        (PCM, 32, struct.pack("<3i", -(1 << 31), 65536, (1 << 31) - 1), [-32768, 1, 32767]),
        (FLOAT, 32, struct.pack("<5f", -1, 0.5, 1, 7, float("nan")), [-32768, 16384, 32767, 32767, 0]),
        (FLOAT, 64, struct.pack("<3d", -2, 0.25, 0), [-32768, 8192, 0]),
    ],
    ids=["8 bit", "16 bit", "24 bit", "32 bit", "float", "double"],
)
def test_every_sample_type_becomes_16_bits(
    path: Path, tag: int, bits: int, body: bytes, samples: list[int]
) -> None:
    path.write_bytes(riff(tag, bits, body))
    read, rate = read_wav(path)
    assert read.dtype == np.int16
    assert (read.tolist(), rate) == (samples, 16_000)


def test_an_extensible_header_says_the_type_in_its_extension(path: Path) -> None:
    form = struct.pack("<HHIIHHHHIH14s", EXTENSIBLE, 1, 48_000, 0, 0, 32, 22, 32, 0, FLOAT, bytes(14))
    path.write_bytes(_riff(form, struct.pack("<2f", 0.5, -0.5)))
    samples, rate = read_wav(path)
    assert (samples.tolist(), rate) == ([16384, -16384], 48_000)


@given(st.lists(st.integers(-32768, 32767), max_size=20), st.sampled_from([1, 2, 3]), st.integers(1, 192_000))
def test_what_was_written_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, values: list[int], channels: int, rate: int
) -> None:
    path = tmp_path_factory.mktemp("wav") / "test.wav"
    flat = np.array(values[: len(values) // channels * channels], np.int16)
    samples = flat if channels == 1 else flat.reshape(-1, channels)
    write_wav(path, samples, rate)
    read, read_rate = read_wav(path)
    assert read_rate == rate
    assert read.tolist() == samples.tolist()
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getframerate()) == (channels, rate)


def test_other_chunks_are_passed_over_also_those_of_odd_length(path: Path) -> None:
    path.write_bytes(riff(PCM, 16, struct.pack("<h", 5), before=b"LIST" + struct.pack("<I", 3) + b"abc\0"))
    assert read_wav(path)[0].tolist() == [5]


def test_a_file_that_ends_early_is_read_as_far_as_it_goes(path: Path) -> None:
    path.write_bytes(riff(PCM, 16, struct.pack("<4h", 1, 2, 3, 4), channels=2)[:-1])
    assert read_wav(path)[0].tolist() == [[1, 2]]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a WAV file"),
        (b"ID3\x03 an mp3 file", "not a WAV file (it begins with b'ID3"),
        (riff(PCM, 16, b"")[:36], "no 'data' chunk"),
        (riff(PCM, 16, b"")[:12], "no 'fmt ' chunk"),
        (_riff(b"shorts", b""), "the fmt chunk has 6 bytes; accepted: 16 or more"),
        (riff(PCM, 12, b""), "format 1 with 12 bits; accepted: PCM of 8, 16, 24 or 32 bits, float of 32"),
        (riff(6, 8, b""), "format 6 with 8 bits"),
        (riff(PCM, 16, b"", channels=0), "0 channels at 16000 Hz; accepted: at least 1 of each"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(path: Path, data: bytes, message: str) -> None:
    path.write_bytes(data)
    with pytest.raises(WavError) as error:
        read_wav(path)
    assert message in str(error.value)
    assert str(path) in str(error.value)


@given(st.binary(max_size=120))
def test_no_file_breaks_the_reader(tmp_path_factory: pytest.TempPathFactory, tail: bytes) -> None:
    path = tmp_path_factory.mktemp("wav") / "test.wav"
    path.write_bytes(riff(PCM, 24, b"")[:20] + tail)
    try:
        samples, _ = read_wav(path)
    except WavError:
        return
    assert samples.dtype == np.int16


def test_only_16_bit_samples_are_written(path: Path) -> None:
    with pytest.raises(ValueError, match=r"samples: 1-dimensional float64; accepted: int16"):
        write_wav(path, np.zeros(3), 16_000)  # type: ignore[arg-type]
