"""`listen token create | list | revoke`: keys for the socket and REST."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from rich.table import Table

from engine.cli import options
from engine.cli.status import Failure
from engine.moments import instant, micros

if TYPE_CHECKING:
    from engine.store import Store, TokenRow

T = TypeVar("T")

app = typer.Typer(no_args_is_help=True, help="Make, list and revoke keys.", rich_markup_mode="rich")


def with_store(config: Path | None, data_dir: Path | None, use: Callable[[Store], Awaitable[T]]) -> T:
    """Run `use` with the store that the configuration names. A server may be running on it."""
    loaded = options.load(config, data_dir=data_dir)
    import trio

    from engine.store import Store

    async def opened() -> T:
        store = await Store.open(
            loaded.data_dir,
            trio.to_thread.run_sync,
            url=loaded.database_url,
            busy_timeout=loaded.store.busy_timeout,
            blobs=loaded.blobs,
        )
        try:
            return await use(store)
        finally:
            await store.close()

    return trio.run(opened)


@app.command()
def create(
    uid: Annotated[str, typer.Option(metavar="USER", help="Whose key it is.")],
    label: Annotated[str, typer.Option(help="To recognise it by in `token list`.")] = "",
    expires_days: Annotated[
        float | None, typer.Option(metavar="DAYS", min=0.0, help="Default: it does not expire.")
    ] = None,
    scope: Annotated[
        list[str] | None,
        typer.Option(metavar="SCOPE", help="As memories:read; again for more. Default: all, of every route."),
    ] = None,
    config: options.ConfigFile = None,
    data_dir: options.DataDir = None,
) -> None:
    """Make a key and print it. It is kept hashed: this is the only time it can be read.

    A key with scopes is good for the Developer API (/v1/dev) alone. There are conversations, memories, action_items
    and goals, each with :read and :write.

    \b
    Examples:
      listen token create --uid ada --label phone
      listen token create --uid ada --scope memories:read --scope memories:write
      listen token create --uid ada --expires-days 30
      LISTEN_TOKEN=$(listen token create --uid ada) listen stream speech.wav
    """
    expires_at = None
    if expires_days is not None:
        expires_at = micros(datetime.now(UTC) + timedelta(days=expires_days))
    if not uid.strip():
        raise Failure("--uid is empty: give the user's id", status=2)
    try:
        key = with_store(
            config, data_dir, lambda store: store.tokens.create(uid, label, expires_at, scope or None)
        )
    except ValueError as error:
        raise Failure(str(error), status=2) from None
    typer.echo(key)


@app.command("list")
def list_(
    uid: Annotated[str | None, typer.Option(metavar="USER", help="Only this user's.")] = None,
    config: options.ConfigFile = None,
    data_dir: options.DataDir = None,
    as_json: options.Json = False,
) -> None:
    """List keys by id, never the keys themselves.

    \b
    Examples:
      listen token list
      listen token list --uid ada --json
    """
    rows = with_store(config, data_dir, lambda store: store.tokens.list(uid))
    if as_json:
        options.print_json(rows)
        return
    table = Table("id", "user", "label", "scopes", "created", "last used", "state", box=None, pad_edge=False)
    for row in rows:
        scopes = "all" if row.scopes is None else ", ".join(row.scopes)
        times = shown_date(row.created_at), shown_date(row.last_used_at)
        table.add_row(row.id, row.uid, row.label, scopes, *times, _state(row))
    options.wide().print(table)


@app.command()
def revoke(
    id: Annotated[str, typer.Argument(metavar="ID", help="As `token list` prints it.")],
    config: options.ConfigFile = None,
    data_dir: options.DataDir = None,
) -> None:
    """Make a key invalid for good.

    \b
    Examples:
      listen token revoke 3f9a0c41d2be
    """
    if not with_store(config, data_dir, lambda store: store.tokens.revoke(id)):
        raise Failure(f"there is no valid key with the id {id!r}; `listen token list` has them")
    typer.echo(f"Revoked {id}.")


def _state(row: TokenRow) -> str:
    if row.revoked_at is not None:
        return "revoked"
    if row.expires_at is None:
        return "valid"
    expired = row.expires_at <= micros(datetime.now(UTC))
    return f"{'expired' if expired else 'valid until'} {shown_date(row.expires_at)}"


def shown_date(time: int | None) -> str:
    """A time (µs since the epoch) as tables show it."""
    if time is None:
        return "never"
    return instant(time).strftime("%Y-%m-%d %H:%M")
