"""`listen user show | export | unlock | delete`: all that is kept of one user."""

from __future__ import annotations

import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from engine.cli import options
from engine.cli.status import Failure
from engine.cli.token import with_store

if TYPE_CHECKING:
    from engine.store import Store
    from engine.store.user_data import Erased

Uid = Annotated[str, typer.Argument(metavar="USER", help="The user's id.")]

app = typer.Typer(
    no_args_is_help=True, help="Show, export, unlock or delete all of one user.", rich_markup_mode="rich"
)


@app.command()
def show(
    uid: Uid,
    config: options.ConfigFile = None,
    data_dir: options.DataDir = None,
    as_json: options.Json = False,
) -> None:
    """How much is kept of a user, by kind.

    \b
    Examples:
      listen user show ada
      listen user show ada --json
    """
    counts = with_store(config, data_dir, lambda store: store.user_data.counts(uid))
    if as_json:
        options.print_json(counts)
        return
    if not counts:
        typer.echo(f"Nothing is kept of {uid!r}.")
        return
    table = Table("kept", "rows", box=None, pad_edge=False)
    for name, count in counts.items():
        table.add_row(name.replace("_", " "), str(count))
    options.wide().print(table)


@app.command()
def export(
    uid: Uid,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where to, readable by you alone. Default: standard output."),
    ] = None,
    config: options.ConfigFile = None,
    data_dir: options.DataDir = None,
) -> None:
    """All that is kept of a user as JSON: one list for each kind of thing, one row a line; photos are base64.

    \b
    Examples:
      listen user export ada --out ada.json
      listen user export ada | jq '.conversations[].structured.title'
    """
    with_store(config, data_dir, lambda store: _export(store, uid, out))
    if out is not None:
        typer.echo(f"Written to {out}.")


async def _export(store: Store, uid: str, out: Path | None) -> None:
    import os

    import trio

    if not await store.user_data.counts(uid):
        raise Failure(f"nothing is kept of {uid!r}")
    async with AsyncExitStack() as stack:
        if out is None:
            file = trio.wrap_file(sys.stdout.buffer)
        else:
            descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            file = await stack.enter_async_context(await trio.open_file(descriptor, "wb"))
        async for piece in store.user_data.export(uid):
            await file.write(piece)
        await file.flush()


@app.command()
def unlock(uid: Uid, config: options.ConfigFile = None, data_dir: options.DataDir = None) -> None:
    """Unlock the conversations that a user made while over the quota, and what was drawn from them.

    \b
    Examples:
      listen user unlock ada
    """
    count = with_store(config, data_dir, lambda store: store.locking.unlock(uid))
    typer.echo(f"Unlocked {count} conversation{'' if count == 1 else 's'} of {uid!r}.")


@app.command()
def delete(
    uid: Uid,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    config: options.ConfigFile = None,
    data_dir: options.DataDir = None,
) -> None:
    """Delete all that is kept of a user, for good: rows, keys, journals, files, and what deleted rows leave behind.

    A server may be running, unless the user has a session or a conversation that has not ended. SQLite's file is
    written anew for this, which takes as much room again and holds up other writers while it lasts.

    \b
    Examples:
      listen user delete ada
      listen user delete ada --yes
    """
    if not yes:
        typer.confirm(f"Delete all that is kept of {uid!r}, for good?", abort=True)
    erased = _erase(uid, config, data_dir)
    if not erased.rows + erased.journals + erased.blobs:
        typer.echo(f"Nothing was kept of {uid!r}.")
    else:
        kinds = f"{erased.rows} rows, {erased.journals} journals and {erased.blobs} files"
        typer.echo(f"Deleted {kinds} of {uid!r}.")
    if erased.unreadable:
        names = ", ".join(str(path) for path in erased.unreadable)
        raise Failure(f"damaged journals may hold something of theirs: look at {names} and remove them")


def _erase(uid: str, config: Path | None, data_dir: Path | None) -> Erased:
    from engine.server.machine import DataDirInUse, hold_data_dir

    def erase(serving: bool) -> Erased:
        return with_store(config, data_dir, lambda store: store.user_data.erase(uid, serving=serving))

    try:
        with hold_data_dir(options.load(config, data_dir=data_dir).data_dir):
            return erase(serving=False)
    except DataDirInUse:
        return erase(serving=True)
