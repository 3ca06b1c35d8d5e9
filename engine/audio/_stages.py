"""The stages of the compiled resampler. Each keeps its history in the stream's state and works on a block.

Arguments called pcm, to, samples, table and the like are addresses in bytes, all others count samples.
Windows and vectors reach past the last sample; buffers have room for that (`_layout`), and what is made of it
is not used.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

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
njit: Any = numba.njit

EVENS = 0  # where a stage's buffer begins in the scratch memory, in bytes
ODDS = EVENS + 4 * at.HALF_ROOM


def part(function: Function) -> Function:
    """A function that is compiled into the kernel, not called from Python."""
    options = {"error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    return cast(Function, njit(**options)(function))


@part
def copy(to: int, source: int, count: int) -> None:
    """Copy `count` float32, and up to 7 more."""
    for k in range(0, count, 8):
        store8(to + 4 * k, load8(source + 4 * k))


@part
def widen(pcm: int, count: int, to: int) -> None:
    """Convert int16 to float32."""
    whole = count & ~7
    for k in range(0, whole, 8):
        store8(to + 4 * k, load_pcm8(pcm + 2 * k))
    for k in range(whole, count):
        store_sample(to + 4 * k, load_pcm(pcm + 2 * k))


@part
def split(pcm: int, pairs: int, even: int, odd: int) -> None:
    """Convert pairs of int16 to float32, the first of each to `even`, the second to `odd`."""
    whole = pairs & ~7
    for k in range(0, whole, 8):
        split_pcm8(pcm + 4 * k, even + 4 * k, odd + 4 * k)
    for k in range(whole, pairs):
        store_sample(even + 4 * k, load_pcm(pcm + 4 * k))
        store_sample(odd + 4 * k, load_pcm(pcm + 4 * k + 2))


@part
def narrow(values: int, count: int, pcm: int, last: int) -> int:
    """Round float32 to int16; return how many were clipped. Zeroes the 8 values after the last."""
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


@part
def symmetric(odd: int, centre: int, weight: Any, table: int, taps: int, count: int, to: int) -> None:
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


@part
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
    made: int = max(0, pairs - (2 * taps - 1))
    symmetric(odd, even + 4 * taps, numba.float32(0.5), state[at.HALF_TABLE], taps, made, to)
    state[at.PAIRS] = pairs - made
    copy(state[at.EVEN], even + 4 * made, pairs - made)
    copy(state[at.ODD], odd + 4 * made, pairs - made)
    return made


@part
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


@part
def dot(samples: int, row: int, taps: int) -> Any:
    """Products of `taps` samples and a row, summed eight apart."""
    total = zero8()
    for k in range(0, 4 * taps, 32):
        total = multiply_add8(load8(row + k), load8(samples + k), total)
    return total


@part
def single_rows(
    samples: int, taps: int, table: int, up: int, down: int, row: int, count: int, to: int
) -> None:
    """A row for each output; rows lie in the order in which outputs need them."""
    # stepped, because divisions would take longer than the products
    remainder = (row * down) % up
    whole = 4 * (down // up)
    part_of = down % up
    x = samples
    h = table + 4 * taps * row
    end = table + 4 * taps * up
    for p in range(0, count, 4):
        a = dot(x, h, taps)
        x, h, remainder = following(x + whole, h + 4 * taps, remainder + part_of, table, end, up)
        b = dot(x, h, taps)
        x, h, remainder = following(x + whole, h + 4 * taps, remainder + part_of, table, end, up)
        c = dot(x, h, taps)
        x, h, remainder = following(x + whole, h + 4 * taps, remainder + part_of, table, end, up)
        d = dot(x, h, taps)
        x, h, remainder = following(x + whole, h + 4 * taps, remainder + part_of, table, end, up)
        store_sums_together(to + 4 * p, a, b, c, d)


@part
def following(x: int, h: int, remainder: int, table: int, end: int, up: int) -> tuple[int, int, int]:
    """Wrap the row at the end of the table, carry a whole sample out of the remainder."""
    if h == end:
        h = table
    if remainder >= up:
        remainder -= up
        x += 4
    return x, h, remainder


@part
def between_rows(samples: int, taps: int, table: int, rows: int, position: int, up: int) -> Any:
    """The output at `position` / `up`, on the line between the two nearest of `rows` + 1 rows."""
    x = samples + 4 * (position // up)
    place = (position % up) * rows
    row = table + 4 * taps * (place // up)
    low = dot(x, row, taps)
    high = dot(x, row + 4 * taps, taps)
    return multiply_add8(fill8(numba.float32((place % up) / up)), subtract8(high, low), low)


@part
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


@part
def convert(state: Any, held: int, samples: int, to: int) -> int:
    """Make every output whose window is complete; return how many. USED: how many samples are done with."""
    taps = state[at.TAPS]
    up = state[at.UP]
    down = state[at.DOWN]
    row = state[at.ROW]
    table = state[at.TABLE]
    remainder = (row * down) % up
    if held < taps:
        state[at.USED] = 0
        return 0
    made: int = ((held - taps + 1) * up - 1 - remainder) // down + 1
    if state[at.BLENDED]:
        blended_rows(samples, taps, table, state[at.BLENDED], up, down, row, made, to)
    elif up <= at.SHARED_UP:
        shared_rows(samples, taps, table, up, down, row, made, to)
    else:
        single_rows(samples, taps, table, up, down, row, made, to)
    state[at.USED] = (remainder + made * down) // up
    state[at.ROW] = (row + made) % up
    return made


@part
def double(state: Any, held: int, samples: int, to: int) -> int:
    """Two outputs a sample: the sample itself and the half-band filter's value between it and the next."""
    taps = state[at.TAPS]
    made: int = max(0, held - (2 * taps - 1))
    between = state[at.SCRATCH] + EVENS
    here = samples + 4 * (taps - 1)
    symmetric(samples, here, numba.float32(0.0), state[at.TABLE], taps, made, between)
    for m in range(0, made, 8):
        store_pairs8(to + 8 * m, load8(here + 4 * m), load8(between + 4 * m))
    state[at.USED] = made
    return 2 * made
