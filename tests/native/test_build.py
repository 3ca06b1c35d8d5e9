"""What the C must pass before it is built, and how the build listens to its environment."""

import subprocess
from pathlib import Path

import pytest

from engine._native import lib
from native import build
from tests.native.compiling import INCLUDES, ROOT, compiler


@pytest.fixture(name="command")
def _command() -> list[str]:
    command = compiler()
    if command is None:
        pytest.skip("no C compiler on the PATH")
    return command


@pytest.mark.parametrize("level", ["-O0", "-O3"])  # some warnings come only with one of them
@pytest.mark.parametrize("source", build.SOURCES)
def test_no_source_gives_a_warning(command: list[str], source: str, level: str, tmp_path: Path) -> None:
    arguments = ["-std=gnu11", level, *build.WARNINGS, *INCLUDES, "-c", f"{build.FOLDER}/{source}"]
    output = ["-o", str(tmp_path / "out.o")]
    result = subprocess.run([*command, *arguments, *output], cwd=ROOT, capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("header", build.HEADERS)
def test_a_header_needs_no_other_before_it(command: list[str], header: str, tmp_path: Path) -> None:
    source = tmp_path / "alone.c"
    source.write_text(f'#include "{header}"\n')
    arguments = ["-std=gnu11", *build.WARNINGS, *INCLUDES, "-fsyntax-only", str(source)]
    result = subprocess.run([*command, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")


def test_every_file_of_native_is_built() -> None:
    files = {path.name for path in (ROOT / build.FOLDER).iterdir()}
    assert files == {*build.SOURCES, *build.HEADERS}


def test_warnings_are_errors_only_when_asked_for() -> None:
    assert "-Werror" not in build.compile_arguments({})
    assert {"-Wall", "-Wextra", "-Werror"} <= set(build.compile_arguments({"LISTEN_WERROR": "1"}))


def test_a_sanitizer_build_undoes_what_pythons_flags_hide() -> None:
    environ = {"LISTEN_SANITIZE": "address,undefined"}
    arguments = build.compile_arguments(environ)
    assert {"-fno-wrapv", "-UNDEBUG", "-fsanitize=address,undefined"} <= set(arguments)
    assert "-fno-sanitize-recover=undefined" in arguments
    assert "-fsanitize=address,undefined" in build.link_arguments(environ)
    assert build.link_arguments({}) == []


def test_the_typed_stub_names_everything_the_extension_has() -> None:
    stub = (ROOT / "engine" / "_native.pyi").read_text()
    named = {name for name in dir(lib) if f" {name}(" in stub or f" {name}:" in stub}
    assert set(dir(lib)) - named <= {"GATE_HISTORY", "GATE_LONGEST_HOP"}  # for the C alone
