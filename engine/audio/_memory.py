"""The memory of a ring: mapped on demand, unmapped when the ring and the last view of it are gone."""

import os
import weakref
from typing import Any

from engine._native import ffi, lib

NOTHING = memoryview(b"").cast("h")


def map_ring(samples: int) -> Any:
    """At least `samples` samples, as a `ring *` that unmaps itself. Raises `ValueError` or `OSError`."""
    if not 0 < samples < 1 << 32:
        raise ValueError(f"capacity_samples: {samples} is not between 1 and {(1 << 32) - 1}")
    error = ffi.new("int *")
    memory = lib.ring_open(samples, error)
    if memory == ffi.NULL:
        raise OSError(error[0], f"cannot map a ring of {samples} samples: {os.strerror(error[0])}")
    return ffi.gc(memory, lib.ring_free)


def view(memory: Any) -> memoryview:
    """Its samples twice in a row, read-only, format 'h'. Any slice of this keeps the memory mapped."""
    whole = ffi.buffer(memory, memory.header + 4 * memory.capacity)
    return memoryview(whole)[memory.header :].cast("h").toreadonly()


def writable(memory: Any) -> memoryview:
    """The same samples to write to. For the ring alone: `watch` does not see its slices."""
    return memoryview(ffi.buffer(memory, memory.header + 4 * memory.capacity))[memory.header :].cast("h")


def watch(samples: memoryview) -> weakref.ref[Any]:
    """A reference that dies with the last slice of what `view` returned."""
    return weakref.ref(samples.obj)
