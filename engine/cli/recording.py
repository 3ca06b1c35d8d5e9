"""Recordings from disk, brought to the rate and channels that are to be sent."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from engine.cli.status import USAGE, Failure

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Recording(msgspec.Struct, frozen=True):
    """PCM of shape (samples, channels), signed 16 bit, at `rate` samples a second."""

    pcm: NDArray[np.int16]
    rate: int

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.pcm) / self.rate


def read(path: Path, *, rate: int, channels: int) -> Recording:
    """Read a WAV file of any rate and give it `rate` and `channels`. Raises Failure naming the file."""
    from engine.audio.wav import read_wav

    try:
        pcm, source_rate = read_wav(path)
    except OSError as error:
        raise Failure(f"{path} cannot be read: {error.strerror}", status=USAGE) from None
    except ValueError as error:
        raise Failure(str(error), status=USAGE) from None
    if not len(pcm):
        raise Failure(f"{path} holds no audio", status=USAGE)
    mixed = _mix(pcm.reshape(len(pcm), -1), channels)
    return Recording(mixed if source_rate == rate else _resample(mixed, source_rate, rate), rate)


def _mix(pcm: NDArray[np.int16], channels: int) -> NDArray[np.int16]:
    """To mono by the mean, to stereo by giving both sides the same."""
    import numpy as np

    if pcm.shape[1] == channels:
        return pcm
    mono: NDArray[np.int16] = np.rint(pcm.mean(axis=1, dtype=np.float64)).astype(np.int16)[:, np.newaxis]
    return np.repeat(mono, channels, axis=1)


def _resample(pcm: NDArray[np.int16], source: int, target: int) -> NDArray[np.int16]:
    """FFmpeg's resampler, since ours only goes down to 16 kHz and a client may send any rate."""
    import av
    import numpy as np

    channels = pcm.shape[1]
    layout = "mono" if channels == 1 else "stereo"
    resampler = av.AudioResampler(format="s16", layout=layout, rate=target)
    pieces = []
    for start in range(0, len(pcm), source):
        block = np.ascontiguousarray(pcm[start : start + source]).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(block, format="s16", layout=layout)
        frame.sample_rate = source
        pieces += resampler.resample(frame)
    pieces += resampler.resample(None)
    return np.concatenate([piece.to_ndarray().reshape(-1, channels) for piece in pieces])
