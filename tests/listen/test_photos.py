"""Pictures in pieces: whole ones come out as they were, whatever else comes in between."""

import base64
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.listen.photos import LIFETIME, PENDING, TOGETHER, BadPhoto, PhotoBuffer
from engine.wire.client_messages import ImageChunk

LIMIT = 3000


def pieces(image: bytes, size: int, id: str = "p") -> list[ImageChunk]:
    text = base64.b64encode(image).decode()
    cut = [text[start : start + size] for start in range(0, len(text), size)]
    return [ImageChunk(id, index, len(cut), data) for index, data in enumerate(cut)]


def part(id: str, index: int = 0, total: int = 2, data: str = "QUJD") -> ImageChunk:
    return ImageChunk(id, index, total, data)


@given(
    st.lists(st.binary(min_size=1, max_size=200), min_size=1, max_size=5), st.integers(1, 50), st.randoms()
)
def test_pictures_come_out_as_they_went_in_whatever_the_order_of_their_pieces(
    images: list[bytes], size: int, random: Random
) -> None:
    chunks = [chunk for n, image in enumerate(images) for chunk in pieces(image, size, str(n))]
    random.shuffle(chunks)
    buffer, found = PhotoBuffer(LIMIT), {}
    for chunk in chunks:
        image = buffer.add(chunk, 0.0)
        if image is not None:
            found[int(chunk.id)] = image
    assert found == dict(enumerate(images))
    assert buffer.statistics().pending == 0


def test_a_piece_that_comes_again_counts_once() -> None:
    buffer = PhotoBuffer(LIMIT)
    first, second = pieces(b"hello world", 8)[:2]
    assert buffer.add(first, 0.0) is None
    assert buffer.add(first, 0.0) is None
    assert buffer.add(second, 0.0) == b"hello world"


@pytest.mark.parametrize(
    ("chunk", "named"),
    [
        (part("p", index=2), "index=2"),
        (part("p", total=3), "total=3"),
        (part("p", index=1, data="!!!!"), "base64"),
        (part("p", index=1, data="QQ"), "base64"),
        (part("p", index=1, data="é"), "base64"),
        (part("p", index=1, data="A" * 5000), "3000 bytes"),
    ],
)
def test_what_is_no_picture_is_refused_and_forgotten(chunk: ImageChunk, named: str) -> None:
    buffer = PhotoBuffer(LIMIT)
    buffer.add(part("p"), 0.0)
    with pytest.raises(BadPhoto, match=named):
        buffer.add(chunk, 0.0)
    assert buffer.statistics().pending == 0


def test_a_picture_of_nothing_is_refused() -> None:
    with pytest.raises(BadPhoto, match="empty"):
        PhotoBuffer(LIMIT).add(part("p", total=1, data=""), 0.0)


def test_a_picture_that_is_not_whole_in_time_is_dropped() -> None:
    buffer = PhotoBuffer(LIMIT)
    buffer.add(part("old"), 0.0)
    buffer.add(part("new"), LIFETIME)
    assert (buffer.statistics().pending, buffer.statistics().dropped) == (1, 1)
    assert buffer.add(part("old", index=1), LIFETIME) is None


def test_only_so_many_are_begun_at_once_and_the_oldest_goes() -> None:
    buffer = PhotoBuffer(LIMIT)
    for n in range(PENDING + 1):
        buffer.add(part(str(n)), 0.0)
    assert (buffer.statistics().pending, buffer.statistics().dropped) == (PENDING, 1)
    assert buffer.add(part("1", index=1), 0.0) == b"ABCABC"
    assert buffer.add(part("0", index=1), 0.0) is None


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3), st.integers(0, 4000)), max_size=60))
def test_all_together_are_never_more_than_there_is_room_for(sent: list[tuple[int, int, int]]) -> None:
    buffer = PhotoBuffer(LIMIT)
    for id, index, size in sent:
        try:
            buffer.add(part(str(id), index, total=5, data="A" * size), 0.0)
        except BadPhoto:
            assert size > 0
        assert buffer._size == sum(begun.size for begun in buffer._begun.values())
        assert buffer._size <= TOGETHER * LIMIT * 4 / 3
