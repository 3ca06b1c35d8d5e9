"""Filter tables for resampling, designed in float64 and kept as float32.

All are linear phase: Kaiser's window on a sinc (J. F. Kaiser, "Nonrecursive digital filter design using the
I0-sinh window function", 1974: N taps with a transition of w rad/sample attenuate by 2.285 w (N - 1) + 7.95
dB).

With f the lower of the two Nyquist frequencies, the pass band ends at `PASS` f and the stop band begins at
(2 - `PASS`) f. What lies between f and there is folded back, but only to between `PASS` f and f: inside the
pass band there are no aliases, and the filters are half as long as with a stop band that begins at f.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

PASS = 0.91
ATTENUATION = 103.5  # dB
MAX_ROWS = 640  # 11025 -> 16000 Hz has as many phases; ratios with more blend BLEND_ROWS rows
BLEND_ROWS = 512  # a line between rows is off by (2 pi f / rows)**2 / 8, f in cycles a sample: under -106 dB
HALVE_FROM = 2.5  # ratio of the rates from which a half-band filter in front makes the whole cheaper


class Plan(NamedTuple):
    """The stages from one rate to another. Tables are read-only and shared by all streams of these rates."""

    half_table: NDArray[np.float32] | None  # distinct taps of the half-band filter in front
    up: int  # of the stage after it; 1 and 1: there is none
    down: int
    doubled: bool  # that stage is a half-band filter, `table` its distinct taps
    table: NDArray[np.float32] | None  # (rows, taps)
    blended: int  # rows per sample when rows are blended, else 0
    lookahead: int  # input samples after its own time that an output waits for, at most


def _kaiser_taps(transition: float) -> int:
    """Taps that reach ATTENUATION with a transition band of so many rad/sample."""
    return math.ceil((ATTENUATION - 7.95) / (2.285 * transition)) + 1


def _kaiser(t: NDArray[np.float64], reach: float, transition: float) -> NDArray[np.float64]:
    """The window at times t (samples), zero beyond `reach`, with the attenuation that its length gives."""
    attenuation = 2.285 * transition * 2 * reach + 7.95
    beta = 0.1102 * (attenuation - 8.7)
    inside = np.clip(1 - (t / reach) ** 2, 0, None)
    return np.where(np.abs(t) <= reach, np.i0(beta * np.sqrt(inside)) / np.i0(beta), 0.0)


def _half_band(transition: float, total: float) -> NDArray[np.float32]:
    """Distinct taps of a half-band filter, those at odd distances … 5, 3, 1 from its centre; they sum to
    total / 2.

    Distances are in samples at the higher rate; at even ones the taps are 0, but for the centre.
    """
    distinct = math.ceil((_kaiser_taps(transition) - 1) / 4)  # the window ends on taps that are 0
    t = np.arange(2 * distinct - 1, 0, -2, dtype=np.float64)
    taps = np.sinc(t / 2) * _kaiser(t, 2 * distinct, transition)
    return _frozen(taps * (total / 2 / taps.sum()))


def _rows(ratio: float, phases: NDArray[np.float64]) -> NDArray[np.float32]:
    """One row of taps for each phase (0 to 1 samples after the tap at taps / 2 - 1); each row sums to 1.

    `ratio` is output rate / input rate of the stage.
    """
    nyquist = min(1.0, ratio) / 2
    transition = 2 * math.pi * 2 * (1 - PASS) * nyquist
    taps = -(-(_kaiser_taps(transition) - 1) // 8) * 8
    t = np.arange(taps) - (taps // 2 - 1) - phases[:, np.newaxis]
    rows = np.sinc(2 * nyquist * t) * _kaiser(t, taps / 2, transition)
    return _frozen(rows / rows.sum(axis=1, keepdims=True))


def _frozen(table: NDArray[np.float64]) -> NDArray[np.float32]:
    result = aligned(*table.shape)
    result[...] = table
    result.setflags(write=False)
    return result


def aligned(*shape: int) -> NDArray[np.float32]:
    """Zeros that begin on a cache line, so that a row's vectors do not cross one."""
    memory = np.zeros(math.prod(shape) + 16, dtype=np.float32)
    start = -memory.ctypes.data % 64 // 4
    return memory[start : start + math.prod(shape)].reshape(shape)


@lru_cache(maxsize=16)  # at most half a megabyte each
def plan(rate_in: int, rate_out: int) -> Plan:
    """The stages from `rate_in` to `rate_out` (Hz, not equal, at most 6 apart)."""
    half = None
    rate = float(rate_in)
    if rate_in == 2 * rate_out:
        half = _half_band(2 * math.pi * (1 - PASS) / 2, 0.5)
        return Plan(half, 1, 1, False, None, 0, 2 * len(half) - 1)
    if rate_out == 2 * rate_in:
        table = _half_band(2 * math.pi * (1 - PASS) / 2, 1.0)
        return Plan(None, 2, 1, True, table, 0, len(table))
    behind = 0
    if rate_in >= HALVE_FROM * rate_out:
        half = _half_band(2 * math.pi * (0.5 - rate_out / rate_in), 0.5)
        rate /= 2
        behind = 2 * len(half) - 1
    double_out = 2 * rate_out if half is not None else rate_out
    up, down = (n // math.gcd(double_out, rate_in) for n in (double_out, rate_in))
    blended = BLEND_ROWS if up > MAX_ROWS else 0
    # rows in the order in which successive outputs need them
    phases = np.arange(blended + 1) / blended if blended else np.arange(up) * down % up / up
    table = _rows(rate_out / rate, phases)
    lookahead = table.shape[1] // 2 * (2 if half is not None else 1) + behind
    return Plan(half, up, down, False, table, blended, lookahead)
