"""When the resampling kernel is compiled, loaded and cached."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numba import config, types
from numba.core import event

from engine.audio import resample
from engine.audio._kernels import compiled, compiled_for_c
from engine.audio.codecs import create_decoder
from engine.audio.resample import Resampler
from engine.audio.ring import Ring


def test_nothing_is_compiled_after_warm() -> None:
    resample.warm()
    pcm = np.arange(300, dtype=np.int16)
    with event.install_recorder("numba:compile") as recorder:
        for rate in range(8000, 48001, 1777):
            out = np.empty(700, dtype=np.int16)
            for form in (pcm, np.frombuffer(pcm.tobytes(), dtype=np.int16)):
                resampler = Resampler(rate)
                resampler.process_into(form, out)
                resampler.flush()
            create_decoder("pcm16", rate).decode(pcm.tobytes(), Ring(16_000))
    assert recorder.buffer == []
    assert len(resample._kernels().resample.signatures) == 2


def test_without_a_place_for_a_cache_kernels_are_compiled_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(config, "CACHE_LOCATOR_CLASSES", "ZipCacheLocator")  # finds none for a plain file

    def successor(number: int) -> int:
        return number + 1

    kernel = compiled(successor, [types.int64(types.int64)])
    assert kernel(41) == 42
    assert kernel.stats.cache_path is None
    in_c = compiled_for_c(successor, types.int64(types.int64))
    assert ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(in_c.address)(41) == 42


def in_new_process(script: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def test_numba_is_not_loaded_for_streams_that_need_no_conversion() -> None:
    script = """
import sys
from engine.audio.resample import Resampler
from engine.audio.ring import Ring
Resampler(16000).flush()
print("numba" in sys.modules)
"""
    assert in_new_process(script) == "False"


def test_kernels_are_kept_in_the_folder_that_was_named_and_found_there_again(tmp_path: Path) -> None:
    script = """
import pathlib, sys
from engine.audio import resample
resample.use_cache_dir(pathlib.Path(sys.argv[1]))
resample.warm()
from engine.audio._kernels import resample, resample_at
print(sum(resample.stats.cache_hits.values()), resample_at.cache_hits)
"""
    folder = tmp_path / "numba"
    assert in_new_process(script, str(folder)) == "0 0"
    assert any(folder.rglob("*.nbc"))
    assert in_new_process(script, str(folder)) == "2 1"
