"""Reading REST parameters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import MultiDict

from engine.web.errors import ApiError
from engine.web.query import Query


def query(**args: str) -> Query:
    return Query(MultiDict(args))


@pytest.mark.parametrize(("text", "value"), [("1", 1), ("10", 10), ("007", 7)])
def test_integers_within_their_bounds_are_read(text: str, value: int) -> None:
    assert query(n=text).integer("n", 5, 1, 10) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [("true", True), ("True", True), ("1", True), ("on", True), ("no", False), ("0", False)],
)
def test_booleans_come_in_several_spellings(text: str, value: bool) -> None:
    assert query(b=text).boolean("b", not value) is value


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [
        ("1970-01-01", 0),
        ("1970-01-01T00:00:01Z", 1_000_000),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1970-01-01T00:00:00.250", 250_000),
        ("1969-12-31T23:59:59.999999Z", -1),
        ("", None),
    ],
)
def test_moments_are_microseconds_in_utc(text: str, microseconds: int | None) -> None:
    assert query(t=text).moment("t") == microseconds


@pytest.mark.parametrize(
    ("text", "values"), [("a", ("a",)), ("a,b", ("a", "b")), (" a , b ,", ("a", "b")), ("", ())]
)
def test_choices_are_separated_by_commas(text: str, values: tuple[str, ...]) -> None:
    assert query(c=text).choices("c", ("z",), ("a", "b")) == values


def test_what_is_not_given_has_its_default() -> None:
    empty = query()
    assert empty.integer("n", 5, 1, 10) == 5
    assert empty.boolean("b", True) is True
    assert empty.moment("t") is None
    assert empty.choices("c", ("z",), ("a", "b")) == ("z",)


@pytest.mark.parametrize(
    ("name", "value", "accepted"),
    [
        ("n", "0", "1 to 10"),
        ("n", "11", "1 to 10"),
        ("n", "many", "1 to 10"),
        ("n", "", "1 to 10"),
        ("n", "1.0", "1 to 10"),
        ("n", "٣", "1 to 10"),
        ("n", "9" * 5000, "1 to 10"),
        ("b", "perhaps", "true or false"),
        ("t", "yesterday", "ISO 8601"),
        ("t", "2023-13-01", "ISO 8601"),
        ("c", "a,x", "some of a, b"),
    ],
)
def test_a_mistake_is_named_with_what_is_accepted(name: str, value: str, accepted: str) -> None:
    with pytest.raises(ApiError) as refused:
        read_all(query(**{name: value}))
    assert refused.value.status == 422
    assert refused.value.detail.startswith(f"{name}=")
    assert accepted in refused.value.detail
    assert len(refused.value.detail) < 300


def read_all(given_query: Query) -> None:
    given_query.integer("n", 5, 1, 10)
    given_query.boolean("b", True)
    given_query.moment("t")
    given_query.choices("c", (), ("a", "b"))


@given(st.dictionaries(st.sampled_from("nbtc"), st.text()))
def test_nothing_a_client_writes_raises_anything_else(args: dict[str, str]) -> None:
    detail = complaint(query(**args))
    assert detail is None or detail.isprintable()


def complaint(given_query: Query) -> str | None:
    try:
        read_all(given_query)
    except ApiError as error:
        return error.detail
    return None
