"""The Typer application and `main`, which turns errors into sentences and exit statuses."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console

from engine.cli import (
    apps,
    bench,
    config,
    doctor,
    load,
    profile,
    serve,
    status,
    stream,
    token,
    transcribe,
    usage,
    user,
    webhook,
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"listen-engine {version('listen-engine')}")
        raise typer.Exit


app = typer.Typer(
    name="listen",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=status.TABLE,
)


@app.callback()
def listen(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """A low-latency listen engine: audio in, speaker-labelled transcript out while people are talking.

    \b
    Examples:
      listen serve                    run a server on 127.0.0.1:8080
      listen stream speech.wav        send it a recording
      listen transcribe speech.wav    the same without a server
      listen doctor                   what would go wrong here
    """


app.command("serve")(serve.serve)
app.command("stream")(stream.stream)
app.command("transcribe")(transcribe.transcribe)
app.command("load")(load.load)
app.command("doctor")(doctor.doctor)
app.command("usage")(usage.usage)
app.add_typer(bench.app, name="bench")
app.add_typer(config.app, name="config")
app.add_typer(token.app, name="token")
app.add_typer(apps.app, name="app")
app.add_typer(profile.app, name="profile")
app.add_typer(user.app, name="user")
app.add_typer(webhook.app, name="webhook")


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status. Errors nobody foresaw come out as they are."""
    try:
        app(None if arguments is None else list(arguments), prog_name="listen")
    except SystemExit as exit_:
        return exit_.code if isinstance(exit_.code, int) else int(exit_.code is not None)
    except BrokenPipeError:
        return status.broken_pipe()
    except BaseException as error:
        code = status.report(error, Console(stderr=True))
        if code is None:
            raise
        return code
    return status.OK


def main() -> None:
    """Entry point of the command `listen`."""
    sys.exit(run())
