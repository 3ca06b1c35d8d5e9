"""Float samples to 16 bits, against a slow model in double precision."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine._native import ffi, lib

FLOATS = st.floats(width=32)


def converted(left: list[float], right: list[float] | None = None) -> list[int]:
    out = ffi.new("int16_t[]", len(left))
    other = ffi.new("float[]", right) if right is not None else ffi.NULL
    lib.pcm_from_float(ffi.new("float[]", left), other, len(left), out)
    return list(out)


def slow(value: float) -> int:
    if math.isnan(value):
        return 0
    return round(min(max(value, -32768.0), 32767.0))


@given(st.lists(FLOATS, max_size=40))
def test_one_channel_is_scaled_rounded_and_clipped(samples: list[float]) -> None:
    assert converted(samples) == [slow(sample * 32768) for sample in samples]


@given(st.lists(st.tuples(FLOATS, FLOATS), max_size=40))
def test_two_channels_are_averaged(pairs: list[tuple[float, float]]) -> None:
    left, right = [a for a, _ in pairs], [b for _, b in pairs]
    with np.errstate(all="ignore"):
        sums = np.array(left, np.float32) + np.array(right, np.float32)
        expected = [slow(float(value)) for value in sums * np.float32(16384)]
    assert converted(left, right) == expected


@pytest.mark.parametrize(
    ("value", "sample"),
    [
        (1.0, 32767),
        (-1.0, -32768),
        (2.5 / 32768, 2),
        (3.5 / 32768, 4),
        (math.inf, 32767),
        (-math.inf, -32768),
    ],
)
def test_the_edges(value: float, sample: int) -> None:
    assert converted([value]) == [sample]
