"""Options that several commands share, and what they mean."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

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


def load(config: Path | None, **overrides: object) -> Config:
    """The configuration with flags on top. Raises ConfigError."""
    from engine.config import load_config

    return load_config(config, overrides=overrides)
