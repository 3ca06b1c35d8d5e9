"""Processes that are measured: they are there, and gone again."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from engine.cli import load_process
from engine.cli.load_figures import usage_of
from engine.cli.load_process import own_server, process
from engine.cli.status import Failure

PRINTS = "import os, sys; print(sys.argv[1], os.environ.get('LISTEN_PORT', ''), flush=True); sys.stdin.read()"


def program(line: str) -> list[str]:
    return [sys.executable, "-c", PRINTS, line]


@pytest.mark.parametrize("line", ["4321", "Listening on http://127.0.0.1:4321 (dev)"])
def test_the_port_is_a_number_or_an_address(line: str) -> None:
    with process("one", program(line)) as running:
        assert running.url == "ws://127.0.0.1:4321"
        assert usage_of(running.pid).pss_kib > 0
    with pytest.raises(Failure):
        usage_of(running.pid)


def test_a_program_that_ends_at_once_is_a_failure() -> None:
    ends = process("it", [sys.executable, "-c", "raise SystemExit(3)"])
    with pytest.raises(Failure, match=r"it ended before it took connections \(status 3\)"), ends:
        pass


def test_a_program_that_never_says_its_port_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_process, "READY", 0.2)
    with (
        pytest.raises(Failure, match=r"it took no connections within 0\.2 s"),
        process("it", program("soon")),
    ):
        pass


def test_a_line_is_answered_with_a_line() -> None:
    answers = "print(1, flush=True)\nimport sys\nfor _ in sys.stdin: print('yes', flush=True)"
    with process("it", [sys.executable, "-c", answers]) as running:
        assert running.ask() == b"yes\n"
        assert running.ask() == b"yes\n"
    ends = process("it", [sys.executable, "-c", "print(1, flush=True); import os; os.read(0, 1)"])
    with ends as running, pytest.raises(Failure, match="it did not answer"):
        running.ask()


def test_settings_of_whoever_measures_are_not_the_servers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LISTEN_PORT", "77")
    with process("one", program("1")) as running:
        environ = Path(f"/proc/{running.pid}/environ").read_bytes()
    assert b"LISTEN_PORT" not in environ
    command, settings = own_server("ws://vendor:1", tmp_path, tmp_path, "on")
    assert command[-1] == "serve"
    assert settings["DEEPGRAM_URL"] == "ws://vendor:1/v1/listen"
    assert settings["LISTEN_DATA_DIR"] == str(tmp_path)
