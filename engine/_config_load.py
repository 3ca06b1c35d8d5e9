"""Reads a tree of msgspec Structs from a TOML file, the environment and flags; reports every mistake at once.

Operations: `keys` lists the leaves of a tree with their documentation; `gather` collects values and says
where each came from; `build` makes the tree. Nothing here knows which keys exist: that is `engine.config`.

A leaf is an annotated field of a Struct; a field whose type is itself a Struct is a section, one level deep.
Bounds and the one-line meaning are the field's `msgspec.Meta`; `extra={"secret": True}` keeps a value out of
everything that is printed.
"""

from __future__ import annotations

import difflib
import math
import re
import tomllib
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

Tree = TypeVar("Tree", bound=msgspec.Struct)

# Names beginning with LISTEN_ that are no keys: ours for builds and clients, and what systemd sets
# for socket activation.
OTHER_ENVIRONMENT = frozenset(
    {"LISTEN_CONFIG", "LISTEN_URL", "LISTEN_TOKEN", "LISTEN_UID", "LISTEN_WERROR", "LISTEN_SANITIZE"}
    | {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID"}
)


class Problem(msgspec.Struct, frozen=True):
    """One thing wrong with a configuration: the key, its value, where that came from, what would be right."""

    key: str
    value: str
    accepted: str
    source: str
    nearest: str | None = None

    def __str__(self) -> str:
        text = f"{self.key} = {self.value} ({self.source}): {self.accepted}"
        return f"{text}; did you mean {self.nearest}?" if self.nearest else text


class ConfigError(ValueError):
    """A configuration that cannot be used. `problems` holds each mistake; the message has a line for each."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in problems))


class Key(msgspec.Struct, frozen=True):
    """One leaf: its dotted name, environment name, full type, default, bounds and meaning."""

    name: str
    environment: str
    type: Any
    default: object
    doc: str
    bounds: msgspec.Meta | None
    secret: bool

    @property
    def section(self) -> str:
        """The part of the name before the dot; empty at the top."""
        return self.name.rpartition(".")[0]

    @property
    def choices(self) -> tuple[str, ...]:
        """The only values accepted (or the only items, for a list); empty when there is no such list."""
        return _choices(self.type)

    def accepted(self) -> str:
        """What may be given, in words, as in `a number above 0 and at most 300`."""
        return _accepted(self.type, self.bounds)


class Gathered(msgspec.Struct, frozen=True):
    """Values that were given (defaults are not in it), where each came from, and what was wrong."""

    values: dict[str, object]
    sources: dict[str, str]
    problems: list[Problem]


def keys(tree: type[msgspec.Struct], prefix: str = "") -> dict[str, Key]:
    """Every leaf of the tree by dotted name, in the order of the source."""
    found: dict[str, Key] = {}
    hints = typing.get_type_hints(tree, include_extras=True)
    for field in msgspec.structs.fields(tree):
        name = prefix + field.name
        bare, meta = _split(hints[field.name])
        if _is_section(bare):
            found |= keys(bare, name + ".")
            continue
        default = field.default
        if field.default_factory is not msgspec.NODEFAULT:
            default = field.default_factory()
        found[name] = Key(
            name=name,
            environment="LISTEN_" + name.replace(".", "_").upper(),
            type=bare,
            default=default,
            doc=(meta.description or "") if meta else "",
            bounds=meta,
            secret=bool(meta and (meta.extra or {}).get("secret")),
        )
    return found


def gather(
    tree: type[msgspec.Struct],
    *,
    path: Path | None,
    environ: Mapping[str, str],
    overrides: Mapping[str, object],
    aliases: Mapping[str, str] = types.MappingProxyType({}),
) -> Gathered:
    """Collect what file, environment and flags give, later ones winning; mistakes are collected, not raised.

    `aliases` maps further environment names to keys. `overrides` maps dotted names to values; None means
    not given.
    """
    known = keys(tree)
    gathered = Gathered({}, {}, [])
    if path is not None:
        _from_file(path, known, gathered)
    _from_environment(environ, known, aliases, gathered)
    for name, value in overrides.items():
        if value is not None:
            flag = "--" + name.replace(".", "-").replace("_", "-")
            _take(known, name, value, f"flag {flag}", gathered, loose=True)
    return gathered


def build(tree: type[Tree], values: Mapping[str, object]) -> Tree:
    """Make the tree; keys that `values` lacks keep their defaults."""
    given: dict[str, object] = {}
    for field in msgspec.structs.fields(tree):
        bare, _ = _split(typing.get_type_hints(tree, include_extras=True)[field.name])
        if _is_section(bare):
            start = field.name + "."
            given[field.name] = build(
                bare, {k[len(start) :]: v for k, v in values.items() if k.startswith(start)}
            )
        elif field.name in values:
            given[field.name] = values[field.name]
    return tree(**given)


def nearest(word: str, among: Iterable[str]) -> str | None:
    """The most similar of the accepted words, or None when nothing is close."""
    close = difflib.get_close_matches(word, list(among), n=1, cutoff=0.6)
    return close[0] if close else None


def _from_file(path: Path, known: Mapping[str, Key], gathered: Gathered) -> None:
    try:
        text = path.read_bytes().decode("utf-8")
        document = tomllib.loads(text)
    except OSError as error:
        reason = error.strerror or str(error)
        gathered.problems.append(
            Problem("config", str(path), f"must be a file that can be read: {reason}", "file")
        )
        return
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        gathered.problems.append(Problem("config", str(path), f"must be TOML in UTF-8: {error}", "file"))
        return
    sections = {key.section for key in known.values()}
    for name, value in document.items():
        if isinstance(value, dict) and name in sections:
            for inner, leaf in value.items():
                _take(known, f"{name}.{inner}", leaf, f"file {path}", gathered)
        elif name in sections:
            accepted = f"is a section: write [{name}] and its keys below it"
            gathered.problems.append(Problem(name, _shown(value), accepted, f"file {path}"))
        elif isinstance(value, dict) and name not in known:
            close = nearest(name, sections)
            names = ", ".join(f"[{section}]" for section in sorted(sections - {""}))
            problem = Problem(f"[{name}]", "{…}", f"is no section; there are {names}", f"file {path}", close)
            gathered.problems.append(problem)
        else:
            _take(known, name, value, f"file {path}", gathered)


def _from_environment(
    environ: Mapping[str, str], known: Mapping[str, Key], aliases: Mapping[str, str], gathered: Gathered
) -> None:
    by_name = {**aliases, **{key.environment: key.name for key in known.values()}}
    for variable, name in by_name.items():
        if variable in environ:
            _take(known, name, environ[variable], f"environment {variable}", gathered, loose=True)
    for variable, value in environ.items():
        if variable.startswith("LISTEN_") and variable not in by_name and variable not in OTHER_ENVIRONMENT:
            accepted = "is no variable of this program; `listen config example` lists them all"
            shown = _shown_unknown(variable, value)
            close = nearest(variable, by_name)
            gathered.problems.append(
                Problem(variable, shown, accepted + _kubernetes(value), "environment", close)
            )


def _take(
    known: Mapping[str, Key],
    name: str,
    value: object,
    source: str,
    gathered: Gathered,
    *,
    loose: bool = False,
) -> None:
    key = known.get(name)
    if key is None:
        section, _, leaf = name.rpartition(".")
        here = {k.name.rpartition(".")[2]: k.name for k in known.values() if k.section == section}
        close = nearest(leaf, here)
        match = here[close] if close else nearest(name, known)
        where = f"[{section}]" if section else "the top level"
        accepted = f"is no key; {where} has {', '.join(here)}"
        gathered.problems.append(Problem(name, _shown_unknown(name, value), accepted, source, match))
        return
    try:
        gathered.values[name] = _convert(key, value, loose)
        gathered.sources[name] = source
    except (ValueError, TypeError):
        shown = "(secret)" if key.secret else _shown(value)
        accepted = f"must be {key.accepted()}{_kubernetes(value)}"
        gathered.problems.append(Problem(name, shown, accepted, source, _near_choice(key, value)))


def _convert(key: Key, value: object, loose: bool) -> object:
    """The value in the key's type, or ValueError. `loose` also reads it from text, a list from commas."""
    bare = key.type
    if loose and isinstance(value, str):
        if typing.get_origin(bare) is tuple:
            value = [part.strip() for part in value.split(",") if part.strip()]
        elif bare in (int, float):
            value = value.strip()
    if bare is Path:
        if not isinstance(value, str | Path) or not str(value):
            raise ValueError("not a path")
        return Path(value).expanduser()
    full = typing.Annotated[bare, key.bounds] if key.bounds is not None else bare
    converted: object = msgspec.convert(value, full, strict=not loose)
    if isinstance(converted, float) and not math.isfinite(converted):
        raise ValueError("not a finite number")
    return converted


def _near_choice(key: Key, value: object) -> str | None:
    wanted = value.split(",") if isinstance(value, str) else value if isinstance(value, list | tuple) else []
    wrong = [str(word).strip() for word in wanted if str(word).strip() not in key.choices]
    return nearest(wrong[0].lower(), key.choices) if wrong and key.choices else None


def _split(hint: Any) -> tuple[Any, msgspec.Meta | None]:
    """Take `Annotated[T, Meta(...)]` apart."""
    if typing.get_origin(hint) is typing.Annotated:
        bare, *rest = typing.get_args(hint)
        return bare, next((item for item in rest if isinstance(item, msgspec.Meta)), None)
    return hint, None


def _is_section(bare: Any) -> bool:
    return isinstance(bare, type) and issubclass(bare, msgspec.Struct)


def _choices(bare: Any) -> tuple[str, ...]:
    if typing.get_origin(bare) is tuple:
        return _choices(typing.get_args(bare)[0])
    if typing.get_origin(bare) is Literal:
        return tuple(str(word) for word in typing.get_args(bare))
    return ()


def _accepted(bare: Any, bounds: msgspec.Meta | None) -> str:
    if typing.get_origin(bare) is tuple:
        item = typing.get_args(bare)[0]
        choices = _choices(item)
        length = f" of at least {bounds.min_length}" if bounds and bounds.min_length else " of any number"
        plain = "numbers" if item is float else "texts"
        return f"a list{length} of " + (f"these: {', '.join(choices)}" if choices else plain)
    if typing.get_origin(bare) is Literal:
        return f"one of {', '.join(_choices(bare))}"
    kind = {int: "a whole number", float: "a number", bool: "true or false", Path: "a path"}.get(
        bare, "a text"
    )
    if bounds is None:
        return kind
    limits = []
    for sign, limit in (
        ("above", bounds.gt),
        ("at least", bounds.ge),
        ("below", bounds.lt),
        ("at most", bounds.le),
    ):
        if limit is not None:
            limits.append(f"{sign} {limit:g}" if isinstance(limit, float) else f"{sign} {limit}")
    if bounds.min_length:
        limits.append("that is not empty")
    return " ".join([kind, " and ".join(limits)]).strip()


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "…"


def _shown_unknown(name: str, value: object) -> str:
    # A key under a mistyped name must not land in a log.
    return "(hidden)" if re.search("token|secret|key|passw", name, re.IGNORECASE) else _shown(value)


def _kubernetes(value: object) -> str:
    """A hint where Kubernetes made the variable from a service's name, as in LISTEN_PORT=tcp://10.0.0.1:80."""
    if isinstance(value, str) and value.startswith("tcp://"):
        return " (Kubernetes sets it for a service named listen; enableServiceLinks: false stops that)"
    return ""
