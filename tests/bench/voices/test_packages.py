"""Tests of what is made of packages, and of what is said where they cannot be had."""

import hashlib
from pathlib import Path

import pytest
from msgspec.structs import replace

from bench.voices import packages as module
from bench.voices.packages import PACKAGES, Package, Unavailable, fetched, unpack

PACKAGE = PACKAGES[0]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FOLDER", tmp_path / "voices")


def test_a_package_that_is_there_is_not_fetched_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    there = module.FOLDER / f"{PACKAGE.name}_{PACKAGE.sha256[:12]}"
    there.mkdir(parents=True)
    assert fetched(PACKAGE) == there


def test_without_the_tools_it_says_so_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    assert fetched(PACKAGE) is None
    said = capsys.readouterr().out
    assert said == f"Without the voices of {PACKAGE.name}: there is no apt-get on this machine.\n"
    assert list(module.FOLDER.iterdir()) == []


def test_what_a_tool_says_is_passed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    put(tmp_path / "apt-get", "echo 'E: Unable to locate package' >&2; exit 100")
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert fetched(PACKAGE) is None
    assert "apt-get says: E: Unable to locate package" in capsys.readouterr().out


def test_a_package_with_another_checksum_is_not_unpacked(tmp_path: Path) -> None:
    (tmp_path / "a.deb").write_bytes(b"anything")
    with pytest.raises(Unavailable, match="expected 38c52618"):
        unpack(tmp_path / "a.deb", PACKAGE, tmp_path / "files")
    assert not (tmp_path / "files").exists()


def test_a_package_is_fetched_in_its_version_checked_and_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "apt-get", 'printf contents > "$(echo "${@: -1}" | tr = _)_all.deb"')
    put(tmp_path / "dpkg-deb", 'mkdir -p "$3/usr" && cp "$2" "$3/usr/said.wav"')
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    package: Package = replace(PACKAGE, sha256=hashlib.sha256(b"contents").hexdigest())
    folder = fetched(package)
    assert folder is not None
    assert (folder / "usr/said.wav").read_bytes() == b"contents"
    assert [one.name for one in module.FOLDER.iterdir()] == [folder.name]


def put(file: Path, script: str) -> None:
    """A command of this name."""
    file.write_text(f"#!/bin/bash\n{script}\n")
    file.chmod(0o755)
