"""The native tests once more, on a build that stops at bad memory accesses and undefined behaviour (gcc).

The build and the tests run in a copy of the tree. `--capture=sys`, because pytest's own capture of the descriptor
swallows the sanitizers' report.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.native.compiling import ROOT, compile_extension, compiler
from tests.patience import PATIENCE

ENVIRON = {"LISTEN_SANITIZE": "address,undefined"}
TESTS = (
    "native/test_memory.py",
    "native/test_pcm.py",
    "native/test_lstm.py",
    "native/test_frame.py",
    "native/test_lane.py",
    "native/test_lane_vendor.py",
    "audio_room/test_ring.py",
    "audio_room/test_ring_model.py",
    "audio_room/test_native_decoder.py",
    "audio_room/test_encoders.py",
    "audio_room/test_gate.py",
)
SKIPPED_TESTS = "silero or aac or address_space"
"""Other people's native code; and a limit of memory under which the sanitizer itself may die."""
HEAP_OVERFLOW = """
from engine._native import ffi, lib
small = ffi.new("int16_t[]", 4)
decoder = lib.codec_open_pcm(16, 1)
lib.codec_decode(decoder, bytes(64), 64, small, 32, ffi.new("codec_result *"))
"""
SIGNED_OVERFLOW = """
from engine._native import ffi, lib
gate = ffi.new("gate *")
lib.gate_init(gate, 160, 100, 0x7FFFFFFF, 4, 250)
lib.gate_process(gate, ffi.new("int16_t[]", [(n % 9) * 3000 for n in range(160)]), 160)
"""
LIFETIMES = """
from engine._native import ffi, lib
from engine.audio.codecs import CODECS, create_decoder
from engine.audio.encoders import create_encoder
from engine.audio.ring import RingPool
for codec in CODECS:
    if codec != "aac":
        for _ in range(10):
            create_encoder(codec, 16000, 2)
            create_decoder(codec, 16000, 2).close()
            create_decoder(codec, 16000, 2)
pool = RingPool(16000, 2)
for ring in [pool.acquire() for _ in range(5)]:
    pool.release(ring)
"""
LEAK = LIFETIMES + "lib.codec_open_pcm(16, 1)\n"


@pytest.fixture(scope="module", name="tree")
def _tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tree whose extension is a sanitizer build."""
    command = compiler()
    if command is None or not Path(asan_library(command)).is_absolute():
        pytest.skip("no gcc with libasan on this machine")
    tree = tmp_path_factory.mktemp("tree")
    for folder in ("engine", "tests"):
        shutil.copytree(ROOT / folder, tree / folder, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tree)
    shutil.copytree(ROOT / "native", tree / "native", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.move(compile_extension(command, ENVIRON, tree), tree / "engine")
    return tree


def asan_library(command: list[str]) -> str:
    """Path of gcc's address sanitizer; gcc repeats the bare name when it has none."""
    arguments = [*command, "-print-file-name=libasan.so"]
    return subprocess.run(arguments, check=True, capture_output=True, text=True).stdout.strip()


def python(tree: Path, *arguments: str, leaks: bool = False) -> subprocess.CompletedProcess[str]:
    """Run the tree's Python under the sanitizers."""
    command = compiler()
    assert command is not None
    environ = {
        **os.environ,
        "LD_PRELOAD": asan_library(command),
        "PYTHONMALLOC": "malloc",
        "ASAN_OPTIONS": "detect_leaks=1:exitcode=0" if leaks else "detect_leaks=0",
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "PYTHONPATH": str(tree),
        "PYTEST_ADDOPTS": "",  # those of the run that this one is a part of
    }
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=tree,
        env=environ,
        capture_output=True,
        text=True,
        timeout=5 * PATIENCE,
    )


def test_the_native_tests_pass_under_the_sanitizers(tree: Path) -> None:
    selected = [f"tests/{name}" for name in TESTS]
    result = python(tree, "-m", "pytest", "--capture=sys", "-k", f"not ({SKIPPED_TESTS})", *selected)
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-4000:]
    where = python(tree, "-c", "import engine._native as n; print(n.__file__)").stdout
    assert str(tree) in where
    assert "passed" in result.stdout


@pytest.mark.parametrize(
    ("bug", "report"),
    [(HEAP_OVERFLOW, "heap-buffer-overflow"), (SIGNED_OVERFLOW, "signed integer overflow")],
    ids=["a write past the end", "an overflow"],
)
def test_a_bug_would_be_found(tree: Path, bug: str, report: str) -> None:
    result = python(tree, "-c", bug)
    assert result.returncode != 0
    assert report in result.stderr
    assert "native/src" in result.stderr


@pytest.mark.parametrize(
    ("code", "leaky"), [(LIFETIMES, False), (LEAK, True)], ids=["as it is", "with a leak"]
)
def test_everything_opened_is_freed(tree: Path, code: str, leaky: bool) -> None:
    report = python(tree, "-c", code, leaks=True).stderr  # Python itself and NumPy have leaks of their own
    assert "LeakSanitizer: detected memory leaks" in report
    assert ("native/src" in report) == leaky
