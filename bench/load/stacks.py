"""The servers that are compared, and the vendor they share, each a process of its own on this machine.

The C programs are compiled into a directory that is thrown away.
"""

import os
import shlex
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from engine.audio.libraries import library_versions
from engine.cli.load_process import Running, own_server, process

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
COSTS = "lane, with a clock"
KERNELS = ROOT / "engine" / "audio" / "__pycache__" / "numba"


def compile_program(name: str, folder: Path) -> Path:
    """`NAME.c` beside this file, as an executable in `folder`. Needs a C compiler."""
    target = folder / name
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
    subprocess.run([*compiler, "-O3", "-o", str(target), str(HERE / f"{name}.c"), "-ldl"], check=True)
    return target


@contextmanager
def stacks(names: Sequence[str]) -> Iterator[tuple[Running, dict[str, Running]]]:
    """The vendor, and these of `STACKS` (or `COSTS`) all running at once, talking to it."""
    with ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory()))
        vendor = running.enter_context(process("vendor", [str(compile_program("vendor", folder))]))
        started = {
            name: running.enter_context(process(name, *ALL[name](vendor.url, folder), ROOT)) for name in names
        }
        yield vendor, started


def _quart(vendor: str, folder: Path) -> tuple[list[str], dict[str, str]]:
    return own_server(vendor, folder / "quart", KERNELS, "off")


def _lane(vendor: str, folder: Path) -> tuple[list[str], dict[str, str]]:
    return own_server(vendor, folder / "lane", KERNELS, "on")


def _uvicorn(vendor: str, folder: Path) -> tuple[list[str], dict[str, str]]:
    return [sys.executable, "-m", "bench.peer_uvicorn", f"{vendor}/v1/listen"], {}


def _climit(vendor: str, folder: Path) -> tuple[list[str], dict[str, str]]:
    opus = library_versions()["opus"].path
    assert opus is not None
    return [str(compile_program("climit", folder)), opus, vendor.rsplit(":", 1)[1]], {}


def _costs(vendor: str, folder: Path) -> tuple[list[str], dict[str, str]]:
    """Our server over the lane, with a clock on every step of its loop; see `bench.costs`."""
    return [sys.executable, "-m", "bench.costs"], _lane(vendor, folder / "costs")[1]


STACKS = {"C limit": _climit, "lane": _lane, "quart": _quart, "uvicorn": _uvicorn}
"""By name: command and environment, given the vendor's address and a directory."""

ALL = STACKS | {COSTS: _costs}
