"""ADTS, the framing of AAC streams (ISO/IEC 13818-7 section 6.2; ISO/IEC 14496-3 section 1.A.3)."""

from collections.abc import Iterator

import msgspec

__all__ = ["BLOCK_SAMPLES", "RATES", "AdtsFrame", "adts_header", "split_adts"]

RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
"""Sample rates in the order of their 4-bit index."""

BLOCK_SAMPLES = 1024
"""Samples for each channel in one raw data block, at the rate of the header."""

_HEADER_BYTES = 7
_LONGEST = (1 << 13) - 1
_LOW_COMPLEXITY = 1  # the header's profile: MPEG-4 object type 2, less one
_VARIABLE_RATE = 0x7FF


class AdtsFrame(msgspec.Struct, frozen=True, gc=False):
    """Bytes `start` to `end` of a message. `rate` 0: not a frame, from here on nothing can be told."""

    start: int
    end: int
    rate: int
    blocks: int


def split_adts(message: memoryview) -> Iterator[AdtsFrame]:
    """The frames that fill `message`, in order; where none begins, one entry for all the rest."""
    position = 0
    while position < len(message):
        frame = _frame_at(message, position)
        yield frame
        position = frame.end


def _frame_at(message: memoryview, start: int) -> AdtsFrame:
    header = message[start : start + _HEADER_BYTES]
    if len(header) == _HEADER_BYTES and header[0] == 0xFF and header[1] & 0xF6 == 0xF0:
        index = header[2] >> 2 & 0xF
        length = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
        end = start + length
        if index < len(RATES) and length > _HEADER_BYTES and end <= len(message):
            return AdtsFrame(start, end, RATES[index], (header[6] & 3) + 1)
    return AdtsFrame(start, len(message), 0, 1)


def adts_header(payload_bytes: int, rate: int, channels: int) -> bytes:
    """The seven bytes before one raw data block of AAC-LC.

    Raises `ValueError` for a rate or length it cannot hold.
    """
    length = payload_bytes + _HEADER_BYTES
    if rate not in RATES:
        raise ValueError(f"rate: ADTS has no {rate} Hz; accepted: {', '.join(map(str, RATES))}")
    if length > _LONGEST:
        raise ValueError(f"payload_bytes: {payload_bytes} is more than {_LONGEST - _HEADER_BYTES}")
    bits = 0xFFF  # sync word; then MPEG-4, layer 0, no checksum
    fields = (
        (0b0001, 4),
        (_LOW_COMPLEXITY, 2),
        (RATES.index(rate), 4),
        (0, 1),
        (channels, 3),
        (0, 4),
        (length, 13),
        (_VARIABLE_RATE, 11),
        (0, 2),
    )
    for value, width in fields:
        bits = bits << width | value
    return bits.to_bytes(_HEADER_BYTES, "big")
