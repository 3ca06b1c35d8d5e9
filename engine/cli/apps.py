"""`listen app`: the apps that there are, their keys, and who lets them in."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from engine.cli import options
from engine.cli.status import USAGE, Failure
from engine.cli.token import shown_date, with_store

AppId = Annotated[str, typer.Argument(metavar="APP", help="The app's id.")]
Uid = Annotated[str, typer.Option(metavar="USER", help="Whose data it is.")]

app = typer.Typer(
    no_args_is_help=True, help="Apps, their keys, and who has enabled them.", rich_markup_mode="rich"
)
key = typer.Typer(no_args_is_help=True, help="Make, list and revoke keys of apps.", rich_markup_mode="rich")
app.add_typer(key, name="key")


@key.command()
def create(
    app_id: Annotated[
        str, typer.Option("--app", metavar="APP", help="Whose key: letters, digits, . _ and -.")
    ],
    owner: Annotated[str, typer.Option(metavar="USER", help="Who makes the app.")],
    label: Annotated[str, typer.Option(help="To recognise it by in `app key list`.")] = "",
    config: options.ConfigFile = None,
    data_dir: options.DataDir = None,
) -> None:
    """Make a key of an app and print it: this is the only time it can be read. The app is there from its first key on.

    \b
    Examples:
      listen app key create --app notes --owner ada
    """
    try:
        made = with_store(config, data_dir, lambda store: store.apps.create_key(app_id, owner.strip(), label))
    except ValueError as error:
        raise Failure(str(error), status=USAGE) from None
    typer.echo(made)


@key.command("list")
def list_(
    app_id: Annotated[str | None, typer.Option("--app", metavar="APP", help="Only this app's.")] = None,
    config: options.ConfigFile = None,
    data_dir: options.DataDir = None,
    as_json: options.Json = False,
) -> None:
    """List keys of apps by id, never the keys themselves.

    \b
    Examples:
      listen app key list --app notes
    """
    rows = with_store(config, data_dir, lambda store: store.apps.list_keys(app_id))
    if as_json:
        options.print_json(rows)
        return
    table = Table("id", "app", "owner", "label", "created", "last used", "state", box=None, pad_edge=False)
    for row in rows:
        state = "valid" if row.revoked_at is None else "revoked"
        times = shown_date(row.created_at), shown_date(row.last_used_at)
        table.add_row(row.id, row.app_id, row.uid, row.label, *times, state)
    options.wide().print(table)


@key.command()
def revoke(
    id: Annotated[str, typer.Argument(metavar="ID", help="As `app key list` prints it.")],
    config: options.ConfigFile = None,
    data_dir: options.DataDir = None,
) -> None:
    """Make a key of an app invalid for good.

    \b
    Examples:
      listen app key revoke 3f9a0c41d2be
    """
    if not with_store(config, data_dir, lambda store: store.apps.revoke_key(id)):
        raise Failure(f"there is no valid key with the id {id!r}; `listen app key list` has them")
    typer.echo(f"Revoked {id}.")


@app.command("list")
def list_apps(
    uid: Annotated[
        str | None, typer.Option(metavar="USER", help="Only those that have this user's data.")
    ] = None,
    config: options.ConfigFile = None,
    data_dir: options.DataDir = None,
    as_json: options.Json = False,
) -> None:
    """List the apps that users have registered, without their secrets.

    \b
    Examples:
      listen app list
      listen app list --uid ada
    """
    if uid is None:
        rows = with_store(config, data_dir, lambda store: store.app_registry.all())
    else:
        rows = with_store(config, data_dir, lambda store: store.app_registry.enabled(uid))
    if as_json:
        import msgspec

        shown = [
            {name: value for name, value in msgspec.structs.asdict(row).items() if "secret" not in name}
            for row in rows
        ]
        options.print_json(shown)
        return
    table = Table("id", "name", "owner", "seen by", "can", "registered", box=None, pad_edge=False)
    for row in rows:
        seen = "its owner" if row.private else "all"
        can = ", ".join(row.capabilities)
        table.add_row(row.id, row.name, row.uid, seen, can, shown_date(row.created_at))
    options.wide().print(table)


@app.command()
def remove(app_id: AppId, config: options.ConfigFile = None, data_dir: options.DataDir = None) -> None:
    """Remove an app that a user has registered, with its keys, its reviews, and whoever let it in.

    \b
    Examples:
      listen app remove 0b6c1f0e7f5d4f6e9a2e8f0f5d3c2b1a
    """
    if not with_store(config, data_dir, lambda store: store.app_registry.drop(app_id)):
        raise Failure(f"no app {app_id!r} is registered; `listen app list` has those that are")
    typer.echo(f"Removed {app_id}.")


@app.command()
def enable(
    app_id: AppId, uid: Uid, config: options.ConfigFile = None, data_dir: options.DataDir = None
) -> None:
    """Let an app have a user's data, whether or not it is set up.

    \b
    Examples:
      listen app enable notes --uid ada
    """
    if not with_store(config, data_dir, lambda store: store.apps.exists(app_id, uid)):
        raise Failure(
            f"there is no app {app_id!r} for {uid}: `listen app list` has those that are registered"
        )
    with_store(config, data_dir, lambda store: store.apps.enable(uid, app_id))
    typer.echo(f"{app_id} has the data of {uid}.")


@app.command()
def disable(
    app_id: AppId, uid: Uid, config: options.ConfigFile = None, data_dir: options.DataDir = None
) -> None:
    """Let an app have a user's data no more.

    \b
    Examples:
      listen app disable notes --uid ada
    """
    if not with_store(config, data_dir, lambda store: store.apps.disable(uid, app_id)):
        raise Failure(f"{uid!r} has not enabled {app_id!r}")
    typer.echo(f"{app_id} has the data of {uid} no more.")
