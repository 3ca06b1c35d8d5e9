"""The compiled resampler: one kernel for every pair of rates, driven by a table of integers.

`resample(pcm, out, state)` reads int16, writes int16 and returns how many it wrote. `state` (int64, `FIELDS` long, see
`_layout`) is all it knows of a stream: counters, and addresses of float32 buffers, so that native code can drive the
same kernel with three pointers. Nothing is allocated. Importing this module compiles the kernel, or loads it from
numba's cache.

    int16 -> [halve] -> convert: rows of a polyphase table -> int16
                     -> double: half-band, twice the rate
                     -> (nothing more)

Every output sample is a fixed sequence of float32 operations on the same input samples wherever chunks end, so any
cutting of the input gives the same bits. Scratch memory is shared between streams; that is safe because the kernel
holds the GIL.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
from numba.core import types

from engine.audio import _layout as at
from engine.audio._vector import (
    add8,
    fill8,
    load8,
    load_pcm,
    load_pcm8,
    multiply_add8,
    splat8,
    split_pcm8,
    store8,
    store_pairs8,
    store_pcm,
    store_pcm8,
    store_sample,
    store_sums,
    store_sums_together,
    subtract8,
    zero8,
)

Function = TypeVar("Function", bound=Callable[..., Any])

EVENS = 0  # byte offsets into the scratch memory
ODDS = EVENS + 4 * at.HALF_ROOM
SAMPLES = ODDS + 4 * at.HALF_ROOM
RESULTS = SAMPLES + 4 * at.SAMPLES_ROOM
LAST = RESULTS + 4 * at.RESULTS_ROOM


def compiled(*signatures: Any) -> Callable[[Function], Function]:
    """Compile with numba, cached on disk if there is a place for it (numba raises RuntimeError if not)."""

    def decorate(function: Function) -> Function:
        try:
            kernel = numba.njit(list(signatures) or None, cache=True, error_model="numpy")(function)
        except RuntimeError:
            kernel = numba.njit(list(signatures) or None, cache=False, error_model="numpy")(function)
        return cast(Function, kernel)

    return decorate


@compiled()
def copy(to: int, source: int, count: int) -> None:
    """Copy `count` float32, and up to 7 more."""
    for k in range(0, count, 8):
        store8(to + 4 * k, load8(source + 4 * k))


@compiled()
def widen(pcm: int, count: int, to: int) -> None:
    """Convert int16 to float32."""
    whole = count & ~7
    for k in range(0, whole, 8):
        store8(to + 4 * k, load_pcm8(pcm + 2 * k))
    for k in range(whole, count):
        store_sample(to + 4 * k, load_pcm(pcm + 2 * k))


@compiled()
def split(pcm: int, pairs: int, even: int, odd: int) -> None:
    """Convert pairs of int16 to float32, the first of each to `even`, the second to `odd`."""
    whole = pairs & ~7
    for k in range(0, whole, 8):
        split_pcm8(pcm + 4 * k, even + 4 * k, odd + 4 * k)
    for k in range(whole, pairs):
        store_sample(even + 4 * k, load_pcm(pcm + 4 * k))
        store_sample(odd + 4 * k, load_pcm(pcm + 4 * k + 2))


@compiled()
def narrow(values: int, count: int, pcm: int, last: int) -> int:
    """Round float32 to int16; return how many were clipped. Overwrites up to 8 values after the last with zeros."""
    store8(values + 4 * count, zero8())
    clipped = 0
    whole = count & ~7
    for k in range(0, whole, 8):
        clipped += store_pcm8(pcm + 2 * k, load8(values + 4 * k))
    if whole < count:
        clipped += store_pcm8(last, load8(values + 4 * whole))
        for k in range(count - whole):
            store_pcm(pcm + 2 * (whole + k), load_pcm(last + 2 * k))
    return clipped


@compiled()
def symmetric(odd: int, centre: int, weight: float, table: int, taps: int, count: int, to: int) -> None:
    """to[m] = weight centre[m] + sum over k < taps of table[k] (odd[m + k] + odd[m + 2 taps - 1 - k]).

    Writes a multiple of 16 results.
    """
    for m in range(0, count, 16):
        scale = fill8(weight)
        a = multiply_add8(scale, load8(centre + 4 * m), zero8())
        b = multiply_add8(scale, load8(centre + 4 * m + 32), zero8())
        left = odd + 4 * m
        right = odd + 4 * (m + 2 * taps - 1)
        for k in range(taps):
            tap = splat8(table + 4 * k)
            a = multiply_add8(tap, add8(load8(left), load8(right)), a)
            b = multiply_add8(tap, add8(load8(left + 32), load8(right + 32)), b)
            left += 4
            right -= 4
        store8(to + 4 * m, a)
        store8(to + 4 * m + 32, b)


@compiled()
def halve(state: Any, pcm: int, count: int, to: int) -> int:
    """Filter `count` int16 and write every other result to `to`; return how many."""
    taps = state[at.HALF_TAPS]
    even = state[at.SCRATCH] + EVENS
    odd = state[at.SCRATCH] + ODDS
    pairs = state[at.PAIRS]
    copy(even, state[at.EVEN], pairs)
    copy(odd, state[at.ODD], pairs)
    if state[at.CARRIED] and count:
        store_sample(even + 4 * pairs, state[at.CARRY])
        store_sample(odd + 4 * pairs, load_pcm(pcm))
        state[at.CARRIED] = 0
        pairs += 1
        pcm += 2
        count -= 1
    whole = count >> 1
    split(pcm, whole, even + 4 * pairs, odd + 4 * pairs)
    pairs += whole
    if count & 1:
        state[at.CARRIED] = 1
        state[at.CARRY] = load_pcm(pcm + 2 * (count - 1))
    made = max(0, pairs - (2 * taps - 1))
    symmetric(odd, even + 4 * taps, numba.float32(0.5), state[at.HALF_TABLE], taps, made, to)
    state[at.PAIRS] = pairs - made
    copy(state[at.EVEN], even + 4 * made, pairs - made)
    copy(state[at.ODD], odd + 4 * made, pairs - made)
    return made


@compiled()
def shared_rows(
    samples: int, taps: int, table: int, up: int, down: int, row: int, count: int, to: int
) -> None:
    """Outputs `up` apart use the same row: four of them for each load of its taps."""
    remainder = (row * down) % up
    step = 4 * down
    for first in range(min(up, count)):
        x = samples + 4 * ((remainder + first * down) // up)
        h = table + 4 * taps * ((row + first) % up)
        for p in range(first, count, 4 * up):
            a = zero8()
            b = zero8()
            c = zero8()
            d = zero8()
            for k in range(0, 4 * taps, 32):
                tap = load8(h + k)
                a = multiply_add8(tap, load8(x + k), a)
                b = multiply_add8(tap, load8(x + k + step), b)
                c = multiply_add8(tap, load8(x + k + 2 * step), c)
                d = multiply_add8(tap, load8(x + k + 3 * step), d)
            store_sums(to + 4 * p, 4 * up, a, b, c, d)
            x += 4 * step


@compiled()
def dot(samples: int, row: int, taps: int) -> Any:
    """Products of `taps` samples and a row, summed eight apart."""
    total = zero8()
    for k in range(0, 4 * taps, 32):
        total = multiply_add8(load8(row + k), load8(samples + k), total)
    return total


@compiled()
def single_rows(
    samples: int, taps: int, table: int, up: int, down: int, row: int, count: int, to: int
) -> None:
    """A row for each output; rows lie in the order in which outputs need them."""
    position = (row * down) % up
    for p in range(0, count, 4):
        x0 = samples + 4 * (position // up)
        x1 = samples + 4 * ((position + down) // up)
        x2 = samples + 4 * ((position + 2 * down) // up)
        x3 = samples + 4 * ((position + 3 * down) // up)
        position += 4 * down
        h0 = table + 4 * taps * ((row + p) % up)
        h1 = table + 4 * taps * ((row + p + 1) % up)
        h2 = table + 4 * taps * ((row + p + 2) % up)
        h3 = table + 4 * taps * ((row + p + 3) % up)
        a = dot(x0, h0, taps)
        b = dot(x1, h1, taps)
        c = dot(x2, h2, taps)
        d = dot(x3, h3, taps)
        store_sums_together(to + 4 * p, a, b, c, d)


@compiled()
def between_rows(samples: int, taps: int, table: int, rows: int, position: int, up: int) -> Any:
    """The output at `position` / `up`, on the line between the two nearest of `rows` + 1 rows."""
    x = samples + 4 * (position // up)
    place = (position % up) * rows
    row = table + 4 * taps * (place // up)
    low = dot(x, row, taps)
    high = dot(x, row + 4 * taps, taps)
    return multiply_add8(fill8(numba.float32((place % up) / up)), subtract8(high, low), low)


@compiled()
def blended_rows(
    samples: int, taps: int, table: int, rows: int, up: int, down: int, row: int, count: int, to: int
) -> None:
    """For ratios with more phases than are worth a row each."""
    position = (row * down) % up
    for p in range(0, count, 4):
        a = between_rows(samples, taps, table, rows, position, up)
        b = between_rows(samples, taps, table, rows, position + down, up)
        c = between_rows(samples, taps, table, rows, position + 2 * down, up)
        d = between_rows(samples, taps, table, rows, position + 3 * down, up)
        position += 4 * down
        store_sums_together(to + 4 * p, a, b, c, d)


@compiled()
def convert(state: Any, held: int, samples: int, to: int) -> int:
    """Make every output whose window is complete; return how many. Leaves the number of samples used in USED."""
    taps = state[at.TAPS]
    up = state[at.UP]
    down = state[at.DOWN]
    row = state[at.ROW]
    table = state[at.TABLE]
    remainder = (row * down) % up
    if held < taps:
        state[at.USED] = 0
        return 0
    made = ((held - taps + 1) * up - 1 - remainder) // down + 1
    if state[at.BLENDED]:
        blended_rows(samples, taps, table, state[at.BLENDED], up, down, row, made, to)
    elif up <= at.SHARED_UP:
        shared_rows(samples, taps, table, up, down, row, made, to)
    else:
        single_rows(samples, taps, table, up, down, row, made, to)
    state[at.USED] = (remainder + made * down) // up
    state[at.ROW] = (row + made) % up
    return made


@compiled()
def double(state: Any, held: int, samples: int, to: int) -> int:
    """Two outputs a sample: the sample itself and the half-band filter's value between it and the next."""
    taps = state[at.TAPS]
    made = max(0, held - (2 * taps - 1))
    between = state[at.SCRATCH] + EVENS
    here = samples + 4 * (taps - 1)
    symmetric(samples, here, numba.float32(0.0), state[at.TABLE], taps, made, between)
    for m in range(0, made, 8):
        store_pairs8(to + 8 * m, load8(here + 4 * m), load8(between + 4 * m))
    state[at.USED] = made
    return 2 * made


@compiled()
def block(state: Any, pcm: int, count: int, out: int) -> int:
    """At most BLOCK samples."""
    samples = state[at.SCRATCH] + SAMPLES
    results = state[at.SCRATCH] + RESULTS
    last = state[at.SCRATCH] + LAST
    if state[at.STAGES] == at.HALVE:
        made = halve(state, pcm, count, results)
    else:
        held = state[at.HELD]
        copy(samples, state[at.HISTORY], held)
        if state[at.HALF_TAPS]:
            held += halve(state, pcm, count, samples + 4 * held)
        else:
            widen(pcm, count, samples + 4 * held)
            held += count
        if state[at.STAGES] == at.DOUBLE:
            made = double(state, held, samples, results)
        else:
            made = convert(state, held, samples, results)
        used = state[at.USED]
        state[at.HELD] = held - used
        copy(state[at.HISTORY], samples + 4 * used, held - used)
    state[at.CLIPPED] += narrow(results, made, out, last)
    return made


_state = types.Array(types.int64, 1, "C")
_pcm = types.Array(types.int16, 1, "C")
_read_only_pcm = types.Array(types.int16, 1, "C", readonly=True)


@compiled(types.int64(_pcm, _pcm, _state), types.int64(_read_only_pcm, _pcm, _state))
def resample(pcm: Any, out: Any, state: Any) -> int:
    """Take all of `pcm`, write to the beginning of `out`, return how many; -1 and nothing done if `out` is short."""
    count = pcm.size
    if out.size < ((count + 1) * state[at.RATE_OUT]) // state[at.RATE_IN] + 1:
        return -1
    source = pcm.ctypes.data
    target = out.ctypes.data
    made = 0
    for start in range(0, count, at.BLOCK):
        made += block(state, source + 2 * start, min(at.BLOCK, count - start), target + 2 * made)
    state[at.SAMPLES_IN] += count
    state[at.SAMPLES_OUT] += made
    return made
