"""Options that several commands share, and what they mean."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.console import Console

from engine.cli.status import USAGE, Failure
from engine.moments import micros

if TYPE_CHECKING:
    from engine.config import Config

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="TOML file. Default: $LISTEN_CONFIG, else none."),
]
DataDir = Annotated[
    Path | None, typer.Option("--data-dir", metavar="DIR", help="Where the data is. [$LISTEN_DATA_DIR]")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
AudioFile = Annotated[Path, typer.Argument(metavar="FILE", help="A WAV file, any rate, mono or stereo.")]
Codec = Annotated[
    str, typer.Option(help="pcm8, pcm16, aac, opus, opus_fs320, lc3 or lc3_fs1030.", metavar="NAME")
]
Language = Annotated[str, typer.Option(help="Language tag as en or pt-BR; multi to detect.", metavar="TAG")]


def wide() -> Console:
    """A console for tables: as wide as the terminal, and where there is none, wide enough not to cut."""
    console = Console()
    return console if console.is_terminal else Console(width=240)


def print_json(value: object) -> None:
    """What `--json` prints: indented, on stdout."""
    typer.echo(msgspec.json.format(msgspec.json.encode(value)).decode())


def given_time(option: str, text: str | None) -> int | None:
    """Microseconds since 1970 of what an option says; a time without an offset is UTC. Raises `Failure`."""
    if text is None:
        return None
    try:
        return micros(datetime.fromisoformat(text))
    except ValueError:
        wanted = "a date or time as 2026-11-01 or 2026-11-01T09:00"
        raise Failure(f"{option} {text!r} is not a time: give {wanted}", status=USAGE) from None


def load(config: Path | None, **overrides: object) -> Config:
    """The configuration with flags on top. Raises ConfigError."""
    from engine.config import load_config

    return load_config(config, overrides=overrides)
