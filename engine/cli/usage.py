"""`listen usage`."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from engine.cli import options
from engine.cli.token import with_store
from engine.moments import instant

if TYPE_CHECKING:
    from engine.store import UsageRow

_SUMS = ("audio_seconds", "speech_seconds", "words", "segments", "conversations", "sessions")


def usage(
    uid: Annotated[str | None, typer.Option(metavar="USER", help="Only this user's.")] = None,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="From this hour on, as 2026-11-01 or 2026-11-01T09:00.")
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="Up to, not including, this hour.")
    ] = None,
    config: options.ConfigFile = None,
    data_dir: options.DataDir = None,
    as_json: options.Json = False,
) -> None:
    """What each user used, by the hour: audio, speech, words, and seconds sent to each vendor. Times are UTC.

    \b
    Examples:
      listen usage
      listen usage --uid ada --since 2026-11-01
      listen usage --since 2026-11-01 --until 2026-12-01 --json
    """
    start, end = options.given_time("--since", since), options.given_time("--until", until)
    rows = with_store(config, data_dir, lambda store: store.usage.read(uid, start, end))
    if as_json:
        options.print_json(rows)
        return
    if not rows:
        typer.echo("Nothing was used in that time.")
        return
    options.wide().print(_table(rows))


def _table(rows: list[UsageRow]) -> Table:
    vendors = sorted({vendor for row in rows for vendor in row.vendor_seconds})
    table = Table(box=None, pad_edge=False, show_footer=len(rows) > 1)
    total: Counter[str] = Counter()
    for row in rows:
        total.update({name: getattr(row, name) for name in _SUMS})
        total.update(row.vendor_seconds)
    table.add_column("hour", footer="total")
    table.add_column("user")
    for name in _SUMS:
        table.add_column(name.replace("_seconds", " s"), justify="right", footer=_number(total[name]))
    for vendor in vendors:
        table.add_column(f"{vendor} s", justify="right", footer=_number(total[vendor]))
    for row in rows:
        hour = instant(row.hour).strftime("%Y-%m-%d %H:00")
        cells = [_number(getattr(row, name)) for name in _SUMS]
        table.add_row(hour, row.uid, *cells, *(_number(row.vendor_seconds.get(v, 0.0)) for v in vendors))
    return table


def _number(value: float) -> str:
    return f"{value:.1f}" if isinstance(value, float) else str(value)
