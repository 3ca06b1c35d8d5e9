"""`listen doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from engine.cli import options
from engine.cli.status import FAILED

_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def doctor(
    config: options.ConfigFile = None,
    data_dir: options.DataDir = None,
    capacity: Annotated[
        bool,
        typer.Option("--capacity", help="Also measure how many streams a core carries: a minute or two."),
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Look at this machine and say what would go wrong in serving, and what to do about it.

    Each line is ok, warn (it works, with a loss that is named) or fail. Exit status 1 when one fails.
    What --capacity finds is kept in the data directory and is the limit of sessions where none is configured.
    It is the engine's: a model on this machine needs CPU beside it.

    \b
    Examples:
      listen doctor
      listen doctor --config listen.toml
      listen doctor --capacity
      listen doctor --json | jq '.[] | select(.status != "ok")'
    """
    from engine.doctor import examine

    if capacity:
        _measure(config, data_dir)
    checks = examine(config, overrides={"data_dir": data_dir})
    if as_json:
        options.print_json(checks)
    else:
        table = Table(box=None, show_header=False, pad_edge=False)
        for check in checks:
            detail = Text(check.detail)
            if check.advice:
                detail.append(f"\n-> {check.advice}", style=_STYLES[check.status])
            table.add_row(Text(check.status, _STYLES[check.status]), check.name, detail)
        options.wide().print(table)
    if any(check.status == "fail" for check in checks):
        raise typer.Exit(FAILED)


def _measure(config: Path | None, data_dir: Path | None) -> None:
    """Put load on a server of its own and keep the figure. Raises Failure."""
    from engine.capacity import write_capacity
    from engine.cli.capacity_run import measure_capacity

    loaded = options.load(config, data_dir=data_dir)
    with Console(stderr=True).status("starting a server of its own") as progress:
        capacity = measure_capacity(loaded, progress.update)
    write_capacity(loaded.data_dir, capacity)
