"""The servers that are compared, and the vendor they share, each a process of its own on this machine.

Each context manager gives a `Stack` once it takes connections, and ends the process when the block is left. The C
programs are compiled into a directory that is thrown away.
"""

import os
import re
import shlex
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from engine.audio.libraries import library_versions
from engine.cli.load_figures import Usage, usage_of

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
ENDING = 15.0
"""Seconds a process has to end; a server drains in that time."""


class Stack(NamedTuple):
    """A running server. `idle` is what it used before the first stream."""

    name: str
    url: str
    pid: int
    idle: Usage


def compile_program(name: str, folder: Path) -> Path:
    """`NAME.c` beside this file, as an executable in `folder`. Needs a C compiler."""
    target = folder / name
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
    subprocess.run([*compiler, "-O3", "-o", str(target), str(HERE / f"{name}.c"), "-ldl"], check=True)
    return target


@contextmanager
def stacks(names: Sequence[str]) -> Iterator[tuple[Stack, dict[str, Stack]]]:
    """The vendor, and these of `STACKS` all running at once, talking to it."""
    with ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory()))
        vendor = running.enter_context(_process("vendor", [str(compile_program("vendor", folder))]))
        started = {
            name: running.enter_context(_process(name, *STACKS[name](vendor.url, folder))) for name in names
        }
        yield vendor, started


def _ours(vendor: str, folder: Path, lane: str = "off") -> tuple[list[str], dict[str, str]]:
    environ = {
        "LISTEN_DATA_DIR": str(folder / f"lane-{lane}"),
        "LISTEN_LANE": lane,
        "LISTEN_PORT": "0",
        "LISTEN_LOG_FORMAT": "json",
        "LISTEN_LOG_LEVEL": "warning",
        "LISTEN_DRAIN_TIMEOUT": "5",
        "LISTEN_LIMITS_SESSIONS": "10000",
        "STT_SERVICE_MODELS": "dg-nova-3",
        "NUMBA_CACHE_DIR": str(ROOT / "engine" / "audio" / "__pycache__" / "numba"),
        "DEEPGRAM_URL": f"{vendor}/v1/listen",
        "DEEPGRAM_API_KEY": "bench",
    }
    return [sys.executable, "-c", "from engine.cli import main; main()", "serve"], environ


def _laned(vendor: str, folder: Path) -> tuple[list[str], dict[str, str]]:
    return _ours(vendor, folder, "on")


def _uvicorn(vendor: str, folder: Path) -> tuple[list[str], dict[str, str]]:
    return [sys.executable, "-m", "bench.peer_uvicorn", f"{vendor}/v1/listen"], {}


def _climit(vendor: str, folder: Path) -> tuple[list[str], dict[str, str]]:
    opus = library_versions()["opus"].path
    assert opus is not None
    return [str(compile_program("climit", folder)), opus, vendor.rsplit(":", 1)[1]], {}


STACKS = {"C limit": _climit, "lane": _laned, "ours": _ours, "uvicorn": _uvicorn}
"""By name: command and environment, given the vendor's address and a directory."""


@contextmanager
def _process(name: str, command: Sequence[str], environ: Mapping[str, str] = os.environ) -> Iterator[Stack]:
    process = subprocess.Popen(
        command,
        env={**os.environ, **environ},
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        port = _port(name, process.stdout)
        yield Stack(name, f"ws://127.0.0.1:{port}", process.pid, usage_of(process.pid))
    finally:
        process.stdin.close()  # ends the C programs
        process.terminate()
        try:
            process.wait(ENDING)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def _port(name: str, output: IO[str]) -> int:
    """From the first line that has one: a number, or an address."""
    for line in output:
        found = re.search(r"(?:^|://[^/\s]*:)(\d+)\b", line)
        if found:
            return int(found[1])
    raise RuntimeError(f"{name} ended before it took connections")
