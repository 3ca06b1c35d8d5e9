"""`listen profile enroll | show | delete`: users' voices."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from rich.table import Table

from engine.cli import options
from engine.cli.status import Failure
from engine.cli.token import shown_date, with_store

if TYPE_CHECKING:
    from engine.conversation.voices import Voices
    from engine.store import Store

T = TypeVar("T")
Uid = Annotated[str, typer.Option("--uid", metavar="USER", help="Whose voice it is.")]

app = typer.Typer(no_args_is_help=True, help="Enrol, show and forget users' voices.", rich_markup_mode="rich")


def _with_voices(config: Path | None, data_dir: Path | None, use: Callable[[Voices], Awaitable[T]]) -> T:
    loaded = options.load(config, data_dir=data_dir)
    import trio

    from engine.conversation.voices import Voices
    from engine.speaker.encoding import Encoding
    from engine.store.database import wall_clock

    async def opened(store: Store) -> T:
        voices = Voices(
            kept=store.voices,
            blobs=store.profile_blobs,
            encoding=Encoding(),
            settings=loaded.speaker,
            off_loop=trio.to_thread.run_sync,
            now=wall_clock,
            vendors=loaded.stt.service_models,
        )
        return await use(voices)

    return with_store(config, data_dir, opened)


@app.command()
def enroll(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A WAV file of 5 to 120 s of one person.")],
    uid: Uid,
    add: Annotated[bool, typer.Option("--add", help="Beside what there is, not in its place.")] = False,
    config: options.ConfigFile = None,
    data_dir: options.DataDir = None,
) -> None:
    """Enrol a user's voice from a recording of them alone.

    \b
    Examples:
      listen profile enroll ada.wav --uid ada
      listen profile enroll further.wav --uid ada --add
    """
    from engine.audio.wav import WavError
    from engine.speaker.profile import BadProfile

    if not uid.strip():
        raise Failure("--uid is empty: give the user's id", status=2)
    try:
        recording = file.read_bytes()
    except OSError as error:
        raise Failure(f"{file}: {error.strerror or error}", status=2) from None
    try:
        row = _with_voices(
            config,
            data_dir,
            lambda voices: voices.extend(uid, recording) if add else voices.enrol(uid, recording),
        )
    except (BadProfile, WavError) as error:
        raise Failure(f"{file}: {error}", status=2) from None
    typer.echo(f"Enrolled {uid} with {row.seconds:.1f} s of speech.")


@app.command()
def show(
    uid: Uid,
    config: options.ConfigFile = None,
    data_dir: options.DataDir = None,
    as_json: options.Json = False,
) -> None:
    """What is kept of a user's voice; never the voice itself.

    \b
    Examples:
      listen profile show --uid ada --json
    """
    rows = _with_voices(config, data_dir, lambda voices: voices.recordings(uid))
    if as_json:
        shown = [{"id": row.id, "seconds": row.seconds, "created_at": row.created_at} for row in rows]
        options.print_json(shown)
        return
    if not rows:
        typer.echo(f"{uid} has not enrolled.")
        return
    table = Table("id", "speech", "made", box=None, pad_edge=False)
    for row in rows:
        table.add_row(row.id, f"{row.seconds:.1f} s", shown_date(row.created_at))
    options.wide().print(table)


@app.command()
def delete(uid: Uid, config: options.ConfigFile = None, data_dir: options.DataDir = None) -> None:
    """Forget a user's voice: their recordings and what was made of them.

    \b
    Examples:
      listen profile delete --uid ada
    """
    count = _with_voices(config, data_dir, lambda voices: voices.forget(uid))
    typer.echo(f"Forgot {count} recordings of {uid}.")
