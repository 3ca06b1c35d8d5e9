"""Native functions that keep the interpreter's lock."""

import ctypes
import sys
import threading
import time

import pytest

from engine._native import ffi, lib
from engine.held import address, held


def test_a_held_function_does_what_the_native_one_does() -> None:
    pump = ffi.new("lane_pump *")
    pump.position, pump.messages = 320, 1
    pump.log[0].end, pump.log[0].ns = 320, 77
    sent_at = held("lane_pump_sent_at", ctypes.c_uint64, ctypes.c_void_p, ctypes.c_uint64)
    assert sent_at(address(pump), 320) == lib.lane_pump_sent_at(pump, 320) == 77


def test_what_is_no_native_function_is_refused() -> None:
    with pytest.raises(AttributeError):
        held("lane_gone", ctypes.c_int)


def test_no_other_thread_has_a_turn_before_it_returns() -> None:
    """With endless turns a thread that waits for the lock has it only where others give it away."""
    turns, counted, over = sys.getswitchinterval(), [0], threading.Event()

    def count() -> None:
        while not over.is_set():
            counted[0] += 1
            time.sleep(0)

    pump = ffi.new("lane_pump *")
    sent_at = held("lane_pump_sent_at", ctypes.c_uint64, ctypes.c_void_p, ctypes.c_uint64)
    thread = threading.Thread(target=count)
    sys.setswitchinterval(3600)
    try:
        thread.start()
        before = counted[0]
        for _ in range(1000):
            sent_at(address(pump), 1)
        assert counted[0] == before
    finally:
        sys.setswitchinterval(turns)
        over.set()
        thread.join()
