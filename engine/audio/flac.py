"""FLAC: recordings in half the space or less, to the bit; encoded and decoded by FFmpeg through PyAV.

Both functions block, for some tens of milliseconds a minute of sound: call them in threads. PyAV is imported with the
first call.
"""

from io import BytesIO

import numpy as np
from numpy.typing import NDArray

__all__ = ["FlacError", "decode_flac", "encode_flac"]

Samples = NDArray[np.int16]

LEVEL = "5"
"""Of libavcodec's compression: beyond it hardly anything is gained."""
FRAME = 4096
"""Samples in one frame of the file."""
HEADER = 42
"""Bytes of every file before its first frame, at least."""


class FlacError(ValueError):
    """The bytes are no FLAC file of 16 bits and one channel."""


def encode_flac(samples: Samples, rate: int) -> bytes:
    """A FLAC file of int16 samples, of shape (n,)."""
    import av

    out = BytesIO()
    with av.open(out, "w", format="flac") as container:
        stream = container.add_stream("flac", rate=rate, options={"compression_level": LEVEL})
        stream.layout = "mono"
        stream.format = "s16"
        for start in range(0, len(samples), FRAME):
            block = np.ascontiguousarray(samples[start : start + FRAME]).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(block, format="s16", layout="mono")
            frame.sample_rate = rate
            frame.pts = start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return out.getvalue()


def decode_flac(data: bytes) -> tuple[Samples, int]:
    """The samples of a file, of shape (n,), and their rate in Hz. Raises `FlacError`."""
    import av

    if len(data) < HEADER or not data.startswith(b"fLaC"):
        raise FlacError(f"not a FLAC file (it begins with {data[:8]!r}, not fLaC)")
    try:
        with av.open(BytesIO(data), "r", format="flac") as container:
            stream = container.streams.audio[0]
            frames = [frame.to_ndarray() for frame in container.decode(stream)]
            rate = stream.rate
    except (av.FFmpegError, IndexError) as error:
        raise FlacError(f"not a FLAC file that can be read: {error}") from error
    if any(frame.dtype != np.int16 or frame.shape[0] != 1 for frame in frames):
        raise FlacError("not a FLAC file of 16 bits and one channel")
    return np.concatenate([frame[0] for frame in frames] or [np.zeros(0, np.int16)]), rate
