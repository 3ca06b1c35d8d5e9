"""An environment of its own for every test of the command, and a way to run it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from engine.cli.app import run

AUDIO = Path(__file__).parents[1] / "audio"


class Outcome(msgspec.Struct, frozen=True):
    """What a command left behind."""

    status: int
    out: str
    err: str


Listen = Callable[..., Outcome]


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, data_dir: Path) -> pytest.MonkeyPatch:
    """Nothing of the machine's settings; a data directory that is thrown away; 200 columns, no colours."""
    for name in os.environ:
        if name.startswith(("LISTEN_", "STT_", "OPENAI_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("LISTEN_DATA_DIR", str(data_dir))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")
    return monkeypatch


@pytest.fixture
def listen(capsys: pytest.CaptureFixture[str]) -> Listen:
    """Run `listen` with these arguments in this process."""

    def command(*arguments: str | Path) -> Outcome:
        status = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(status, captured.out, captured.err)

    return command
