"""`listen serve`."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli import options
from engine.cli.status import USAGE, Failure

if TYPE_CHECKING:
    from engine.config import Config
    from engine.server import Bound


def serve(
    vendor: Annotated[str | None, typer.Argument(hidden=True, metavar="[VENDOR]")] = None,
    host: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Address to bind. [$LISTEN_HOST]")
    ] = None,
    port: Annotated[
        int | None, typer.Option(metavar="PORT", help="0 takes a free one. [$LISTEN_PORT]")
    ] = None,
    data_dir: options.DataDir = None,
    auth: Annotated[
        str | None,
        typer.Option(metavar="dev|token", help="Default: dev on loopback, token elsewhere. \\[$LISTEN_AUTH]"),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(metavar="N", help="Processes that share the port. Default: 1. [$LISTEN_WORKERS]"),
    ] = None,
    config: options.ConfigFile = None,
    drain_timeout: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="From SIGTERM to the end, at most.")
    ] = None,
    log_format: Annotated[str | None, typer.Option(metavar="auto|json|console")] = None,
    log_level: Annotated[str | None, typer.Option(metavar="debug|info|warning|error")] = None,
    stand_in: Annotated[
        bool,
        typer.Option(
            "--stt-stand-in",
            help="For demos and load tests: a vendor of our own on loopback, deepgram unless another is named"
            " (soniox, speechmatics). It says words that count.",
        ),
    ] = False,
    stand_in_script: Annotated[
        Path | None,
        typer.Option(
            "--stt-stand-in-script",
            metavar="FILE",
            help="It says these words: a JSON list of text, start, end (seconds), speaker.",
        ),
    ] = None,
) -> None:
    """Run the server until SIGTERM or Ctrl-C, which let live sessions finish.

    It needs no key and no account: speech is transcribed on this machine. Logs go to standard error.

    \b
    Examples:
      listen serve
      listen serve --port 9000 --data-dir ./data
      listen serve --host 0.0.0.0                   with keys from `listen token create`
      listen serve --config listen.toml --log-format json
      listen serve --workers 4                      one for each core
      listen serve --stt-stand-in soniox            to see words without a key or a model
    """
    loaded = options.load(
        config,
        host=host,
        port=port,
        data_dir=data_dir,
        auth=auth,
        workers=workers,
        drain_timeout=drain_timeout,
        log_format=log_format,
        log_level=log_level,
    )
    import trio

    from engine.log import configure_logging

    configure_logging(loaded.log_format, loaded.log_level)
    if stand_in or stand_in_script is not None:
        trio.run(_serve_with_stand_in, loaded, vendor or "deepgram", stand_in_script)
    elif vendor is not None:
        raise Failure(f"{vendor!r}: only --stt-stand-in takes the name of a vendor", status=USAGE)
    else:
        trio.run(_serve, loaded)


async def _serve(config: Config) -> None:
    from engine.server import serve as run_server
    from engine.server import supervise

    run = run_server if config.workers == 1 else supervise
    await run(config, task_status=_Announcement(config))


async def _serve_with_stand_in(config: Config, name: str, script: Path | None) -> None:
    from engine.testing import serving

    if name not in serving.STAND_INS:
        accepted = ", ".join(serving.STAND_INS)
        raise Failure(f"--stt-stand-in {name!r}: accepted are {accepted}", status=USAGE)
    try:
        words = serving.read_script(script)
    except ValueError as error:
        raise Failure(f"--stt-stand-in-script {error}", status=USAGE) from None
    async with serving.stand_in(name, words, config) as pointed:
        await _serve(pointed)


class _Announcement:
    """Prints that the server is ready. (A nursery's `start` would raise where it is stopped before.)"""

    def __init__(self, config: Config) -> None:
        self._config = config

    def started(self, bound: Bound | None = None) -> None:
        """Called once, by the server."""
        if bound is not None:
            print(_greeting(self._config, bound.host, bound.port), flush=True)


def _greeting(config: Config, host: str, port: int) -> str:
    """The one line an operator waits for: where the server is, and what to type next."""
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    command = _command()
    if config.auth == "token":
        step = f"{command} token create --uid you"
        if config.data_dir:
            step += f" --data-dir {shlex.quote(str(config.data_dir))}"
    else:
        recording = Path("tests/audio/beckett.wav")
        step = f"{command} stream {recording if recording.exists() else 'FILE.wav'}"
        if (host, port) != ("127.0.0.1", 8080):
            step += f" --url ws{url.removeprefix('http')}"
    return f"Listening on {url} ({config.auth} authentication). Next, in another terminal: {step}"


def _command() -> str:
    """How this program can be started again from here: `listen`, or its path when that is another one."""
    here = Path(sys.argv[0])
    found = shutil.which("listen")
    if here.name != "listen" or not here.exists() or (found and Path(found).samefile(here)):
        return "listen"
    return shlex.quote(os.path.relpath(here))
