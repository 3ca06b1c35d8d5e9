"""What happens to speech on its way: codecs, a telephone line, noise. Pure functions; 16 kHz in and out."""

import io
from collections.abc import Callable, Mapping
from functools import partial

import av
import numpy as np

from bench.voices.people import RATE, Samples

__all__ = ["AS_RECORDED", "CHANNELS", "TELEPHONE", "coded", "noisy"]


def coded(pcm: Samples, *, container: str, codec: str, rate: int, bit_rate: int) -> Samples:
    """Encoded at `rate`, and decoded again; as many samples as before."""
    file = io.BytesIO()
    into = av.AudioResampler("s16", "mono", rate)
    with av.open(file, "w", format=container) as out:
        stream = out.add_stream(codec, rate=rate, layout="mono", bit_rate=bit_rate)
        assert isinstance(stream, av.AudioStream), codec
        for frame in [*into.resample(_frame(pcm)), *into.resample(None)]:
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    file.seek(0)
    back = av.AudioResampler("s16", "mono", RATE)
    with av.open(file, "r", format=container) as received:
        frames = [*received.decode(audio=0), None]
    heard = np.concatenate([one.to_ndarray()[0] for frame in frames for one in back.resample(frame)])
    return np.pad(heard, (0, max(0, len(pcm) - len(heard))))[: len(pcm)]


def noisy(pcm: Samples, *, decibels: float, seed: int = 1) -> Samples:
    """With pink noise, so many decibels below the mean power of the whole."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(len(pcm)))
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    spectrum[0] = 0
    noise = np.fft.irfft(spectrum, len(pcm))
    power = np.mean(np.square(pcm.astype(np.float64)))
    noise *= np.sqrt(power / np.mean(np.square(noise)) * 10 ** (-decibels / 10))
    return np.clip(np.rint(pcm + noise), -32768, 32767).astype(np.int16)


def _frame(pcm: Samples) -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(pcm)[None], format="s16", layout="mono")
    frame.sample_rate = RATE
    return frame


AS_RECORDED = "as recorded"
TELEPHONE = "telephone, 8 kHz µ-law"

CHANNELS: Mapping[str, Callable[[Samples], Samples]] = {
    AS_RECORDED: lambda pcm: pcm,
    "Opus 16 kbit/s": partial(coded, container="ogg", codec="libopus", rate=16_000, bit_rate=16_000),
    "Opus 24 kbit/s": partial(coded, container="ogg", codec="libopus", rate=16_000, bit_rate=24_000),
    TELEPHONE: partial(coded, container="wav", codec="pcm_mulaw", rate=8_000, bit_rate=64_000),
    "noise at 15 dB": partial(noisy, decibels=15.0),
}
