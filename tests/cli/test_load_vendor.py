"""The cheap vendor, heard by another implementation of WebSocket."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import trio_websocket
from hypothesis import given
from hypothesis import strategies as st

from engine.cli.load_process import process
from engine.cli.load_socket import BINARY, TEXT, frame
from engine.cli.load_vendor import FRAME_LIMIT, Over, VendorStream

SECOND = bytes(32_000)
UPGRADE = b"GET / HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"


@pytest.fixture
def url() -> Iterator[str]:
    with process("vendor", [sys.executable, "-m", "engine.cli.load_vendor"]) as vendor:
        yield vendor.url


async def test_each_second_of_audio_is_a_word_that_says_when(url: str) -> None:
    async with trio_websocket.open_websocket_url(f"{url}/v1/listen?x=1") as connection:
        for _ in range(5):
            await connection.send_message(SECOND[: 32_000 // 2])
        results = [json.loads(await connection.get_message()) for _ in range(2)]
        await connection.ping(b"there?")
        await connection.send_message('{"type":"Finalize"}')
        finalized = json.loads(await connection.get_message())
        await connection.send_message('{"type":"CloseStream"}')
        assert json.loads(await connection.get_message())["type"] == "Metadata"
        with pytest.raises(trio_websocket.ConnectionClosed):
            await connection.get_message()
    for number, result in enumerate(results, 1):
        assert (result["start"], result["duration"], result["is_final"]) == (number - 1, 1, True)
        (word,) = result["channel"]["alternatives"][0]["words"]
        assert word["word"].startswith(f"p{number}t")
    assert (finalized["from_finalize"], finalized["start"], finalized["duration"]) == (True, 2, 0.5)


def test_people_may_talk_for_a_part_of_the_time_only_in_results_that_end_anywhere() -> None:
    def results(number: int) -> list[dict[str, Any]]:
        stream = VendorStream(spoken=3, period=15, number=number)
        audio = b"".join(frame(BINARY, SECOND[:3200]) for _ in range(900))
        asked = frame(TEXT, b'{"type":"Finalize"}')
        answers = list(stream.take(UPGRADE + audio + asked))[1:]
        return [json.loads(answer[answer.index(b"{") :]) for answer in answers]

    told = results(1)
    end = 0.0
    for result in told:
        assert result["start"] == pytest.approx(end), "results tile the audio"
        end = result["start"] + result["duration"]
        words = result["channel"]["alternatives"][0]["words"]
        assert bool(words) == (result["start"] % 15 < 3 and not result["from_finalize"])
        for word in words:
            assert (word["start"], word["end"]) == pytest.approx((result["start"], end))
    assert end == 90
    lengths = [result["duration"] for result in told[:-1]]
    assert all(0.6 <= length <= 1.4 for length in lengths)
    assert len({round(length, 3) for length in lengths}) > 50
    assert [result["start"] for result in results(1)] == [result["start"] for result in told]
    assert [result["start"] for result in results(2)] != [result["start"] for result in told]


@given(st.lists(st.integers(1, 40_000), max_size=30))
def test_however_the_bytes_come_the_words_are_the_same(cuts: list[int]) -> None:
    stream = VendorStream()
    data = UPGRADE + b"".join(frame(BINARY, SECOND[:size]) for size in (32_000, 1, 31_999, 70, 3200))
    data += frame(TEXT, b'{"type":"KeepAlive"}')
    answers = []
    for cut in [*cuts, len(data)]:
        answers += list(stream.take(data[:cut]))
        data = data[cut:]
    assert answers[0].startswith(b"HTTP/1.1 101 ")
    assert [b'"p%dt' % number in answer for number, answer in enumerate(answers[1:], 1)] == [True, True]


def test_a_word_says_how_much_audio_its_message_had_after_it() -> None:
    stream = VendorStream()
    data = UPGRADE + frame(BINARY, bytes(31_000)) + frame(BINARY, bytes(1000 + 40 * 32))
    *_, answer = stream.take(data)
    assert re.search(rb'"p1t\d+a40\."', answer)


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        UPGRADE + b"\x82\xff" + (FRAME_LIMIT + 1).to_bytes(8, "big"),
        UPGRADE + frame(8, b""),
    ],
    ids=["no upgrade", "a frame too long", "goodbye"],
)
def test_what_is_no_audio_ends_the_connection(data: bytes) -> None:
    with pytest.raises(Over):
        list(VendorStream().take(data))
