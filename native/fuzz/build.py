"""Compiling the fuzzing targets with the sanitizers."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

__all__ = ["TARGETS", "compile_target"]

FOLDER = Path(__file__).parent
PRODUCT = FOLDER.parent / "src"
TARGETS = {
    "frames": ("frame.c",),
    "codecs": ("codec.c", "pcm.c", "opus.c", "lc3.c", "resampled.c", "ring.c", "libraries.c"),
}
"""The targets, and what of the product each of them is linked with."""

FLAGS = ("-std=gnu11", "-O1", "-g", "-fno-omit-frame-pointer", "-Wall", "-Wextra", "-Werror")


def compile_target(
    target: str, compiler: Sequence[str], into: Path, *, coverage: bool, product: Path = PRODUCT
) -> Path:
    """The program that fuzzes `target`: with libFuzzer if `coverage` (clang has it), else with drive.c.

    `product`: where native/src is, or a changed copy of it. Raises `subprocess.CalledProcessError`.
    """
    program = into / target
    sanitizers = "-fsanitize=address,undefined" + (",fuzzer" if coverage else "")
    own = [f"{target}.c", "records.c", *([] if coverage else ["drive.c"])]
    sources = [*(FOLDER / name for name in own), *(product / name for name in TARGETS[target])]
    flags = [*FLAGS, sanitizers, "-fno-sanitize-recover=undefined", "-I", str(product)]
    command = [*compiler, *flags, "-o", str(program), *map(str, sources), "-ldl", "-lm"]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return program
