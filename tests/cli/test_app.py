"""The command as a whole: help, versions, exit statuses, errors."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio
import typer
from rich.console import Console

from engine.cli.app import app
from engine.cli.status import FAILED, INTERRUPTED, UNREACHABLE, USAGE, Failure, report
from engine.client import ConnectFailed, ListenClosed
from engine.config import ConfigError, Problem
from tests.cli.conftest import Listen
from tests.ports import kept_port


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name)


ALL = list(commands(typer.main.get_command(app)))


def test_all_commands_are_there() -> None:
    assert set(ALL) == {
        ("serve",),
        ("stream",),
        ("transcribe",),
        ("load",),
        ("doctor",),
        ("usage",),
        ("bench", "parts"),
        ("bench", "endtoend"),
        ("config", "show"),
        ("config", "check"),
        ("config", "example"),
        ("token", "create"),
        ("token", "list"),
        ("token", "revoke"),
        ("app", "key", "create"),
        ("app", "key", "list"),
        ("app", "key", "revoke"),
        ("app", "enable"),
        ("app", "disable"),
        ("app", "list"),
        ("app", "remove"),
        ("profile", "enroll"),
        ("profile", "show"),
        ("profile", "delete"),
        ("user", "show"),
        ("user", "export"),
        ("user", "unlock"),
        ("user", "delete"),
        ("webhook", "list"),
        ("webhook", "deliveries"),
        ("webhook", "replay"),
        ("webhook", "test"),
    }


@pytest.mark.parametrize("command", ALL, ids=" ".join)
def test_the_help_of_every_command_has_examples_of_that_command(
    listen: Listen, command: tuple[str, ...]
) -> None:
    outcome = listen(*command, "--help")
    assert outcome.status == 0
    examples = outcome.out.split("Examples:")[1].split("╭")[0]
    assert f"listen {' '.join(command)}" in examples


def test_the_exit_statuses_are_documented(listen: Listen) -> None:
    text = " ".join(listen("--help").out.split())
    assert "0 done, 1 failed, 2 wrong usage or configuration, 3 the server cannot be reached" in text


def test_no_command_shows_the_help_and_is_wrong_usage(listen: Listen) -> None:
    outcome = listen()
    assert outcome.status == USAGE
    assert "Usage: listen" in outcome.out + outcome.err


def test_a_mistyped_command_is_answered_with_the_nearest(listen: Listen) -> None:
    outcome = listen("srve")
    assert outcome.status == USAGE
    assert "Did you mean 'serve'" in outcome.err


def test_the_version_is_the_packages(listen: Listen) -> None:
    outcome = listen("--version")
    assert outcome.status == 0
    assert outcome.out.startswith("listen-engine ")


def test_help_does_not_wait_for_models_databases_or_web_servers() -> None:
    heavy = "numba ctranslate2 sqlalchemy hypercorn quart trio_websocket httpx2 av numpy"
    script = f"import sys, engine.cli; print([name for name in {heavy.split()} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Failure("no"), FAILED),
        (Failure("no", USAGE), USAGE),
        (ConfigError([Problem("port", "'x'", "must be a number", "flag --port")]), USAGE),
        (ConnectFailed("no"), UNREACHABLE),
        (ListenClosed(1006, ""), FAILED),
        (FileNotFoundError(2, "No such file or directory"), FAILED),
        (KeyboardInterrupt(), INTERRUPTED),
        (ExceptionGroup("", [ExceptionGroup("", [Failure("no")])]), FAILED),
        (BaseExceptionGroup("", [KeyboardInterrupt(), Failure("no")]), INTERRUPTED),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else str(value),
)
def test_each_foreseen_error_has_its_exit_status(error: BaseException, status: int) -> None:
    assert report(error, Console(quiet=True)) == status


@pytest.mark.parametrize(
    "error", [ZeroDivisionError(), ExceptionGroup("", [Failure("no"), ZeroDivisionError()])]
)
def test_a_bug_is_not_passed_off_as_a_mistake_of_the_user(error: Exception) -> None:
    assert report(error, Console(quiet=True)) is None


def test_square_brackets_in_a_message_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    report(Failure("[bold]section[/]"), Console(stderr=True))
    assert capsys.readouterr().err == "error: [bold]section[/]\n"


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    script = "from engine.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", script, "config", "example"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == FAILED


async def test_a_port_nobody_listens_on_is_status_3_and_says_how_to_start_a_server(
    listen: Listen, tmp_path: Path
) -> None:
    recording = Path(__file__).parents[1] / "audio" / "beckett.wav"
    with kept_port() as port:
        arguments = ("stream", recording, "--url", f"ws://127.0.0.1:{port}")
        outcome = await trio.to_thread.run_sync(listen, *arguments)
    assert outcome.status == UNREACHABLE
    assert "cannot be reached: Connection refused" in outcome.err
    assert "`listen serve` starts one" in outcome.err
