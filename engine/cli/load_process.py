"""Processes that are measured: a server of ours with a vendor on this machine, each ended with the block.

Operations: `process` starts a program and reads its port; `own_server` is `listen serve` as load is put on it.
Invariants: when the block is left the program has ended, and its temporary data is gone.
Bounded: `READY` seconds to start, `ENDING` to end, then it is killed.
"""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from engine._config_sections import MOST_SESSIONS
from engine.cli.load_figures import Usage, usage_of
from engine.cli.status import Failure

__all__ = ["Running", "own_server", "process"]

READY = 120.0
"""Seconds a program has until it takes connections; kernels may have to be compiled first."""

ENDING = 15.0
"""Seconds it has to end; a server drains in that time."""

ANSWER = 10.0
"""Seconds it has to answer a line."""

NOTHING_ADDED: Mapping[str, str] = MappingProxyType({})


class Running(NamedTuple):
    """A program that takes connections. `idle` is what it used before the first stream.

    `ask` writes a line to its standard input and gives the line that it answers, for programs that do; Failure when
    none comes.
    """

    name: str
    url: str
    pid: int
    idle: Usage
    ask: Callable[[], bytes]


def own_server(vendor_url: str, data_dir: Path, kernels: Path, lane: str) -> tuple[list[str], dict[str, str]]:
    """Command and environment of `listen serve` with one vendor, that of Deepgram's protocol at `vendor_url`.

    `kernels`: where compiled kernels are kept, so that they are not compiled for every measurement.
    """
    environ = {
        "LISTEN_DATA_DIR": str(data_dir),
        "LISTEN_LANE": lane,
        "LISTEN_PORT": "0",
        "LISTEN_LOG_FORMAT": "json",
        "LISTEN_LOG_LEVEL": "error",
        "LISTEN_DRAIN_TIMEOUT": "5",
        "LISTEN_LIMITS_SESSIONS": str(MOST_SESSIONS),
        "LISTEN_STT_CONNECTS_PER_SECOND": "10000",  # else streams wait for their vendor, and what is late is measured
        "NUMBA_CACHE_DIR": str(kernels),
        "STT_SERVICE_MODELS": "dg-nova-3",
        "DEEPGRAM_URL": f"{vendor_url}/v1/listen",
        "DEEPGRAM_API_KEY": "load",
    }
    return [sys.executable, "-c", "from engine.cli import main; main()", "serve"], environ


@contextmanager
def process(
    name: str, command: Sequence[str], environ: Mapping[str, str] = NOTHING_ADDED, folder: Path | None = None
) -> Iterator[Running]:
    """Run a program that prints its port; leaving the block closes its standard input and sends SIGTERM.

    `environ` is added to this process's, of which `LISTEN_*` and keys of vendors are not passed on. Raises Failure
    when it ends before it takes connections.
    """
    with subprocess.Popen(
        command,
        env=_inherited() | dict(environ),
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as running:
        try:
            port = _port(name, running)
            ask = partial(_ask, name, running)
            yield Running(name, f"ws://127.0.0.1:{port}", running.pid, usage_of(running.pid), ask)
        finally:
            _end(running)


def _inherited() -> dict[str, str]:
    """What a measured server must not take from whoever measures is left out."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("LISTEN_", "STT_", "DEEPGRAM_", "SONIOX_", "SPEECHMATICS_", "VOSK_"))
    }


def _port(name: str, running: subprocess.Popen[bytes]) -> int:
    """From the first line that has one: a number, or an address."""
    until = time.monotonic() + READY
    while (line := _line(running, until)) is not None:
        found = re.search(rb"(?:^|://[^/\s]*:)(\d+)\b", line)
        if found:
            return int(found[1])
        if not line:
            raise Failure(f"{name} ended before it took connections (status {running.wait()})")
    raise Failure(f"{name} took no connections within {READY:g} s")


def _ask(name: str, running: subprocess.Popen[bytes]) -> bytes:
    assert running.stdin is not None
    running.stdin.write(b"\n")
    running.stdin.flush()
    line = _line(running, time.monotonic() + ANSWER)
    if not line:
        raise Failure(f"{name} did not answer within {ANSWER:g} s")
    return line


def _line(running: subprocess.Popen[bytes], until: float) -> bytes | None:
    """The next line of its output, byte by byte; what there was at the end of file; None when it is too late."""
    assert running.stdout is not None
    line = b""
    while (left := until - time.monotonic()) > 0 and select.select([running.stdout], (), (), left)[0]:
        byte = os.read(running.stdout.fileno(), 1)
        line += byte
        if byte in (b"\n", b""):
            return line
    return None


def _end(running: subprocess.Popen[bytes]) -> None:
    assert running.stdin is not None
    running.stdin.close()  # ends vendors and the programs in C
    running.terminate()
    try:
        running.wait(ENDING)
    except subprocess.TimeoutExpired:
        running.kill()
