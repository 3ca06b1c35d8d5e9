"""Real speech in every codec, and what comes back."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.audio.codecs import Decoder, create_decoder
from engine.audio.encoders import create_encoder
from engine.audio.ring import Ring
from engine.audio.wav import read_wav

AUDIO = Path(__file__).parents[1] / "audio"
Samples = NDArray[np.int16]


def speech(name: str = "austen-0880") -> Samples:
    """A recording, 16 kHz mono."""
    samples, rate = read_wav(AUDIO / f"{name}.wav")
    assert rate == 16_000
    return samples


def packets(codec: str, pcm: Samples, rate: int = 16_000, channels: int = 1) -> list[bytes]:
    """`pcm` as a client sends it."""
    encoder = create_encoder(codec, rate, channels)
    return [*encoder.encode(pcm), *encoder.flush()]


def heard(ring: Ring) -> Samples:
    """A copy of all that was written to the ring."""
    return np.array(ring.window(0, ring.write_position), dtype=np.int16)


def decode_all(decoder: Decoder, messages: Iterable[bytes]) -> Samples:
    """All of a stream, to its last sample."""
    ring = Ring(60 * 16_000)
    for message in messages:
        for piece in decoder.pieces(message):
            decoder.decode(piece, ring)
    decoder.flush(ring)
    return heard(ring)


def through(codec: str, pcm: Samples, rate: int = 16_000, channels: int = 1) -> Samples:
    """Encoded and decoded."""
    return decode_all(create_decoder(codec, rate, channels), packets(codec, pcm, rate, channels))


def signal_to_noise(original: Samples, decoded: Samples, delay: int) -> float:
    """dB, over what both have, once `decoded` is `delay` samples late."""
    late = decoded[delay:].astype(np.float64)
    clean = original[: len(late)].astype(np.float64)
    error = clean - late[: len(clean)]
    return float(10 * np.log10(np.sum(clean**2) / max(np.sum(error**2), 1e-9)))
