"""Reading what a request gives into structs."""

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Annotated, Any, Literal, TypeVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta
from werkzeug.datastructures import MultiDict

from engine.moments import micros
from engine.web.errors import ApiError
from engine.web.reading import DEPTH, check_part, query_fields, read_json, read_query

T = TypeVar("T")


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One parameter of each kind."""

    limit: Annotated[int, Meta(ge=1, le=10, description="How many.")] = 5
    offset: Annotated[int, Meta(ge=0)] = 0
    weight: float | None = None
    loud: bool = False
    start: datetime | None = None
    kinds: tuple[Literal["a", "b"], ...] = ("a",)
    order: Literal["up", "down"] | None = None
    text: Annotated[str, Meta(max_length=8)] | None = None


class Needed(msgspec.Struct, frozen=True):
    """A parameter that must be given."""

    title: Annotated[str, Meta(min_length=1, max_length=5)]
    size: int | None = None


def asked(**args: str) -> Asked:
    return read_query(MultiDict(args), Asked)


def test_what_is_not_given_has_its_default() -> None:
    assert asked() == Asked()
    assert asked(nobody_knows="1") == Asked()


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("limit", "10", 10),
        ("offset", "7", 7),
        ("weight", "1.5", 1.5),
        ("loud", "True", True),
        ("loud", "on", True),
        ("loud", "0", False),
        ("start", "1970-01-02", datetime(1970, 1, 2, tzinfo=UTC)),
        ("start", "1970-01-01T01:00:00+01:00", datetime(1970, 1, 1, 1, tzinfo=timezone(timedelta(hours=1)))),
        ("kinds", " a , b ,", ("a", "b")),
        ("kinds", "", ()),
        ("order", "down", "down"),
        ("text", "", ""),
        ("limit", "", 5),
        ("start", "", None),
    ],
)
def test_each_kind_is_read(name: str, text: str, value: object) -> None:
    assert getattr(asked(**{name: text}), name) == value


@pytest.mark.parametrize(
    ("name", "text", "accepted"),
    [
        ("limit", "0", "1 to 10"),
        ("limit", "11", "1 to 10"),
        ("limit", "1.5", "1 to 10"),
        ("limit", "9" * 5000, "1 to 10"),
        ("offset", "-1", "0 or more"),
        ("offset", str(2**63), "0 or more"),
        ("weight", "nan", "a number"),
        ("weight", "1e999", "a number"),
        ("loud", "perhaps", "true or false"),
        ("start", "yesterday", "ISO 8601"),
        ("start", "2023-13-01", "ISO 8601"),
        ("kinds", "a,x", "one of a, b"),
        ("order", "sideways", "one of down, up"),
        ("text", "a\0b", "up to 8 characters"),
        ("text", "123456789", "up to 8 characters"),
    ],
)
def test_a_mistake_is_named_with_its_value_and_what_is_accepted(name: str, text: str, accepted: str) -> None:
    with pytest.raises(ApiError) as refused:
        asked(**{name: text})
    assert refused.value.status == 422
    assert refused.value.detail.startswith(f"{name}=")
    assert accepted in refused.value.detail
    assert len(refused.value.detail) < 300


@pytest.mark.parametrize("args", [{}, {"title": ""}])
def test_a_parameter_that_must_be_given_is_asked_for(args: dict[str, str]) -> None:
    with pytest.raises(ApiError, match="1 to 5 characters"):
        read_query(MultiDict(args), Needed)
    assert read_query(MultiDict({"title": "walk"}), Needed) == Needed("walk")


def test_a_parameter_that_no_query_can_carry_is_the_programmers_mistake() -> None:
    class Impossible(msgspec.Struct):
        """A mapping has no text."""

        labels: dict[str, str] = {}

    with pytest.raises(TypeError, match=r"Impossible\.labels"):
        query_fields(Impossible)


@given(st.dictionaries(st.sampled_from(Asked.__struct_fields__), st.text()))
def test_any_query_is_a_value_or_a_printable_refusal(args: dict[str, str]) -> None:
    value = value_or_refusal(lambda: asked(**args))
    if isinstance(value, ApiError):
        assert value.status == 422
        assert value.detail.isprintable()
    else:
        assert 1 <= value.limit <= 10
        assert value.weight is None or math.isfinite(value.weight)
        assert value.start is None or -(2**62) < micros(value.start) < 2**62


def value_or_refusal(read: Callable[[], T]) -> T | ApiError:
    try:
        return read()
    except ApiError as refused:
        return refused


class Item(msgspec.Struct):
    """An item of a list."""

    content: Annotated[str, Meta(max_length=10)]
    count: int = 1
    weight: float = 0.0


class Basket(msgspec.Struct):
    """A body."""

    items: Annotated[list[Item], Meta(max_length=3)] = []
    labels: dict[str, int] = {}
    due: datetime | None = None
    anything: Any = None


def test_a_body_is_read_and_none_is_an_empty_object() -> None:
    assert read_json(b"", Basket) == Basket()
    assert read_json(b'{"items": [{"content": "milk"}]}', Basket) == Basket([Item("milk")])
    assert read_json(b'["a"]', list[str]) == ["a"]


@pytest.mark.parametrize(
    ("data", "status", "said"),
    [
        (b"{", 400, "use JSON"),
        (b"\xff", 400, "use JSON"),
        (b'"\\ud800"', 400, "use JSON"),
        (b"[" * 100_000, 400, "the body is not accepted"),
        (b"[" * 40 + b"]" * 40, 400, f"nested more than {DEPTH} deep"),
        (b"[]", 422, "body=[] is not accepted: Expected `object`, got `array`"),
        (
            b'{"items": [{"content": 7}]}',
            422,
            "items[0].content=7 is not accepted: Expected `str`, got `int`",
        ),
        (b'{"items": [{}]}', 422, "items[0]={} is not accepted: Object missing required field `content`"),
        (b'{"labels": {"a": "b"}}', 422, 'labels[...]={"a":"b"} is not accepted: Expected `int`, got `str`'),
        (b'{"items": [{"content": "a\\u0000"}]}', 422, "content=a? is not accepted: use text without zero"),
        (b'{"anything": {"a\\u0000": 1}}', 422, "use text without zero characters"),
        (b'{"items": [{"content": "a", "count": 9223372036854775808}]}', 422, "at most 64 bits"),
        (b'{"anything": 1e999}', 400, "use JSON"),
        (b'{"due": "soon"}', 422, 'due="soon" is not accepted'),
    ],
)
def test_a_wrong_body_is_told_where_and_what_is_accepted(data: bytes, status: int, said: str) -> None:
    with pytest.raises(ApiError) as refused:
        read_json(data, Basket)
    assert refused.value.status == status
    assert said in refused.value.detail


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(("items", "labels", "due", "content")), inner)
    ),
)


@given(st.binary() | JSON.map(msgspec.json.encode))
def test_any_body_is_a_value_or_a_refusal(data: bytes) -> None:
    value = value_or_refusal(lambda: read_json(data, Basket))
    if isinstance(value, ApiError):
        assert value.status in (400, 422)
        assert msgspec.json.encode(value.detail)
    else:
        assert isinstance(value, Basket)


def test_a_part_of_a_path_that_cannot_be_looked_up_is_refused() -> None:
    check_part("id", "c1")
    check_part("index", 7)
    for value in ("a\0", 2**63):
        with pytest.raises(ApiError, match="part="):
            check_part("part", value)


@pytest.mark.parametrize(
    ("moment", "microseconds"),
    [
        (datetime(1970, 1, 1, 0, 0, 1), 1_000_000),
        (datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), -1),
        (datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=23))), -62_135_679_600_000_000),
    ],
)
def test_moments_are_microseconds_in_utc(moment: datetime, microseconds: int) -> None:
    assert micros(moment) == microseconds
