"""The compiled resampler: one kernel for every pair of rates, driven by a table of integers.

`resample(pcm, out, state)` takes all of `pcm` (int16), writes to the beginning of `out` (int16) and returns
how many samples; if `out` is too short it does nothing and returns -1. `state` (int64, `_layout.FIELDS` long)
is all it knows of a stream: counters, and addresses of float32 buffers. `resample_at.address` is the same for
C (`resample_kernel` in native/src/codec.h), which sees to the room. Nothing is allocated. Importing this module
compiles both, or loads them from numba's cache.

    int16 -> [halve] -> convert: rows of a polyphase table -> int16
                     -> double: half-band, twice the rate
                     -> (nothing more)

Every output sample is a fixed sequence of float32 operations on the same input samples wherever chunks end,
so any cutting of the input gives the same bits, here and in C. Scratch memory is shared between the streams of a
thread: in Python between all, because `resample` holds the GIL, which C does not.

Cost: compiling takes 7 to 12 s once a machine, loading 0.5 s (`bench/resample.py`); half of both is numba
itself.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numba
from numba.core import types

from engine.audio import _layout as at
from engine.audio import _stages, _vector
from engine.audio._stages import convert, copy, double, halve, narrow, njit, part, widen

carray: Any = numba.carray  # type: ignore[attr-defined]

SAMPLES = _stages.ODDS + 4 * at.HALF_ROOM  # where it begins in the scratch memory, in bytes
RESULTS = SAMPLES + 4 * at.SAMPLES_ROOM
LAST = RESULTS + 4 * at.RESULTS_ROOM


@part
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


@part
def blocks(state: Any, pcm: int, count: int, out: int) -> int:
    """All of a chunk; `out` has the room."""
    made = 0
    for start in range(0, count, at.BLOCK):
        made += block(state, pcm + 2 * start, min(at.BLOCK, count - start), out + 2 * made)
    state[at.SAMPLES_IN] += count
    state[at.SAMPLES_OUT] += made
    return made


def compiled(function: Any, signatures: list[Any]) -> Any:
    """Compile, or load from numba's cache; without a place for one (RuntimeError) compile each time."""
    try:
        return njit(signatures, cache=True, error_model="numpy")(function)
    except RuntimeError:
        return njit(signatures, error_model="numpy")(function)


def compiled_for_c(function: Any, signature: Any) -> Any:
    """The same, for callers that are not Python: `address` is what they call."""
    try:
        return numba.cfunc(signature, cache=True, error_model="numpy")(function)
    except RuntimeError:
        return numba.cfunc(signature, error_model="numpy")(function)


def _build(sources: int) -> tuple[Any, Any]:
    """The kernel, for Python and for C. `sources` is a checksum of the modules compiled into it.

    Numba's cache notices changes in this file only; a variable that the kernel closes over is part of its key
    too.
    """

    def resample(pcm: Any, out: Any, state: Any) -> int:
        count = pcm.size
        if out.size < ((count + 1) * state[at.RATE_OUT]) // state[at.RATE_IN] + 1:
            return -1
        state[at.SOURCES] = sources
        return blocks(state, pcm.ctypes.data, count, out.ctypes.data)

    def resample_at(pcm: int, count: int, out: int, address: Any) -> int:
        state = carray(address, at.FIELDS)
        state[at.SOURCES] = sources
        return blocks(state, pcm, count, out)

    integers = types.Array(types.int64, 1, "C")
    samples = types.Array(types.int16, 1, "C")
    read_only = types.Array(types.int16, 1, "C", readonly=True)
    signatures = [types.int64(kind, samples, integers) for kind in (samples, read_only)]
    pointer: Any = types.CPointer
    in_c = types.int64(types.int64, types.int64, types.int64, pointer(types.int64))
    return compiled(resample, signatures), compiled_for_c(resample_at, in_c)


_sources = (Path(str(module.__file__)) for module in (at, _stages, _vector))
resample, resample_at = _build(zlib.crc32(b"".join(path.read_bytes() for path in _sources)))
