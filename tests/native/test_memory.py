"""What a ring costs the process: two maps, no descriptor, and all of it given back."""

import gc
import os
import resource
from pathlib import Path

import numpy as np
import pytest

from engine._native import ffi, lib
from engine.audio.ring import Ring

pytestmark = pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux's /proc")


@pytest.fixture(autouse=True)
def _nothing_of_other_tests() -> None:
    """Rings that other tests left to the collector would vanish between two counts."""
    gc.collect()


def ring_maps() -> int:
    return Path("/proc/self/maps").read_text().count("memfd:listen-ring")


def test_a_ring_is_two_maps_and_no_descriptor() -> None:
    maps, descriptors = ring_maps(), len(os.listdir("/proc/self/fd"))
    rings = [Ring(16 * 16_000) for _ in range(20)]
    assert ring_maps() == maps + 2 * len(rings)
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_its_memory_goes_with_the_last_view_and_not_before() -> None:
    maps = ring_maps()
    ring = Ring(16_000)
    ring.write(np.arange(100, dtype=np.int16))
    seen = np.frombuffer(ring.window(0, 100), np.int16)
    ring.close()
    assert ring_maps() == maps + 2
    assert seen[99] == 99
    del seen
    assert ring_maps() == maps


@pytest.mark.parametrize("samples", [0, 1 << 32])
def test_the_native_side_refuses_sizes_of_its_own(samples: int) -> None:
    error = ffi.new("int *")
    assert lib.ring_open(samples, error) == ffi.NULL
    assert os.strerror(error[0]) == "Invalid argument"


def test_more_than_the_address_space_is_an_error_and_leaks_nothing() -> None:
    maps, descriptors = ring_maps(), len(os.listdir("/proc/self/fd"))
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (64 << 20, limits[1]))
    try:
        with pytest.raises(OSError, match="cannot map a ring of 1073741824 samples: Cannot allocate memory"):
            Ring(1 << 30)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
    assert (ring_maps(), len(os.listdir("/proc/self/fd"))) == (maps, descriptors)
