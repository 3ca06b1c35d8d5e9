"""`listen config show | check | example`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from engine.cli import options

if TYPE_CHECKING:
    from engine.config import Config, Key

app = typer.Typer(no_args_is_help=True, help="Look at the configuration.", rich_markup_mode="rich")


@app.command()
def show(config: options.ConfigFile = None, as_json: options.Json = False) -> None:
    """Print every value in effect and where it came from: default, file, environment or flag.

    \b
    Examples:
      listen config show
      LISTEN_PORT=9000 listen config show
      listen config show --config listen.toml --json
    """
    from engine.config import config_keys, resolve

    resolved = resolve(config)
    keys = config_keys()
    values = {name: _value(resolved.config, key) for name, key in keys.items()}
    if as_json:
        rows = {name: {"value": values[name], "source": resolved.sources[name]} for name in keys}
        typer.echo(json.dumps(rows, indent=2))
        return
    table = Table("key", "value", "source", box=None, pad_edge=False)
    for name, value in values.items():
        given = not resolved.sources[name].startswith("default")
        table.add_row(name, _toml(value), resolved.sources[name], style="bold" if given else "")
    options.wide().print(table)


@app.command()
def check(
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="As --config.")] = None,
    config: options.ConfigFile = None,
) -> None:
    """Read the configuration as `serve` would, and say everything that is wrong with it.

    \b
    Examples:
      listen config check listen.toml
      LISTEN_HOST=0.0.0.0 LISTEN_AUTH=dev listen config check
    """
    from engine.config import resolve

    path = file or config
    resolved = resolve(path)
    given = [name for name, source in resolved.sources.items() if not source.startswith("default")]
    source = path or os.environ.get("LISTEN_CONFIG")
    where = f"{source} and the environment" if source else "the environment (there is no file)"
    typer.echo(f"The configuration is right: {len(given)} values given by {where}.")


@app.command()
def example() -> None:
    """Print a TOML file with every key, its default, its bounds and its meaning.

    \b
    Examples:
      listen config example > listen.toml
      listen serve --config listen.toml
    """
    typer.echo("\n".join(_example()))


def _example() -> Iterator[str]:
    from engine.config import Config, config_keys

    yield "# Configuration of `listen serve`. Uncomment what should differ; times are in seconds."
    yield "# Every key is also an environment variable, which wins over the file, and flags win over both."
    section = ""
    for key in config_keys().values():
        if key.section != section:
            section = key.section
            yield ""
            yield f"[{section}]"
            yield f"# {_first_line(Config, section)}"
        yield ""
        yield f"# {key.doc}"
        yield f"# {key.accepted().capitalize()}. Environment: {key.environment}"
        yield f"#{key.name.rpartition('.')[2]} = {_toml(_plain(key.default))}"


def _first_line(tree: type[Config], section: str) -> str:
    import typing

    doc = typing.get_type_hints(tree)[section].__doc__ or ""
    return str(doc.splitlines()[0])


def _value(config: Config, key: Key) -> object:
    found: object = config
    for part in key.name.split("."):
        found = getattr(found, part)
    return "(secret)" if key.secret and found else _plain(found)


def _plain(value: object) -> object:
    return str(value) if isinstance(value, Path) else list(value) if isinstance(value, tuple) else value


def _toml(value: object) -> str:
    """A TOML literal: JSON's strings, numbers, booleans and arrays of strings are TOML's, too."""
    return json.dumps(value, ensure_ascii=False)
