"""The compiled resampler: one kernel for every pair of rates, driven by a table of integers.

`resample(pcm, out, state)` takes all of `pcm` (int16), writes to the beginning of `out` (int16) and returns
how many samples; if `out` is too short it does nothing and returns -1. `state` (int64, `_layout.FIELDS` long)
is all it knows of a stream: counters, and addresses of float32 buffers, so that native code can drive the
same kernel with three pointers. Nothing is allocated. Importing this module compiles the kernel, or loads it
from numba's cache.

    int16 -> [halve] -> convert: rows of a polyphase table -> int16
                     -> double: half-band, twice the rate
                     -> (nothing more)

Every output sample is a fixed sequence of float32 operations on the same input samples wherever chunks end,
so any cutting of the input gives the same bits. Scratch memory is shared between streams; that is safe
because the kernel holds the GIL.

Cost: compiling takes 5 to 10 s once a machine, loading 0.5 s (`bench/resample.py`); half of both is numba
itself.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

from numba.core import types

from engine.audio import _layout as at
from engine.audio import _stages, _vector
from engine.audio._stages import convert, copy, double, halve, narrow, njit, part, widen

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


def compiled(function: Any, signatures: list[Any]) -> Any:
    """Compile, or load from numba's cache; without a place for one (RuntimeError) compile each time."""
    try:
        return njit(signatures, cache=True, error_model="numpy")(function)
    except RuntimeError:
        return njit(signatures, error_model="numpy")(function)


def _build(sources: int) -> Any:
    """The kernel. `sources` is a checksum of the modules whose functions and constants are compiled into it.

    Numba's cache notices changes in this file only; a variable that the kernel closes over is part of its key
    too.
    """

    def resample(pcm: Any, out: Any, state: Any) -> int:
        count = pcm.size
        if out.size < ((count + 1) * state[at.RATE_OUT]) // state[at.RATE_IN] + 1:
            return -1
        state[at.SOURCES] = sources
        source = pcm.ctypes.data
        target = out.ctypes.data
        made = 0
        for start in range(0, count, at.BLOCK):
            made += block(state, source + 2 * start, min(at.BLOCK, count - start), target + 2 * made)
        state[at.SAMPLES_IN] += count
        state[at.SAMPLES_OUT] += made
        return made

    state = types.Array(types.int64, 1, "C")
    samples = types.Array(types.int16, 1, "C")
    read_only = types.Array(types.int16, 1, "C", readonly=True)
    return compiled(resample, [types.int64(kind, samples, state) for kind in (samples, read_only)])


_sources = (Path(str(module.__file__)) for module in (at, _stages, _vector))
resample = _build(zlib.crc32(b"".join(path.read_bytes() for path in _sources)))
