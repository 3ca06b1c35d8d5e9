"""What the process takes from the machine, and gives back: file descriptors, heaps and a data directory."""

import ctypes
import fcntl
import os
import platform
import resource
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from threadpoolctl import threadpool_limits

from engine.log import get_logger
from engine.store import StoreError

__all__ = [
    "DataDirInUse",
    "give_back_memory",
    "hold_data_dir",
    "limit_blas",
    "limit_heaps",
    "raise_file_limit",
    "take_short_turns",
    "wake_soon",
]

log = get_logger(__name__)

LOCK_FILE = "server.lock"

M_ARENA_MAX = -8
"""Of malloc.h."""
HEAPS = 2
"""The loop's, and one for all other threads."""

TURN = 0.0002
"""Seconds."""

SLICE = 100_000
"""ns; less is not taken."""
SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}
"""Numbers of the system call, which neither Python nor glibc before 2.41 has."""
RESET_ON_FORK = 0x01
"""Of linux/sched.h."""


class DataDirInUse(Exception):
    """Another server works on this data directory; the text names it and what to change."""


def raise_file_limit() -> int:
    """Raise the soft limit on open files to the hard one (many machines give 1024); return what it is now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (ValueError, OSError) as error:
            log.warning("file_limit.kept", soft=soft, hard=hard, error=str(error))
            return soft
    return hard


def limit_heaps() -> bool:
    """Let all threads but the first share one heap; False where malloc cannot (it is not glibc's).

    Otherwise each of the threads off the loop gets a heap of its own, and work that wanders from thread to thread
    makes every one of them as large as the largest: memory then grows for hours (tests/campaign/test_memory.py).
    """
    malloc = ctypes.CDLL(None)
    return hasattr(malloc, "mallopt") and malloc.mallopt(M_ARENA_MAX, HEAPS) == 1


def limit_blas() -> None:
    """Have numpy's products made by the thread that asks for them.

    OpenBLAS wakes a thread for each core, which then waits for more work at full speed: a search of half a millisecond
    among vectors took 20 ms of the cores that live audio is handled on (tests/campaign/test_scale.py).
    """
    threadpool_limits(limits=1, user_api="blas")


def take_short_turns() -> None:
    """Let a thread that runs Python code give way to the loop after `TURN`, instead of Python's 5 ms.

    The loop gives the lock away several times in each of its turns, and waits that long for it each time. While a page
    of conversations was made in a thread, a turn of 0.8 ms with two such gaps took 1.3 ms longer with `TURN` at 1 ms,
    0.6 ms with 0.2 ms and no less with 0.1 ms; the page took no longer with either. Words that 200 people said while
    conversations were processed came within 8.0 and 6.9 ms (90th percentile). A thread that gives the lock away again
    and again for moments, as reading rows does, starves the loop for less long as well: each time, the wait for
    `TURN` begins anew.
    """
    sys.setswitchinterval(TURN)


class _SchedAttr(ctypes.Structure):
    """`struct sched_attr` of linux/sched/types.h, its first version."""

    _fields_ = (
        ("size", ctypes.c_uint32),
        ("policy", ctypes.c_uint32),
        ("flags", ctypes.c_uint64),
        ("nice", ctypes.c_int32),
        ("priority", ctypes.c_uint32),
        ("runtime", ctypes.c_uint64),
        ("deadline", ctypes.c_uint64),
        ("period", ctypes.c_uint64),
    )


def wake_soon() -> bool:
    """Have this thread run soon after it wakes, also where a thread that computes has its core.

    It asks for short slices of the core, not for more of it: who asks for less at a time is served earlier, by Linux
    6.12 and newer; older ones take it and do as before. Threads and processes begun later are served as usual. False
    where it cannot be asked for: on another architecture, in a sandbox, or if whoever started us chose a policy.
    """
    number = SCHED_SETATTR.get(platform.machine())
    if number is None or os.sched_getscheduler(0) != os.SCHED_OTHER:
        return False
    attributes = _SchedAttr(
        size=ctypes.sizeof(_SchedAttr),
        policy=os.SCHED_OTHER,
        flags=RESET_ON_FORK,
        nice=os.getpriority(os.PRIO_PROCESS, threading.get_native_id()),
        runtime=SLICE,
    )
    failed: int = ctypes.CDLL(None).syscall(number, 0, ctypes.byref(attributes), 0)
    return not failed


def give_back_memory() -> None:
    """Return to the system what is free in the heaps; does nothing where malloc cannot. Takes some ms."""
    malloc = ctypes.CDLL(None)
    if hasattr(malloc, "malloc_trim"):
        malloc.malloc_trim(0)


@contextmanager
def hold_data_dir(data_dir: Path) -> Iterator[int]:
    """Keep other servers off `data_dir` (commands that read or make tokens are not kept off).

    Two servers would each end the other's conversations. The lock goes with the process, however it ends; with the
    last one, when children are given the descriptor that this yields.
    Raises `DataDirInUse`, or `StoreError` when the directory cannot be made or written.
    """
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        lock = (data_dir / LOCK_FILE).open("w")
    except OSError as error:
        raise StoreError(
            f"data directory {str(data_dir)!r} cannot be used ({error.strerror}): "
            "set LISTEN_DATA_DIR to a folder that can be written"
        ) from error
    with lock as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataDirInUse(
                f"another server uses {str(data_dir)!r}: stop it, or set LISTEN_DATA_DIR to another folder"
            ) from None
        yield file.fileno()
