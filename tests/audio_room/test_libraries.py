"""How libopus and liblc3 are found."""

import subprocess
import sys
from pathlib import Path

import pytest

from engine._native import lib
from engine.audio.libraries import LibraryMissing, library_versions, open_first


def test_both_libraries_serve_and_say_which_file_they_are() -> None:
    libraries = library_versions()
    assert set(libraries) == {"opus", "lc3"}
    for info in libraries.values():
        assert info.error is None
        assert info.version
        assert info.path is not None
        assert Path(info.path).is_file()


def in_a_new_process(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def test_nothing_is_opened_before_a_codec_asks_for_it() -> None:
    code = """
import sys
from engine._native import ffi, lib
from engine.audio.codecs import create_decoder
paths = lambda: [lib.library_path(n) == ffi.NULL for n in (lib.LIBRARY_OPUS, lib.LIBRARY_LC3)]
create_decoder("pcm16", 16000)
print(paths())
create_decoder("opus", 16000)
print(paths(), sorted(m for m in ("av", "numba", "lc3", "opuslib_next") if m in sys.modules))
"""
    assert in_a_new_process(code).splitlines() == ["[True, True]", "[False, True] []"]


def test_a_missing_library_is_an_error_only_for_its_codec() -> None:
    code = """
import msgspec
import engine.audio.libraries as libraries
from engine.audio.codecs import create_decoder
known = libraries._LIBRARIES
known["opus"] = msgspec.structs.replace(known["opus"], system=("libnone.so.0",), package="no_such_package")
create_decoder("lc3", 16000)
try:
    create_decoder("opus", 16000)
except libraries.LibraryMissing as error:
    print(error)
print(libraries.library_versions()["opus"])
"""
    said, info = in_a_new_process(code).splitlines()
    assert said.startswith(
        "no usable libopus (install libopus0 or the package opuslib-next-bundled): libnone"
    )
    assert "path=None" in info
    assert "error='no usable libopus" in info


def test_a_library_without_the_functions_is_no_library() -> None:
    code = """
from engine._native import lib
from engine.audio.libraries import LibraryMissing, open_first
try:
    open_first("opus", lib.LIBRARY_OPUS, ["libm.so.6"], "advice")
except LibraryMissing as error:
    print(error)
"""
    assert in_a_new_process(code).strip().endswith("libm.so.6 has no function opus_get_version_string")


def test_what_is_open_stays_open() -> None:
    library_versions()
    open_first("opus", lib.LIBRARY_OPUS, ["/no/such/file"], "")
    with pytest.raises(LibraryMissing, match="no usable libnone"):
        open_first("none", lib.LIBRARY_OPUS, [], "nothing to try")
