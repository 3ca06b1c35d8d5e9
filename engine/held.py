"""Native functions, called without giving the interpreter's lock away.

cffi gives it away around every call. Where the call takes some microseconds that is a bad bargain for a loop with much
to do: a thread that waits for the lock takes it, and the loop has it back when that thread waits for something itself,
or after the switch interval (`engine.server.machine.TURN`).

Operations: `held` makes such a function of one of `engine._native`, `address` gives what it takes for a pointer.
Only for functions that never wait, for anything.
Cost: half a microsecond more than a call by cffi that nobody waits behind.
"""

import ctypes
from collections.abc import Callable
from typing import Any

from engine._native import ffi, lib

__all__ = ["address", "held"]


def held(name: str, result: Any, *parameters: Any) -> Callable[..., Any]:
    """The native function of that name; `result` and `parameters` are types of `ctypes`, as its header says."""
    return ctypes.PYFUNCTYPE(result, *parameters)(address(ffi.addressof(lib, name)))


def address(pointer: Any) -> int:
    """What a pointer of cffi points to, which must be kept alive as long as this is used."""
    return int(ffi.cast("uintptr_t", pointer))
