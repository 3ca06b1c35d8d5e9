"""What a REST request gives, as msgspec structs. A mistake is a 422 naming the parameter, its value and what is
accepted; a body that is no JSON a 400.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import inspect
from quart import Request
from werkzeug.datastructures import MultiDict

from engine.web.errors import ApiError
from engine.wire.refusal import printable

__all__ = ["micros", "read_body", "read_query"]

T = TypeVar("T")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BOOLEANS = dict.fromkeys(("true", "1", "yes", "on"), True) | dict.fromkeys(
    ("false", "0", "no", "off"), False
)
_PATH = re.compile(r" - at `(?:key in )?\$(.*)`$")


def micros(moment: datetime) -> int:
    """Microseconds since the epoch; a time without a zone is UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - _EPOCH) // timedelta(microseconds=1)


def read_query(args: MultiDict[str, str], kind: type[T]) -> T:
    """The query as a struct of the type `kind`. Parameters it does not have are ignored; empty ones are as if not
    given, but that an empty list is empty. A tuple is written with commas, a time as ISO 8601, also a date alone.
    """
    found = {}
    for field in inspect.type_info(kind).fields:  # type: ignore[attr-defined]
        text = args.get(field.encode_name)
        if text is None:
            continue
        found[field.name] = _value(field.encode_name, text, field.type, field.default)
    return kind(**found)


def _value(name: str, text: str, kind: inspect.Type, default: Any) -> Any:
    options = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
    kind = next(option for option in options if not isinstance(option, inspect.NoneType))
    if isinstance(kind, inspect.VarTupleType):
        parts = [part.strip() for part in text.split(",") if part.strip()]
        return tuple(_one(name, part, kind.item_type) for part in parts)
    if text == "" and not isinstance(kind, inspect.StrType) and default is not msgspec.NODEFAULT:
        return default
    return _one(name, text, kind)


def _one(name: str, text: str, kind: inspect.Type) -> Any:
    try:
        if "\0" in text:
            raise ValueError("a zero character")
        match kind:
            case inspect.BoolType():
                return _BOOLEANS[text.lower()]
            case inspect.DateTimeType():
                moment = datetime.fromisoformat(text)
                return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            case inspect.IntType() | inspect.FloatType():
                return msgspec.convert(text, _constrained(kind), strict=False)
            case inspect.StrType():
                return msgspec.convert(text, _constrained(kind))
            case inspect.LiteralType():
                if text not in kind.values:
                    raise ValueError("another")
                return text
    except (ValueError, KeyError, OverflowError):
        raise ApiError(422, f"{name}={printable(text)} is not accepted: use {_accepted(kind)}") from None
    raise TypeError(f"{name}: {kind} cannot be written in a query")


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
        case inspect.StrType(max_length=int(most)):
            return f"up to {most} characters"
    return "text without zero characters"


async def read_body(request: Request, kind: Any) -> Any:
    """The JSON body as a value of the type `kind`; no body at all is an empty object."""
    data = await request.get_data()
    assert isinstance(data, bytes)
    try:
        plain = msgspec.json.decode(data or b"{}")
    except (msgspec.DecodeError, RecursionError) as error:
        raise ApiError(400, f"the body is not accepted ({error}): use JSON") from None
    _refuse_zero(plain, "body")
    try:
        return msgspec.convert(plain, kind)
    except msgspec.ValidationError as error:
        message = str(error)
        where = _PATH.search(message)
        path = where.group(1).lstrip(".") if where else ""
        wanted = message[: where.start()] if where else message
        raise ApiError(422, f"{path or 'body'}={_shown(plain, path)} is not accepted: {wanted}") from None


def _refuse_zero(value: Any, path: str) -> None:
    # PostgreSQL keeps no such text; no client means it.
    if isinstance(value, str) and "\0" in value:
        raise ApiError(422, f"{path}={printable(value)} is not accepted: use text without zero characters")
    if isinstance(value, dict):
        for key, item in value.items():
            _refuse_zero(key, path)
            _refuse_zero(item, key)
    elif isinstance(value, list):
        for item in value:
            _refuse_zero(item, path)


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
