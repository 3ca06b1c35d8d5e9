"""What the process takes from the machine."""

import os
import platform
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from engine.server.machine import (
    HEAPS,
    SCHED_SETATTR,
    SLICE,
    DataDirInUse,
    hold_data_dir,
    raise_file_limit,
    take_short_turns,
    wake_soon,
)
from engine.store import StoreError

PRODUCTS = """
import numpy
from threadpoolctl import threadpool_info
from engine.server.machine import limit_blas
limit_blas()
print(*(library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"))
"""


def test_products_are_made_by_the_thread_that_asks_for_them() -> None:
    done = subprocess.run([sys.executable, "-c", PRODUCTS], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == {"1"}


def test_threads_give_way_to_the_loop_after_a_fifth_of_a_millisecond() -> None:
    before = sys.getswitchinterval()
    try:
        take_short_turns()
        assert sys.getswitchinterval() == pytest.approx(0.0002)
    finally:
        sys.setswitchinterval(before)


SLICES = """
import ctypes, os, threading
from engine.server import machine
def slice_of_this_thread():
    attributes = machine._SchedAttr()
    number = machine.SCHED_SETATTR[os.uname().machine] + 1  # sched_getattr
    size = ctypes.sizeof(attributes)
    assert ctypes.CDLL(None).syscall(number, 0, ctypes.byref(attributes), size, 0) == 0
    return attributes.runtime
found = [machine.wake_soon(), slice_of_this_thread()]
later = threading.Thread(target=lambda: found.append(slice_of_this_thread()))
later.start()
later.join()
print(*found, os.getpriority(os.PRIO_PROCESS, 0))
"""


@pytest.mark.skipif(
    platform.machine() not in SCHED_SETATTR
    or tuple(map(int, re.findall(r"\d+", platform.release())[:2])) < (6, 12)
    or os.sched_getscheduler(0) != os.SCHED_OTHER,
    reason="slices are asked for from Linux 6.12 on",
)
def test_the_loop_asks_for_short_slices_and_threads_begun_later_do_not() -> None:
    done = subprocess.run([sys.executable, "-c", SLICES], capture_output=True, text=True, check=True)
    asked, own, others, niceness = done.stdout.split()
    assert (asked, int(own)) == ("True", SLICE)
    assert int(others) > SLICE
    assert int(niceness) == os.getpriority(os.PRIO_PROCESS, 0)


def test_where_nothing_can_be_asked_for_nothing_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "vax")
    assert not wake_soon()


def test_the_soft_file_limit_becomes_the_hard_one() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 256), hard))
    try:
        assert raise_file_limit() == hard
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


HEAPS_OF_EIGHT_THREADS = """
import ctypes, threading
from engine.server.machine import limit_heaps
assert limit_heaps()
together = threading.Barrier(8)
def work():
    block = bytearray(10_000)
    together.wait()
threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
ctypes.CDLL(None).malloc_stats()
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other allocators have no such heaps")
def test_threads_share_a_heap() -> None:
    command = [sys.executable, "-c", HEAPS_OF_EIGHT_THREADS]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stderr.count("Arena ") == HEAPS


def test_a_data_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "below"
    cause = r"file/below' cannot be used.*LISTEN_DATA_DIR"
    with pytest.raises(StoreError, match=cause), hold_data_dir(folder):
        pass


def test_a_data_directory_is_made_and_held_by_one_at_a_time(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "down"
    with hold_data_dir(folder):
        with pytest.raises(DataDirInUse, match="LISTEN_DATA_DIR") as refused, hold_data_dir(folder):
            pass
        assert str(folder) in str(refused.value)
        with hold_data_dir(tmp_path / "another"):
            pass
    with hold_data_dir(folder):
        pass
