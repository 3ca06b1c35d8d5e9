"""Messages of the wire in, 16 kHz mono PCM in the ring out.

Operations: `create_decoder` for one stream in one codec; for each of a message's `pieces` make sure that
the ring has `max_samples` of headroom, then `decode`; at the end `flush`, then `close`.
Invariants: what is in a message never makes `decode` raise. What cannot be decoded is concealed for as long
as it should have lasted, so that the timeline holds, and counted. The ring advances by exactly the samples
reported.
Bounded: a piece decodes to at most `PIECE_SAMPLES`. A decoder keeps a frame or two of state.
Cost: one native call for a piece, see `python -m bench.decode`; AAC is decoded through PyAV, in Python
(`UnpackingDecoder`: it may be done in a thread).
Known doubt: a damaged Opus packet is often still a valid one. Then it decodes to noise, for as long as its
first byte says, and nobody can tell.

Codec names and rates are those of the query (`engine.wire.parameters`). One thread at a time uses a decoder.
"""

from engine.audio._native_decoder import create_native_decoder
from engine.audio.aac import AdtsDecoder
from engine.audio.decoder import PIECE_SAMPLES, Decoded, Decoder, Payload
from engine.audio.libraries import LibraryInfo, LibraryMissing, library_versions
from engine.wire.parameters import CODEC_RATES, describe_rates

__all__ = [
    "CODECS",
    "PIECE_SAMPLES",
    "Decoded",
    "Decoder",
    "LibraryInfo",
    "LibraryMissing",
    "Payload",
    "check_format",
    "create_decoder",
    "library_versions",
]

CODECS = tuple(CODEC_RATES)
"""The names `create_decoder` accepts."""


def create_decoder(codec: str, sample_rate: int, channels: int = 1) -> Decoder:
    """A decoder for one stream, as the client describes it: its rate in Hz, 1 or 2 channels.

    Two channels are downmixed: interleaved in PCM, one frame after the other in LC3 (equal lengths).
    For AAC rate and channels are those of each frame's header; `sample_rate` is assumed until the first.
    Raises `ValueError` naming the parameter that is not supported, `LibraryMissing` when the codec's
    library is.
    """
    check_format(codec, sample_rate, channels)
    if codec == "aac":
        return AdtsDecoder(sample_rate)
    return create_native_decoder(codec, sample_rate, channels)


def check_format(codec: str, sample_rate: int, channels: int) -> None:
    """Raises `ValueError` unless audio can come, and be sent, like this."""
    if codec not in CODEC_RATES:
        raise ValueError(f"codec: {codec!r} is not one of {', '.join(CODECS)}")
    if sample_rate not in CODEC_RATES[codec]:
        raise ValueError(f"sample_rate: {codec} at {sample_rate} Hz; accepted: {describe_rates(codec)}")
    if channels not in (1, 2):
        raise ValueError(f"channels: {channels} is not 1 or 2")
