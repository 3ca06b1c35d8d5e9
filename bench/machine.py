"""What a report was measured on, so that somebody else can tell what to make of its figures."""

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

from engine.audio.libraries import library_versions
from engine.capacity import processor

__all__ = ["machine"]

PACKAGES = (
    *("listen-engine", "trio", "quart-trio", "hypercorn", "trio-websocket", "numba", "numpy"),
    *("uvicorn", "uvloop", "httptools", "fastapi", "websockets", "soxr"),
)


def machine() -> list[str]:
    """Lines of Markdown: processor, cores, memory, kernel, Python, packages, libraries, and the load now."""
    load = ", ".join(f"{part:.2f}" for part in os.getloadavg())
    return [
        f"- {processor()}, {len(os.sched_getaffinity(0))} cores, {_memory_gib():.1f} GiB",
        f"- {platform.system()} {platform.release()}, {platform.machine()}",
        f"- {platform.python_implementation()} {platform.python_version()}, {platform.python_compiler()}",
        f"- {', '.join(_packages())}",
        f"- {', '.join(f'{name} {info.version}' for name, info in library_versions().items())}",
        f"- commit {_commit()}; load averages at the start: {load}",
    ]


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def _packages() -> list[str]:
    found = []
    for name in PACKAGES:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            found.append(f"no {name}")
    return found


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty", "--abbrev=10"]
    done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"
