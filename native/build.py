"""Builds `engine._native`, the one extension: ring, codecs, energy gate, WebSocket frames, lane, the voice
encoder's layers.

What Python sees is declared once, in the headers, between the lines `cffi: begin` and `cffi: end`.

    LISTEN_WERROR=1            warnings are errors (what `make check` sets)
    LISTEN_SANITIZE=a,b        gcc sanitizers, for instance `address,undefined`
"""

import os
import re
from collections.abc import Mapping

from cffi import FFI

HEADERS = (
    *("ring.h", "libraries.h", "codec.h", "gate.h", "frame.h", "lane.h", "lane_vendor.h", "lane_slot.h"),
    "lstm.h",
)
SOURCES = (
    *("ring.c", "libraries.c", "codec.c", "pcm.c", "opus.c", "lc3.c", "resampled.c", "gate.c"),
    *("frame.c", "lane.c", "lane_input.c", "lane_output.c", "lane_vendor.c", "lane_gather.c", "lstm.c"),
)
FOLDER = os.path.join("native", "src")  # relative to the root: setuptools refuses absolute source paths
WARNINGS = ("-Wall", "-Wextra", "-Werror")


def declarations(folder: str = FOLDER) -> str:
    """Everything between the `cffi` marks of all headers, in order."""
    parts = []
    for name in HEADERS:
        with open(os.path.join(folder, name), encoding="utf-8") as header:
            parts += re.findall(r"/\* cffi: begin \*/(.*?)/\* cffi: end \*/", header.read(), re.DOTALL)
    return "\n".join(parts)


def compile_arguments(environ: Mapping[str, str]) -> list[str]:
    """Flags for the compiler, placed behind those of Python itself."""
    arguments = ["-std=gnu11", "-O3"]
    if environ.get("LISTEN_WERROR") == "1":
        arguments += WARNINGS
    if environ.get("LISTEN_SANITIZE"):
        # Python's own flags define signed overflow (-fwrapv) and remove assertions (-DNDEBUG): undo both.
        arguments += ["-O1", "-g", "-fno-wrapv", "-UNDEBUG", "-fno-omit-frame-pointer", *_sanitize(environ)]
    return arguments


def link_arguments(environ: Mapping[str, str]) -> list[str]:
    """Flags for the linker."""
    return _sanitize(environ)


def _sanitize(environ: Mapping[str, str]) -> list[str]:
    kinds = environ.get("LISTEN_SANITIZE", "")
    if not kinds:
        return []
    fatal = ["-fno-sanitize-recover=undefined"] if "undefined" in kinds.split(",") else []
    return [f"-fsanitize={kinds}", *fatal]


def create_ffi() -> FFI:
    """The builder that setuptools is given; reads the headers below the current folder."""
    builder = FFI()
    builder.cdef(declarations())
    builder.set_source(
        "engine._native",
        "".join(f'#include "{name}"\n' for name in HEADERS),
        sources=[os.path.join(FOLDER, name) for name in SOURCES],
        include_dirs=[FOLDER],
        depends=[os.path.join(FOLDER, name) for name in HEADERS],
        extra_compile_args=compile_arguments(os.environ),
        extra_link_args=link_arguments(os.environ),
        libraries=["dl", "m"],
    )
    return builder


ffi = create_ffi
