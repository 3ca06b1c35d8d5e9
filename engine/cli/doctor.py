"""`listen doctor`."""

from __future__ import annotations

import typer
from rich.table import Table
from rich.text import Text

from engine.cli import options
from engine.cli.status import FAILED

_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def doctor(
    config: options.ConfigFile = None, data_dir: options.DataDir = None, as_json: options.Json = False
) -> None:
    """Look at this machine and say what would go wrong in serving, and what to do about it.

    Each line is ok, warn (it works, with a loss that is named) or fail. Exit status 1 when one fails.

    \b
    Examples:
      listen doctor
      listen doctor --config listen.toml
      listen doctor --json | jq '.[] | select(.status != "ok")'
    """
    from engine.doctor import examine

    checks = examine(config, overrides={"data_dir": data_dir})
    if as_json:
        import msgspec

        typer.echo(msgspec.json.format(msgspec.json.encode(checks)).decode())
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
