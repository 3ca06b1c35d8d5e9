"""WAV files in and out. (The standard library's reader knows neither float nor the extensible header.)

Format: RIFF with a `fmt ` and a `data` chunk (Microsoft, "Multimedia Programming Interface and Data
Specifications 1.0", 1991; WAVE_FORMAT_EXTENSIBLE, 2001). The whole file is held in memory.
"""

import io
import struct
import wave
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

__all__ = ["WavError", "decode_wav", "encode_wav", "read_wav", "wav_header", "write_wav"]

Samples = NDArray[np.int16]

_PCM = 1
_FLOAT = 3
_EXTENSIBLE = 0xFFFE


class WavError(ValueError):
    """The file is no WAV file that can be read; names the file, what was found and what is accepted."""


class _Format(msgspec.Struct, frozen=True):
    tag: int
    channels: int
    rate: int
    bits: int


def read_wav(path: Path | str) -> tuple[Samples, int]:
    """Samples and their rate in Hz: PCM of 8, 16, 24 or 32 bits, or float of 32 or 64, any rate and channels.

    Shape (n,) for one channel, (n, channels) for more. Wider samples are rounded to 16 bits, floats outside
    -1 to 1 clipped. Data that ends early is read as far as it goes. Raises `WavError`, and `OSError` when
    it cannot be opened.
    """
    return decode_wav(Path(path).read_bytes(), path)


def decode_wav(data: bytes, path: Path | str = "recording") -> tuple[Samples, int]:
    """As `read_wav`, of the bytes of a file; `path` is what errors call it."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise WavError(f"{path}: not a WAV file (it begins with {data[:12]!r}, not RIFF and WAVE)")
    chunks = dict(_chunks(data))
    for name in (b"fmt ", b"data"):
        if name not in chunks:
            raise WavError(f"{path}: no {name.decode()!r} chunk in the WAV file")
    form = _read_format(path, chunks[b"fmt "])
    body = chunks[b"data"]
    frame_bytes = form.channels * form.bits // 8
    samples = _READERS[form.tag, form.bits](body[: len(body) // frame_bytes * frame_bytes])
    return samples if form.channels == 1 else samples.reshape(-1, form.channels), form.rate


def write_wav(path: Path | str, samples: Samples, rate: int) -> None:
    """Write int16 samples, of shape (n,) or (n, channels), as 16-bit PCM.

    Raises `ValueError` for other types.
    """
    Path(path).write_bytes(encode_wav(samples, rate))


def encode_wav(samples: Samples, rate: int) -> bytes:
    """The bytes of such a file. Raises `ValueError` as `write_wav` does."""
    if samples.dtype != np.int16 or samples.ndim not in (1, 2):
        raise ValueError(
            f"samples: {samples.ndim}-dimensional {samples.dtype}; accepted: int16 (n,) or (n, channels)"
        )
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1 if samples.ndim == 1 else samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())
    return out.getvalue()


def wav_header(samples: int, rate: int) -> bytes:
    """What comes before the samples of a file of 16-bit PCM in one channel, of less than 4 GiB."""
    size = samples * 2
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, _PCM, 1, rate, rate * 2, 2, 16)
    return struct.pack("<4sI4s", b"RIFF", size + 36, b"WAVE") + form + struct.pack("<4sI", b"data", size)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and body of each chunk, the last one as long as it is; a later one of the same name wins."""
    position = 12
    while position + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, position)
        yield name, data[position + 8 : position + 8 + size]
        position += 8 + size + size % 2


def _read_format(path: Path | str, chunk: bytes) -> _Format:
    if len(chunk) < 16:
        raise WavError(f"{path}: the fmt chunk has {len(chunk)} bytes; accepted: 16 or more")
    tag, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", chunk)
    if tag == _EXTENSIBLE and len(chunk) >= 26:
        (tag,) = struct.unpack_from("<H", chunk, 24)
    if (tag, bits) not in _READERS:
        accepted = "PCM of 8, 16, 24 or 32 bits, float of 32 or 64"
        raise WavError(f"{path}: format {tag} with {bits} bits; accepted: {accepted}")
    if channels < 1 or rate < 1:
        raise WavError(f"{path}: {channels} channels at {rate} Hz; accepted: at least 1 of each")
    return _Format(tag, channels, rate, bits)


def _read_8(body: bytes) -> Samples:
    return ((np.frombuffer(body, np.uint8).astype(np.int16) - 128) * 256).astype(np.int16)


def _read_16(body: bytes) -> Samples:
    return np.frombuffer(body, "<i2").astype(np.int16)


def _read_24(body: bytes) -> Samples:
    wide = np.zeros((len(body) // 3, 4), np.uint8)
    wide[:, 1:] = np.frombuffer(body, np.uint8).reshape(-1, 3)
    return _round(wide.view("<i4")[:, 0].astype(np.float64) / 65536)


def _read_32(body: bytes) -> Samples:
    return _round(np.frombuffer(body, "<i4").astype(np.float64) / 65536)


def _read_float(body: bytes) -> Samples:
    return _from_float(np.frombuffer(body, "<f4").astype(np.float64))


def _read_double(body: bytes) -> Samples:
    return _from_float(np.frombuffer(body, "<f8").astype(np.float64))


def _from_float(samples: NDArray[np.float64]) -> Samples:
    return _round(np.nan_to_num(samples, nan=0.0) * 32768)


def _round(samples: NDArray[np.float64]) -> Samples:
    return np.clip(np.rint(samples), -32768, 32767).astype(np.int16)


_READERS: dict[tuple[int, int], Callable[[bytes], Samples]] = {
    (_PCM, 8): _read_8,
    (_PCM, 16): _read_16,
    (_PCM, 24): _read_24,
    (_PCM, 32): _read_32,
    (_FLOAT, 32): _read_float,
    (_FLOAT, 64): _read_double,
}
