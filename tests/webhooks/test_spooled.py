"""A row's line says where its audio is, and nothing else is taken for one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.webhooks.spooled import Place, Spooled, segment_name

NUMBERS = st.integers(min_value=0, max_value=10**17)
PLACES = st.builds(
    Place,
    st.builds(segment_name, NUMBERS, st.integers(0, 2**32 - 1).map(lambda tag: f"{tag:08x}")),
    NUMBERS,
    NUMBERS,
)


@given(st.uuids(), NUMBERS, st.lists(PLACES, min_size=1, max_size=4))
def test_a_line_is_read_as_it_was_written(session: object, position: int, places: list[Place]) -> None:
    spooled = Spooled(str(session), position, tuple(places))
    assert Spooled.read(spooled.line) == spooled


@given(st.text())
def test_other_text_is_no_place(text: str) -> None:
    assert Spooled.read(text) is None


@pytest.mark.parametrize(
    "line",
    [
        "s-0",
        "s-0/",
        "s-0/../../../etc/passwd:0:10",
        "s-0/store.sqlite:0:10",
        "s-0/00000000000000000001-00000000.pcm:-1:10",
        "s-0/00000000000000000001-00000000.pcm:0:10/",
        "00000000000000000001-00000000.pcm:0:10",
    ],
)
def test_a_line_names_only_files_of_the_spool(line: str) -> None:
    assert Spooled.read(line) is None


def test_names_sort_by_time() -> None:
    assert segment_name(999, "ffffffff") < segment_name(1000, "00000000")
