"""Sample rate conversion of one mono stream: int16 in, int16 out, in chunks of any length.

Operations: `process` and `process_into` take a chunk and give what can be computed from all input so far;
`flush` ends the stream and gives the rest; `reset` forgets everything.

Invariants:
- The way the input is cut into chunks does not change a single output bit.
- Output sample p belongs to the time p / rate_out after the first input sample: nothing is shifted. What the
  filters need to see ahead makes output late, by at most `delay` samples, not displaced.
- After `flush` the number of output samples is round(input samples * rate_out / rate_in), halves upwards.

Bounded by: a stream keeps at most 1,000 samples of history; filter tables are shared, those of the usual rates and at
most 16 others, half a megabyte each. The first stream of a pair of rates computes its table (2 to 50 ms; `warm` does
the usual ones and keeps them, others are best made off the event loop first).

Quality, asserted in the tests on the 16-bit output: flat to 0.01 dB up to 0.91 of the lower Nyquist
frequency, aliases up to there below -100 dB. Between there and the Nyquist frequency aliases are not
suppressed.

Cost: see `bench/resample.py`. Numba (half a second, 128 MB) is imported by `warm`, or when the first stream
whose rates differ is made: equal rates never load it.

Threads: streams share scratch memory, guarded by the GIL, which the kernel does not release. Native code drives the
same streams by the kernel's address (`native_kernel`) with scratch memory of its own.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.audio import _filters
from engine.audio import _layout as at

Samples = NDArray[np.int16]
STATE_BYTES = at.STATE_BYTES
Kernel = Callable[[Samples, Samples, NDArray[np.int64]], int]

LOWEST_RATE = 8000  # Hz
HIGHEST_RATE = 48000
WARM_TO = 16000
WARM_RATES = (8000, 11025, 12000, 22050, 24000, 32000, 44100, 48000)

_scratch: NDArray[np.float32] | None = None
_usual: dict[tuple[int, int], _filters.Plan] = {}


class ResamplerStatistics(msgspec.Struct, frozen=True):
    """Samples taken and given since the stream began, and how many had to be clipped to 16 bits."""

    samples_in: int
    samples_out: int
    clipped: int


def use_cache_dir(path: Path) -> None:
    """Keep compiled kernels in the folder `path`, which is created if need be. Call before `warm`.

    If the folder cannot be written numba looks for another, and without one compiles anew in each process.
    """
    path.mkdir(parents=True, exist_ok=True)
    os.environ["NUMBA_CACHE_DIR"] = str(path)
    if "numba" in sys.modules:
        sys.modules["numba"].config.CACHE_DIR = str(path)


def warm() -> None:
    """Load or compile the kernel and compute the tables of the usual rates to 16 kHz; nothing compiles
    afterwards.

    Blocks for 0.5 to 12 s: call it off the loop.
    """
    for rate in WARM_RATES:
        _usual[rate, WARM_TO] = Resampler(rate, WARM_TO)._plan


def ready(rate: int) -> bool:
    """Whether streams from `rate` to 16 kHz can be made at once: nothing has to be loaded, compiled or computed."""
    return rate == WARM_TO or (rate, WARM_TO) in _usual


def _kernels() -> ModuleType:
    from engine.audio import _kernels

    return _kernels


def native_kernel() -> int:
    """Address of the kernel for native code: a `resample_kernel` (native/src/codec.h)."""
    address: int = _kernels().resample_at.address
    return address


def _shared_scratch() -> NDArray[np.float32]:
    global _scratch
    if _scratch is None:
        _scratch = _filters.aligned(at.SCRATCH_ROOM)
    return _scratch


def _address(array: NDArray[np.float32]) -> int:
    return int(array.ctypes.data)


class Resampler:
    """Converts one mono stream from `rate_in` to `rate_out` (Hz, both 8000 to 48000, any integers).

    `memory`: where all that is known of the stream is kept, `STATE_BYTES` writable bytes aligned to 64, for native
    code to go on with; not for equal rates. Raises ValueError naming the rate that is out of range.
    """

    rate_in: int
    rate_out: int
    delay: int  # output samples by which the output is late, at most; also what `flush` gives at most

    def __init__(self, rate_in: int, rate_out: int = 16000, *, memory: Any = None) -> None:
        for name, rate in (("rate_in", rate_in), ("rate_out", rate_out)):
            if not LOWEST_RATE <= rate <= HIGHEST_RATE:
                raise ValueError(f"{name} is {rate} Hz; accepted: {LOWEST_RATE} to {HIGHEST_RATE} Hz")
        self.rate_in = rate_in
        self.rate_out = rate_out
        self.delay = 0
        self._state = np.zeros(at.FIELDS, dtype=np.int64)
        if rate_in != rate_out:
            self._plan = _usual.get((rate_in, rate_out)) or _filters.plan(rate_in, rate_out)
            if memory is None:
                memory = _filters.aligned(STATE_BYTES // 4)
            self._state = np.frombuffer(memory, np.int64, at.FIELDS)
            self._histories = np.frombuffer(memory, np.float32, offset=self._state.nbytes)
            self._scratch = _shared_scratch()
            self.delay = math.ceil(self._plan.lookahead * rate_out / rate_in + 0.5)  # half: rounding in flush
        self.reset()

    def reset(self) -> None:
        """Begin a new stream, as if newly made."""
        state = self._state
        state[:] = 0
        state[at.RATE_IN] = self.rate_in
        state[at.RATE_OUT] = self.rate_out
        self._kernel: Kernel = _copy
        if self.rate_in != self.rate_out:
            self._kernel = _kernels().resample
            self._histories[:] = 0
            self._lay_out(self._plan)

    def _lay_out(self, plan: _filters.Plan) -> None:
        """Tell the kernel where everything is, and put zeros before the stream as if it had always been silent."""
        state = self._state
        state[at.SCRATCH] = _address(self._scratch)
        starts = (0, at.HALF_HISTORY, 2 * at.HALF_HISTORY)
        state[at.EVEN], state[at.ODD], state[at.HISTORY] = (_address(self._histories[n:]) for n in starts)
        state[at.UP], state[at.DOWN], state[at.BLENDED] = plan.up, plan.down, plan.blended
        half = 0 if plan.half_table is None else plan.half_table.size
        if plan.half_table is not None:
            state[at.HALF_TAPS], state[at.HALF_TABLE] = half, _address(plan.half_table)
        if plan.table is None:
            state[at.STAGES] = at.HALVE
            state[at.PAIRS] = half  # the first output is that of time 0
            return
        taps = plan.table.shape[-1]
        state[at.TABLE], state[at.TAPS] = _address(plan.table), taps
        if plan.doubled:
            state[at.STAGES], state[at.HELD] = at.DOUBLE, taps - 1
            return
        # a filter in front rings before time 0: the stage after it takes that from it instead of zeros
        state[at.STAGES] = at.CONVERT
        state[at.PAIRS] = max(0, 2 * half - 1)
        state[at.HELD] = taps // 2 - 1 - max(0, half - 1)

    def max_output(self, n_in: int) -> int:
        """The most samples a chunk of `n_in` can give, and the room `process_into` asks for."""
        return (n_in + 1) * self.rate_out // self.rate_in + 1

    def process(self, pcm: Samples) -> Samples:
        """Take a chunk; return what it makes computable, a new array (perhaps empty)."""
        out = np.empty(self.max_output(pcm.size), dtype=np.int16)
        return out[: self.process_into(pcm, out)]

    def process_into(self, pcm: Samples, out: Samples) -> int:
        """Take the chunk `pcm`, write what it makes computable to the beginning of `out`; return how many
        samples.

        Both are one-dimensional int16 and do not overlap, `out` is contiguous: TypeError if not. ValueError
        if `out` has less room than `max_output(pcm.size)`. After an error the stream is as it was before.
        """
        try:
            made: int = self._kernel(pcm, out, self._state)
        except TypeError:
            # the kernel is compiled for contiguous, aligned samples
            made = self._kernel(_checked(pcm, "pcm").copy(), _writable(out), self._state)
        if made < 0:
            raise ValueError(
                f"out has room for {out.size} samples; accepted: {self.max_output(pcm.size)} or more"
            )
        return made

    def flush(self) -> Samples:
        """End the stream: return its last samples, at most `delay`; a second call returns none.

        `process` is a RuntimeError from here on, until `reset`.
        """
        state = self._state
        taken = int(state[at.SAMPLES_IN])
        due = (2 * taken * self.rate_out + self.rate_in) // (2 * self.rate_in)
        missing = due - int(state[at.SAMPLES_OUT])
        tail = np.empty(0, dtype=np.int16)
        if missing > 0:
            tail = self.process(np.zeros(self._plan.lookahead + 1, dtype=np.int16))[:missing]
            state[at.SAMPLES_IN] = taken
            state[at.SAMPLES_OUT] = due
        self._kernel = _ended
        return tail

    def statistics(self) -> ResamplerStatistics:
        """Counts since the stream began."""
        state = self._state
        return ResamplerStatistics(
            samples_in=int(state[at.SAMPLES_IN]),
            samples_out=int(state[at.SAMPLES_OUT]),
            clipped=int(state[at.CLIPPED]),
        )


def _copy(pcm: Samples, out: Samples, state: NDArray[np.int64]) -> int:
    """The kernel of equal rates."""
    count = _checked(pcm, "pcm").size
    if _checked(out, "out").size < count:
        return -1
    out[:count] = pcm
    state[at.SAMPLES_IN] += count
    state[at.SAMPLES_OUT] += count
    return count


def _ended(pcm: Samples, out: Samples, state: NDArray[np.int64]) -> int:
    """The kernel after `flush`."""
    raise RuntimeError("this stream has been flushed; reset() begins the next one")


def _checked(samples: Samples, name: str) -> Samples:
    if not isinstance(samples, np.ndarray):
        raise TypeError(f"{name} is {type(samples).__name__}; accepted: a one-dimensional int16 array")
    if samples.dtype != np.int16 or samples.ndim != 1:
        raise TypeError(
            f"{name} is {samples.ndim}-dimensional {samples.dtype}; accepted: one-dimensional int16"
        )
    return samples


def _writable(out: Samples) -> Samples:
    flags = _checked(out, "out").flags
    if not (flags.c_contiguous and flags.writeable and flags.aligned):
        raise TypeError(
            "out is read-only, not contiguous or not aligned; accepted: an array that can be written in place"
        )
    return out
