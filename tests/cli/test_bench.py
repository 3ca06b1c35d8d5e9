"""`listen bench`: what it starts, and what it says where it cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.cli import bench
from engine.cli.status import FAILED
from tests.cli.conftest import Listen

MAIN = "import sys, pathlib; pathlib.Path('ran').write_text(' '.join(sys.argv[1:])); sys.exit({status})"


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A source tree whose benchmarks write down what they were asked."""
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench" / "__init__.py").touch()
    (tmp_path / "bench" / "__main__.py").write_text(MAIN.format(status=0))
    monkeypatch.setattr(bench, "ROOT", tmp_path)
    monkeypatch.setattr(bench, "PEERS", ("msgspec",))
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        ((), "stages decode ring resample"),
        (("parts", "gate"), "gate"),
        (
            ("endtoend", "--streams", "7", "--rounds", "1"),
            "endtoend --streams 7 --seconds 5 --rounds 1 --largest 1000",
        ),
    ],
)
def test_the_benchmarks_are_run_in_the_source_tree(
    listen: Listen, tree: Path, arguments: tuple[str, ...], asked: str
) -> None:
    assert listen("bench", *arguments).status == 0
    assert (tree / "ran").read_text() == asked


def test_the_status_of_the_benchmarks_is_the_commands(listen: Listen, tree: Path) -> None:
    (tree / "bench" / "__main__.py").write_text(MAIN.format(status=1))
    assert listen("bench").status == FAILED


def test_without_the_folder_one_sentence_says_what_is_missing(
    listen: Listen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "ROOT", tmp_path)
    outcome = listen("bench")
    assert outcome.status == FAILED
    assert "the benchmarks are not installed: they are the folder bench/ of the source tree" in outcome.err


def test_a_peer_that_is_not_installed_is_named_with_what_installs_it(
    listen: Listen, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "PEERS", ("msgspec", "nobody_has_this"))
    outcome = listen("bench")
    assert outcome.status == FAILED
    assert "nobody_has_this, with which is compared" in outcome.err
    assert "pip install -e '.[local,dev,bench]'" in outcome.err
