"""`listen serve`, `stream`, `transcribe` and `doctor` as a newcomer runs them: real processes, the real model."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.cli.serve import _greeting
from engine.cli.status import FAILED, USAGE
from engine.config import Config
from tests.cli.conftest import AUDIO, Listen
from tests.patience import PATIENCE

ROOT = Path(__file__).parents[2]
ENTRY = "import sys; sys.argv[0] = 'listen'; from engine.cli import main; main()"
BECKETT = "ever tried ever failed no matter try again fail again fail better"


def words(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-c", ENTRY, *map(str, arguments)]


@contextmanager
def serving(*options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server in a process of its own; yields it and the line it printed when it was ready."""
    process = subprocess.Popen(
        command("serve", "--port", "0", *options),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline()
    finally:
        process.kill()
        process.wait()


def test_a_newcomer_types_the_command_that_serve_prints_and_reads_the_transcript(
    environment: pytest.MonkeyPatch,
) -> None:
    with serving() as (process, line):
        found = re.fullmatch(
            r"Listening on http://127\.0\.0\.1:(\d+) \(dev authentication\)\. "
            r"Next, in another terminal: listen (stream .+ --url ws://127\.0\.0\.1:\1)\n",
            line,
        )
        assert found is not None, line
        arguments = [*found[2].replace("FILE.wav", str(AUDIO / "beckett.wav")).split(), "--fast", "--json"]
        done = subprocess.run(command(*arguments), capture_output=True, text=True, check=True)
        assert words(json.loads(done.stdout.splitlines()[-1])["text"]) == words(BECKETT)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0


def test_transcribe_needs_no_server(listen: Listen) -> None:
    outcome = listen("transcribe", AUDIO / "beckett.wav", "--json", "--codec", "opus")
    assert outcome.status == 0
    segments = json.loads(outcome.out)
    assert words(" ".join(segment["text"] for segment in segments)) == words(BECKETT)
    assert segments[0]["stt_provider"] == "local"


def test_a_language_the_local_model_does_not_speak_is_named(listen: Listen) -> None:
    outcome = listen("transcribe", AUDIO / "beckett.wav", "--language", "de")
    assert outcome.status == USAGE
    assert "--language 'de': the model tiny.en does not speak it" in outcome.err
    assert "LISTEN_LOCAL_MODEL=base" in outcome.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ("--port", "99999"),
            "port = 99999 (flag --port): must be a whole number at least 0 and at most 65535",
        ),
        (("--host", "0.0.0.0", "--auth", "dev"), "host '0.0.0.0' is not a loopback address"),
        (("--log-format", "xml"), "must be one of auto, json, console"),
        (("--config", "/no/such.toml"), "config = /no/such.toml"),
    ],
)
def test_a_wrong_setting_is_named_before_anything_starts(
    listen: Listen, options: tuple[str, ...], message: str
) -> None:
    outcome = listen("serve", *options)
    assert outcome.status == USAGE
    assert message in outcome.err
    assert "Traceback" not in outcome.err


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(command("serve", "--port", port), capture_output=True, text=True, check=False)
    assert done.returncode == FAILED
    assert "Traceback" not in done.stderr
    assert port in done.stderr


def test_with_tokens_the_next_step_is_to_make_one(data_dir: Path) -> None:
    config = Config(host="0.0.0.0", auth="token", data_dir=data_dir)
    line = _greeting(config, "0.0.0.0", 8080)
    assert f"token create --uid you --data-dir {data_dir}" in line
    assert "http://[::1]:8080" in _greeting(Config(host="::1"), "::1", 8080)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--stt-stand-in", "whisper"), "'whisper': accepted are deepgram, soniox, speechmatics"),
        (("--stt-stand-in-script", "/no/such.json"), "/no/such.json: "),
        (("soniox",), "only --stt-stand-in takes the name of a vendor"),
    ],
)
def test_a_stand_in_that_cannot_be_had_is_named(
    listen: Listen, arguments: tuple[str, ...], message: str
) -> None:
    outcome = listen("serve", *arguments)
    assert outcome.status == USAGE
    assert message in outcome.err
