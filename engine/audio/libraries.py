"""libopus and liblc3, found and opened at run time: the system's library, else the one inside a wheel.

Nothing is opened until a codec that needs it is asked for. A library stays open for the life of the process.
Linking to them instead would need their headers, and would take the system's libopus even where the wheel's
was meant: the wheel's file does not carry the library's own name.
"""

import importlib.metadata
import importlib.util
import re
import threading
from collections.abc import Sequence
from pathlib import Path

import msgspec

from engine._native import ffi, lib

__all__ = ["LibraryInfo", "LibraryMissing", "library_versions", "open_library"]

_LOCK = threading.Lock()


class LibraryMissing(RuntimeError):
    """A codec was asked for whose library is not on this machine; says where it was looked for."""


class LibraryInfo(msgspec.Struct, frozen=True):
    """A codec library: the file that serves and its version, or why there is none."""

    name: str
    path: str | None = None
    version: str | None = None
    error: str | None = None


class _Library(msgspec.Struct, frozen=True):
    """Where to look: names for the system's loader, then a file inside a wheel's package."""

    number: int
    system: tuple[str, ...]
    package: str
    wheel: str
    file: str
    advice: str

    def candidates(self) -> list[str]:
        """What to hand to dlopen, best first."""
        spec = importlib.util.find_spec(self.package)  # of a top-level name: imports nothing
        if spec is None or spec.origin is None:
            return [*self.system]
        return [*self.system, str(Path(spec.origin).parent / self.file)]


_LIBRARIES = {
    "opus": _Library(
        number=lib.LIBRARY_OPUS,
        system=("libopus.so.0",),
        package="opuslib_next",
        wheel="opuslib-next-bundled",
        file="_native/libopus.so",
        advice="install libopus0 or the package opuslib-next-bundled",
    ),
    "lc3": _Library(
        number=lib.LIBRARY_LC3,
        system=("liblc3.so.1", "liblc3.so.0"),
        package="lc3",
        wheel="lc3py",
        file=".lc3py.mesonpy.libs/liblc3.so.1",
        advice="install liblc3 or, on x86-64 Linux, the package lc3py",
    ),
}


def open_library(name: str) -> None:
    """Have library `name` ("opus" or "lc3") open. Raises `LibraryMissing`."""
    library = _LIBRARIES[name]
    with _LOCK:
        open_first(name, library.number, library.candidates(), library.advice)


def open_first(name: str, number: int, candidates: Sequence[str], advice: str) -> None:
    """Open the first of `candidates` that serves; raises `LibraryMissing` with what each of them said."""
    reason = ffi.new("char[]", 512)
    reasons = []
    for candidate in candidates:
        if lib.library_open(number, candidate.encode(), reason, len(reason)) == 0:
            return
        reasons.append(ffi.string(reason).decode(errors="replace"))
    raise LibraryMissing(f"no usable lib{name} ({advice}): " + "; ".join(reasons))


def library_versions() -> dict[str, LibraryInfo]:
    """Which file serves each library and its version, for diagnosis. Opens them; raises nothing."""
    return {name: _describe(name, library) for name, library in _LIBRARIES.items()}


def _describe(name: str, library: _Library) -> LibraryInfo:
    try:
        open_library(name)
    except LibraryMissing as error:
        return LibraryInfo(name, error=str(error))
    path = ffi.string(lib.library_path(library.number)).decode()
    if path == library.candidates()[-1]:
        return LibraryInfo(name, path, f"{library.wheel} {importlib.metadata.version(library.wheel)}")
    if name == "opus":
        return LibraryInfo(name, path, ffi.string(lib.library_opus_version()).decode())
    number = re.search(r"\.so\.([0-9.]+)$", str(Path(path).resolve()))  # liblc3 cannot say its version
    return LibraryInfo(name, path, number[1] if number else None)
