"""`listen webhook list | deliveries | replay | test`: what a user's endpoints are told."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from engine.cli import options
from engine.cli.status import USAGE, Failure
from engine.cli.token import shown_date, with_store
from engine.webhooks.triggers import TRIGGERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine._config_webhooks import Webhook
    from engine.store import Store
    from engine.store.webhook_records import DeliveryRow
    from engine.webhooks.client import Answer
    from engine.webhooks.replaying import Replayed
    from engine.webhooks.triggers import Trigger

Uid = Annotated[str, typer.Argument(metavar="USER", help="The user's id.")]

REPLAY_LIMIT = 100_000
PAGE = 1000

app = typer.Typer(
    no_args_is_help=True, help="Webhooks of users: state, log, sending again.", rich_markup_mode="rich"
)


@app.command("list")
def list_(
    uid: Uid,
    config: options.ConfigFile = None,
    data_dir: options.DataDir = None,
    as_json: options.Json = False,
) -> None:
    """A user's endpoints and how they are doing; never their URLs' queries.

    \b
    Examples:
      listen webhook list ada
    """
    rows = with_store(config, data_dir, lambda store: store.webhooks.list(uid))
    if as_json:
        options.print_json([_without_query(row.url) | _plain(row) for row in rows])
        return
    table = Table("endpoint", "trigger", "to", "state", "delivered", "dead", "dropped", "lost", box=None)
    for row in rows:
        state = (
            "on"
            if row.enabled and row.disabled_at is None
            else f"off: {row.disabled_reason or 'by its owner'}"
        )
        counts = (str(count) for count in (row.delivered, row.dead, row.dropped, row.lost))
        table.add_row(row.name, row.trigger, _without_query(row.url)["url"], state, *counts)
    options.wide().print(table)


@app.command()
def deliveries(
    uid: Uid,
    state: Annotated[
        str | None, typer.Option(help="pending, delivered, dead, dropped or lost.", metavar="STATE")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=PAGE, help="At most so many, newest first.")] = 50,
    config: options.ConfigFile = None,
    data_dir: options.DataDir = None,
    as_json: options.Json = False,
) -> None:
    """What a user's endpoints were told, newest first, and how that went.

    \b
    Examples:
      listen webhook deliveries ada
      listen webhook deliveries ada --state dead --json
    """
    from engine.store.deliveries import DeliveryFilter

    chosen = DeliveryFilter(states=() if state is None else (_state(state),))
    rows = with_store(config, data_dir, lambda store: store.deliveries.list(uid, chosen, limit=limit))
    if as_json:
        options.print_json([_plain(row) for row in rows])
        return
    table = Table("id", "trigger", "made", "state", "attempts", "answer", "reason", "next", box=None)
    for row in rows:
        table.add_row(*_shown(row))
    options.wide().print(table)


@app.command()
def replay(
    uid: Uid,
    id: Annotated[str | None, typer.Option("--id", metavar="ID", help="This one alone.")] = None,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="What failed of all made since then (ISO 8601; UTC).")
    ] = None,
    config: options.ConfigFile = None,
    data_dir: options.DataDir = None,
) -> None:
    """Send deliveries again that are dead or were dropped; a running server does it within half a minute.

    \b
    Examples:
      listen webhook replay ada --id msg_4f0c…
      listen webhook replay ada --since 2026-11-01
    """
    start = options.given_time("--since", since)
    if id is not None and start is None:
        if not with_store(config, data_dir, lambda store: _replay_one(store, uid, id)):
            raise Failure(f"there is no delivery {id!r} of {uid!r} that has ended and may be sent again")
        typer.echo("1 to be sent again.")
    elif start is not None and id is None:
        replayed = with_store(config, data_dir, lambda store: _replay_since(store, uid, start))
        left = f" {replayed.gone} more cannot be: their audio is not kept any more." if replayed.gone else ""
        typer.echo(f"{replayed.count} to be sent again.{left}")
    else:
        raise Failure("give either --id or --since", status=USAGE)


@app.command("test")
def try_(
    url: Annotated[str, typer.Argument(metavar="URL", help="Where to.")],
    trigger: Annotated[
        str, typer.Option(metavar="TRIGGER", help=f"As which of {', '.join(TRIGGERS)}.")
    ] = "memory_created",
    user: Annotated[
        str | None, typer.Option(metavar="USER", help="Sign with this user's secret; else with a new one.")
    ] = None,
    config: options.ConfigFile = None,
    data_dir: options.DataDir = None,
) -> None:
    """Send something made up to an address as a webhook is sent, signed, and show what it answers.

    \b
    Examples:
      listen webhook test https://example.com/hook
      listen webhook test https://example.com/audio --trigger audio_bytes --user ada
    """
    from engine.webhooks.client import NoAnswer
    from engine.webhooks.signing import new_secret

    if trigger not in TRIGGERS:
        accepted = ", ".join(TRIGGERS)
        raise Failure(f"--trigger {trigger!r} is not accepted: use one of {accepted}", status=USAGE)
    secrets: Sequence[str] = [new_secret()]
    if user is not None:
        rows = with_store(config, data_dir, lambda store: store.webhooks.secrets(user, secrets[0]))
        secrets = [row.secret for row in rows]
    try:
        answer = _send(options.load(config).webhook, url, trigger, user or "test", secrets)
    except NoAnswer as error:
        raise Failure(str(error)) from None
    if user is None:
        typer.echo(f"signed with {secrets[0]}")
    typer.echo(f"{answer.status}, {len(answer.body)} bytes{' and more' if answer.cut else ''}")
    if not 200 <= answer.status < 300:
        raise Failure(f"answered {answer.status}: only 2xx is a success")


def _send(settings: Webhook, url: str, trigger: Trigger, uid: str, secrets: Sequence[str]) -> Answer:
    import trio

    from engine.store.database import wall_clock
    from engine.webhooks.addresses import check_url
    from engine.webhooks.client import WebhookClient
    from engine.webhooks.trial import trial

    if wrong := check_url(url):
        raise Failure(f"URL {url!r} is not accepted: {wrong}", status=USAGE)
    client = WebhookClient(settings, trio.to_thread.run_sync)
    request = trial(url, trigger, uid, secrets, wall_clock())

    async def sent() -> Answer:
        async with client.open():
            return await client.send("POST", request.url, body=request.body, headers=request.headers)

    return trio.run(sent)


async def _replay_one(store: Store, uid: str, id: str) -> int:
    row = await store.deliveries.get(uid, id)
    if row is None or (row.file is not None and await _gone(store, [row.file])):
        return 0
    return await store.deliveries.replay(uid, id)


async def _replay_since(store: Store, uid: str, start: int) -> Replayed:
    from engine.store.deliveries import DeliveryFilter
    from engine.webhooks.replaying import replay_since

    chosen = DeliveryFilter(since=start, states=("dead", "dropped"))
    return await replay_since(store.deliveries, partial(_gone, store), uid, chosen, REPLAY_LIMIT)


async def _gone(store: Store, lines: Sequence[str]) -> set[str]:
    import trio

    from engine.store.webhook_spool import FOLDER
    from engine.webhooks.spool import audio_gone

    return await trio.to_thread.run_sync(audio_gone, store.data_dir / FOLDER, lines)


def _shown(row: DeliveryRow) -> list[str]:
    answer = "" if row.milliseconds is None else f"{row.status or 'none'}, {row.milliseconds} ms"
    following = "" if row.due_at is None else shown_date(row.due_at)
    fields = [row.id, row.trigger, shown_date(row.created_at), row.state, str(row.attempts)]
    return [*fields, answer, row.reason or "", following]


def _state(text: str) -> str:
    accepted = ("pending", "delivered", "dead", "dropped", "lost")
    if text not in accepted:
        raise Failure(f"--state {text!r} is not accepted: use one of {', '.join(accepted)}", status=USAGE)
    return text


def _without_query(url: str) -> dict[str, str]:
    """Queries hold tokens."""
    return {"url": url.partition("?")[0]}


def _plain(row: object) -> dict[str, object]:
    import msgspec

    found: dict[str, object] = msgspec.to_builtins(row)
    for name in ("uid", "url", "body", "owner", "claimed_until", "sequence"):
        found.pop(name, None)
    return found
