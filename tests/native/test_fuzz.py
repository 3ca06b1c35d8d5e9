"""Fuzzing frame reader and codecs: the corpus replayed, then mutated for half a minute, under the sanitizers."""

import os
import secrets
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from engine.audio.libraries import library_versions
from native.fuzz.build import PRODUCT, TARGETS, compile_target
from tests.native.compiling import ROOT, compiler

CORPUS = Path(__file__).parent / "corpus"
SECONDS = 15  # for each of the two targets, which run at once


@pytest.fixture(name="gcc", scope="module")
def _gcc() -> list[str]:
    command = compiler()
    assert command is not None
    asan = subprocess.run(
        [*command, "-print-file-name=libasan.so"], capture_output=True, text=True, check=True
    )
    if not Path(asan.stdout.strip()).is_absolute():
        pytest.skip("no gcc with libasan on this machine")
    return command


def fuzz(program: Path, target: str, seconds: float) -> subprocess.Popen[str]:
    """Replays the corpus, then mutates it; another seed each time, which a failure prints."""
    libraries = {f"FUZZ_LIB{name.upper()}": info.path or "" for name, info in library_versions().items()}
    return subprocess.Popen(
        [program, str(seconds), str(secrets.randbits(32)), *sorted((CORPUS / target).iterdir())],
        env={**os.environ, **libraries},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_half_a_minute_of_mutations_finds_nothing(gcc: list[str], tmp_path: Path) -> None:
    programs = {target: compile_target(target, gcc, tmp_path, coverage=False) for target in TARGETS}
    running = {target: fuzz(program, target, SECONDS) for target, program in programs.items()}
    for target, process in running.items():
        said, errors = process.communicate()
        assert process.returncode == 0, errors[-6000:]
        replayed, tried = (int(part.split()[0]) for part in said.split(", "))
        assert replayed == len(list((CORPUS / target).iterdir()))
        assert tried > 1000


BUGS = {
    "a control frame of any length": ("frames", "frame.c", "|| length > FRAME_CONTROL)", ")"),
    "a key that begins anew with each part": ("frames", "frame.c", "key + bytes % FRAME_KEY", "key"),
    "a carried byte that is forgotten": (
        "codecs",
        "pcm.c",
        "(bytes + c->carried) / c->unit",
        "bytes / c->unit",
    ),
}


@pytest.mark.parametrize("bug", BUGS)
def test_a_bug_would_be_found(bug: str, gcc: list[str], tmp_path: Path) -> None:
    target, name, right, wrong = BUGS[bug]
    product = tmp_path / "src"
    shutil.copytree(PRODUCT, product)
    source = (product / name).read_text()
    assert source.count(right) == 1
    (product / name).write_text(source.replace(right, wrong))
    process = fuzz(
        compile_target(target, gcc, tmp_path, coverage=False, product=product), target, 4 * SECONDS
    )
    _, errors = process.communicate()
    assert process.returncode != 0
    assert "AddressSanitizer" in errors or "does not hold" in errors
    assert "input of" in errors


def make_fuzz(path: str) -> subprocess.CompletedProcess[str]:
    """What `make fuzz` runs, with this PATH."""
    environ = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "native.fuzz", "1"]
    return subprocess.run(command, env=environ, cwd=ROOT, capture_output=True, text=True)


def test_without_clang_make_fuzz_says_so() -> None:
    done = make_fuzz("/nowhere")
    assert done.returncode == 2
    assert "needs clang" in done.stderr


def test_a_clang_without_libfuzzer_is_quoted(tmp_path: Path) -> None:
    clang = tmp_path / "clang"
    clang.write_text("#!/bin/sh\necho 'no such sanitizer' >&2\nexit 1\n")
    clang.chmod(0o755)
    done = make_fuzz(str(tmp_path))
    assert done.returncode == 2
    assert "clang cannot build the targets with libFuzzer:\nno such sanitizer" in done.stderr
