"""The servers that are compared, and the vendor they share, each a process of its own on this machine.

The C programs are compiled into a directory that is thrown away.
"""

import os
import shlex
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from engine.audio.libraries import library_versions
from engine.cli.load_process import Running, own_server, process

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
COSTS = "lane, with a clock"
SECURED = "lane wss"
"""Its vendor is behind TLS, which the server itself speaks."""
AUTHORITY = "authority.pem"
KERNELS = ROOT / "engine" / "audio" / "__pycache__" / "numba"


def compile_program(name: str, folder: Path) -> Path:
    """`NAME.c` beside this file, as an executable in `folder`. Needs a C compiler."""
    target = folder / name
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
    subprocess.run([*compiler, "-O3", "-o", str(target), str(HERE / f"{name}.c"), "-ldl"], check=True)
    return target


class Vendors(NamedTuple):
    """The vendor, and the process that speaks TLS for it, where a stack needs one."""

    plain: Running
    secured: Running | None

    def of(self, name: str) -> Running:
        """Who the stack of this name talks to."""
        return self.secured if name == SECURED and self.secured is not None else self.plain


class Stacks(NamedTuple):
    """The vendor, the servers that talk to it, and `start`, for one that has served nobody yet, by name."""

    vendors: Vendors
    running: dict[str, Running]
    start: Callable[[str], AbstractContextManager[Running]]


@contextmanager
def stacks(names: Sequence[str]) -> Iterator[Stacks]:
    """The vendor, and these of `STACKS` (or `COSTS`) all running at once, talking to it."""
    with ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory()))
        vendor = running.enter_context(process("vendor", [str(compile_program("vendor", folder))]))
        secured = running.enter_context(_tls(vendor, folder)) if SECURED in names else None
        vendors = Vendors(vendor, secured)

        def start(name: str) -> AbstractContextManager[Running]:
            return process(name, *ALL[name](vendors.of(name).url, folder), ROOT)

        yield Stacks(vendors, {name: running.enter_context(start(name)) for name in names}, start)


def _tls(vendor: Running, folder: Path) -> AbstractContextManager[Running]:
    """TLS in front of the vendor, with a certificate for 127.0.0.1 by an authority in `folder`."""
    import trustme  # of the extra `bench`

    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / AUTHORITY))
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(folder / "front.pem"))
    command = [sys.executable, "-m", "bench.load.tls_front", _port(vendor.url), str(folder / "front.pem")]
    return process("TLS", command, folder=ROOT)


def _port(url: str) -> str:
    return url.rpartition(":")[2]


def _own(folder: Path) -> Path:
    """A directory in it that nobody else has."""
    return Path(tempfile.mkdtemp(dir=folder))


def _quart(vendor: str, folder: Path) -> tuple[list[str], dict[str, str]]:
    return own_server(vendor, _own(folder), KERNELS, "off")


def _lane(vendor: str, folder: Path) -> tuple[list[str], dict[str, str]]:
    return own_server(vendor, _own(folder), KERNELS, "on")


def _secured(vendor: str, folder: Path) -> tuple[list[str], dict[str, str]]:
    command, environ = own_server(vendor.replace("ws:", "wss:"), _own(folder), KERNELS, "on")
    return command, environ | {"SSL_CERT_FILE": str(folder / AUTHORITY)}


def _uvicorn(vendor: str, folder: Path) -> tuple[list[str], dict[str, str]]:
    return [sys.executable, "-m", "bench.peer_uvicorn", f"{vendor}/v1/listen"], {}


def _climit(vendor: str, folder: Path) -> tuple[list[str], dict[str, str]]:
    opus = library_versions()["opus"].path
    assert opus is not None
    return [str(compile_program("climit", _own(folder))), opus, _port(vendor)], {}


def _costs(vendor: str, folder: Path) -> tuple[list[str], dict[str, str]]:
    """Our server over the lane, with a clock on every step of its loop; see `bench.costs`."""
    return [sys.executable, "-m", "bench.costs"], _lane(vendor, folder)[1]


STACKS = {"C limit": _climit, "lane": _lane, SECURED: _secured, "quart": _quart, "uvicorn": _uvicorn}
"""By name: command and environment, given the vendor's address and a directory."""

ALL = STACKS | {COSTS: _costs}
