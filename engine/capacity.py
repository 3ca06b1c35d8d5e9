"""What one process was measured to carry on this machine, kept in the data directory.

Operations: `write_capacity` by `listen doctor --capacity`, `read_capacity` by the configuration, which takes the figure
as the default of `limits.sessions`.
Invariants: a figure of another machine, or one that cannot be read, is no figure.
"""

from __future__ import annotations

import contextlib
import os
import platform
from pathlib import Path

import msgspec

__all__ = ["Capacity", "processor", "read_capacity", "write_capacity"]

FILE = "capacity.json"


class Capacity(msgspec.Struct, frozen=True, kw_only=True):
    """`streams`: the most, of 20 ms Opus, that one process on one core carried with a p99 within `limit_ms`.

    The p99 is from when the packet with a word's end was due to the arrival of its segment. `us_per_stream_second` is
    the server's CPU at that number; `mib_per_stream` its own memory, rings full. `others_cores`: what the rest of the
    machine used meanwhile. `measured`: when, ISO 8601.
    """

    streams: int
    us_per_stream_second: float
    mib_per_stream: float
    limit_ms: float
    p99_ms: float
    others_cores: float
    processor: str
    cores: int
    measured: str


def processor() -> str:
    """The CPU's model as the kernel names it; the architecture where it does not."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def read_capacity(data_dir: Path) -> Capacity | None:
    """The figure kept in the data directory; None without one of this machine."""
    try:
        found = msgspec.json.decode((data_dir / FILE).read_bytes(), type=Capacity)
    except (OSError, msgspec.MsgspecError):
        return None
    same = (found.processor, found.cores) == (processor(), os.cpu_count()) and found.streams > 0
    return found if same else None


def write_capacity(data_dir: Path, capacity: Capacity) -> None:
    """Keep it, in place of an older one. Raises OSError."""
    data_dir.mkdir(parents=True, exist_ok=True)
    new = data_dir / f"{FILE}.new"
    new.write_bytes(msgspec.json.format(msgspec.json.encode(capacity)) + b"\n")
    new.replace(data_dir / FILE)
