"""Compiling the extension without setuptools, which newer Pythons do not bring along."""

import shlex
import shutil
import subprocess
import sysconfig
from collections.abc import Mapping
from pathlib import Path

from native import build

ROOT = Path(__file__).parents[2]
INCLUDES = ("-I", build.FOLDER, "-I", sysconfig.get_path("include"))


def compiler() -> list[str] | None:
    """The command of the C compiler Python was made with, or gcc; None when there is neither."""
    for command in (shlex.split(sysconfig.get_config_var("CC") or ""), ["gcc"]):
        if command and shutil.which(command[0]):
            return command
    return None


def compile_extension(command: list[str], environ: Mapping[str, str], into: Path) -> Path:
    """Build `engine._native` with the flags that `environ` asks for; returns the shared object.

    Python's own flags come first, as in a real build. Raises `subprocess.CalledProcessError`.
    """
    generated = into / "_native.c"
    build.create_ffi().emit_c_code(str(generated))
    target = into / "_native.abi3.so"
    own = shlex.split(sysconfig.get_config_var("CFLAGS") or "")
    sources = [str(generated), *(str(Path(build.FOLDER) / name) for name in build.SOURCES)]
    arguments = [*own, "-fPIC", "-shared", *INCLUDES, *build.compile_arguments(environ), *sources]
    link = ["-o", str(target), "-ldl", "-lm", *build.link_arguments(environ)]
    subprocess.run([*command, *arguments, *link], check=True, cwd=ROOT, capture_output=True, text=True)
    return target
