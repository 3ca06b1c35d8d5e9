"""What a REST request gives, as msgspec structs. A mistake is a 422 naming the parameter, its value and what is
accepted; a body that is no JSON a 400.

What no database keeps is refused here, wherever it stands: text with a zero character (PostgreSQL), a whole number of
more than 64 bits, a number that is none. JSON is nested at most `DEPTH` deep.
"""

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import inspect
from quart import Request
from werkzeug.datastructures import MultiDict

from engine.web.errors import ApiError
from engine.wire.refusal import printable

__all__ = ["check_part", "query_fields", "read_body", "read_json", "read_query"]

T = TypeVar("T", bound=msgspec.Struct)

DEPTH = 32
INTEGERS = range(-(2**63), 2**63)

_BOOLEANS = dict.fromkeys(("true", "1", "yes", "on"), True) | dict.fromkeys(
    ("false", "0", "no", "off"), False
)
_PATH = re.compile(r" - at `(?:key in )?\$(.*)`$")


@cache
def query_fields(kind: type) -> Sequence[tuple[inspect.Field, inspect.Type]]:
    """The parameters of a query struct, each with the type that its text is read as.

    Raises TypeError for one that cannot be written in a query.
    """
    fields = []
    for field in inspect.type_info(kind).fields:  # type: ignore[attr-defined]
        read = _plain(field.type)
        if not isinstance(read.item_type if isinstance(read, inspect.VarTupleType) else read, _WRITTEN):
            raise TypeError(f"{kind.__name__}.{field.name}: {read} cannot be written in a query")
        fields.append((field, read))
    return fields


def read_query(args: MultiDict[str, str], kind: type[T]) -> T:
    """The query as a struct of the type `kind`. Parameters it does not have are ignored; empty ones are as if not
    given, but that an empty list is empty. A tuple is written with commas, a time as ISO 8601, also a date alone.
    """
    found = {}
    for field, read in query_fields(kind):
        name, text = field.encode_name, args.get(field.encode_name)
        if isinstance(read, inspect.VarTupleType) and text is not None:
            parts = [part.strip() for part in text.split(",") if part.strip()]
            found[field.name] = tuple(_one(name, part, _plain(read.item_type)) for part in parts)
        elif text or (text == "" and isinstance(read, inspect.StrType)):
            found[field.name] = _one(name, text, read)
        elif field.required:
            raise ApiError(422, f"{name} is missing: use {_accepted(read)}")
    return kind(**found)


def check_part(name: str, value: object) -> None:
    """Raises `ApiError` 422 for a part of a path that no database could look up."""
    if wrong := _unkeepable(value):
        raise ApiError(422, f"{name}={printable(str(value))} is not accepted: {wrong}")


_WRITTEN = (
    inspect.BoolType,
    inspect.DateTimeType,
    inspect.IntType,
    inspect.FloatType,
    inspect.StrType,
    inspect.LiteralType,
)


def _plain(kind: inspect.Type) -> inspect.Type:
    """`kind` without None and without what is only said of it."""
    while True:
        if isinstance(kind, inspect.UnionType):
            kind = next(option for option in kind.types if not isinstance(option, inspect.NoneType))
        elif isinstance(kind, inspect.Metadata):
            kind = kind.type
        else:
            return kind


def _one(name: str, text: str, kind: inspect.Type) -> Any:
    try:
        value = _value(text, kind)
        if _unkeepable(value) is None:
            return value
    except (ValueError, KeyError, OverflowError):
        pass  # as any other value that is not accepted
    raise ApiError(422, f"{name}={printable(text)} is not accepted: use {_accepted(kind)}")


def _value(text: str, kind: inspect.Type) -> Any:
    match kind:
        case inspect.BoolType():
            return _BOOLEANS[text.lower()]
        case inspect.DateTimeType():
            moment = datetime.fromisoformat(text)
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        case inspect.LiteralType():
            return {str(value): value for value in kind.values}[text]
        case inspect.StrType():
            return msgspec.convert(text, _constrained(kind))
    assert isinstance(kind, inspect.IntType | inspect.FloatType)
    return msgspec.convert(text, _constrained(kind), strict=False)


def _constrained(kind: inspect.IntType | inspect.FloatType | inspect.StrType) -> Any:
    base: type
    names: tuple[str, ...]
    match kind:
        case inspect.StrType():
            base, names = str, ("min_length", "max_length", "pattern")
        case inspect.IntType():
            base, names = int, ("ge", "gt", "le", "lt")
        case _:
            base, names = float, ("ge", "gt", "le", "lt")
    limits = {name: value for name in names if (value := getattr(kind, name)) is not None}
    return Annotated[base, msgspec.Meta(**limits)] if limits else base


def _accepted(kind: inspect.Type) -> str:
    match kind:
        case inspect.BoolType():
            return "true or false"
        case inspect.DateTimeType():
            return "an ISO 8601 time such as 2026-11-21T20:18:00Z (with + written as %2B)"
        case inspect.LiteralType():
            return f"one of {', '.join(map(str, kind.values))}"
        case inspect.IntType() | inspect.FloatType():
            low = kind.ge if kind.ge is not None else kind.gt
            high = kind.le if kind.le is not None else kind.lt
            number = "a whole number" if isinstance(kind, inspect.IntType) else "a number"
            if low is not None and high is not None:
                return f"{low} to {high}"
            return number if low is None else f"{low} or more"
        case inspect.StrType():
            least, most = kind.min_length or 0, kind.max_length
            if most is not None:
                return f"{least} to {most} characters" if least else f"up to {most} characters"
            return "text" if least else "text without zero characters"
    raise TypeError(f"{kind} cannot be written in a query")


async def read_body(request: Request, kind: Any, form: str | None = None) -> Any:
    """The JSON body as a value of the type `kind`; no body at all is an empty object.

    With `form`: also JSON in this field of `multipart/form-data`, whose files stay in the request.
    """
    data = await request.get_data()
    assert isinstance(data, bytes)
    if form is None or request.mimetype != "multipart/form-data":
        return read_json(data, kind)
    field = (await request.form).get(form)
    request.body.append(data)  # the parser took it away, and idempotency keys stand for all of it
    if field is None:
        raise ApiError(422, f"{form} is missing: use a field of the form, with JSON in it")
    return read_json(field.encode(), kind)


def read_json(data: bytes, kind: Any) -> Any:
    """As `read_body`, of the body's bytes."""
    try:
        plain = msgspec.json.decode(data or b"{}")
    except (msgspec.DecodeError, RecursionError) as error:
        raise ApiError(400, f"the body is not accepted ({error}): use JSON") from None
    _check(plain, "body", DEPTH)
    try:
        return msgspec.convert(plain, kind)
    except msgspec.ValidationError as error:
        message = str(error)
        where = _PATH.search(message)
        path = where.group(1).lstrip(".") if where else ""
        wanted = message[: where.start()] if where else message
        raise ApiError(422, f"{path or 'body'}={_shown(plain, path)} is not accepted: {wanted}") from None


def _check(value: Any, path: str, depth: int) -> None:
    if wrong := _unkeepable(value):
        raise ApiError(422, f"{printable(path)}={printable(str(value))} is not accepted: {wrong}")
    if not isinstance(value, dict | list):
        return
    if not depth:
        raise ApiError(400, f"the body is not accepted: it is nested more than {DEPTH} deep")
    if isinstance(value, dict):
        for key, item in value.items():
            _check(key, path, 0)
            _check(item, key, depth - 1)
    else:
        for item in value:
            _check(item, path, depth - 1)


def _unkeepable(value: object) -> str | None:
    """Why no database keeps it, as the end of a sentence."""
    match value:
        case str() if "\0" in value:
            return "use text without zero characters"
        case int() if value not in INTEGERS:
            return "use a number of at most 64 bits"
        case float() if not math.isfinite(value):
            return "use a number"
    return None


def _shown(plain: Any, path: str) -> str:
    """The value at msgspec's `path` ("memories[0].content"; "[...]" for the key of a mapping), as JSON."""
    for step in re.findall(r"[^.\[\]]+", path):
        if isinstance(plain, dict) and step in plain:
            plain = plain[step]
        elif isinstance(plain, list) and step.isdecimal() and int(step) < len(plain):
            plain = plain[int(step)]
        else:
            break
    return printable(msgspec.json.encode(plain).decode())
