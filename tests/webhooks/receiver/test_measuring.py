"""A chain of processors: each line in its place, whatever one of them does."""

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
import trio

from engine.webhooks.receiver.feed import Feed
from engine.webhooks.receiver.joining import Began, Silence
from engine.webhooks.receiver.measuring import LINE_BYTES, Measuring
from engine.webhooks.receiver.processors import Piece, Processor, Result
from tests.webhooks.receiver.chunks import audio, events_in_memory, published, tone

SESSION = Began(id="s", uid="ann", sample_rate=16_000, began_at=0, interval=1.0)


class Counting:
    """Counts its pieces: it remembers."""

    def __init__(self) -> None:
        self.count = 0

    def process(self, piece: Piece, earlier: Mapping[str, Result]) -> Result | None:
        self.count += 1
        return {"count": self.count, "samples": np.int64(piece.samples.size), "row": np.arange(2)}


class Reading:
    """Says what those before it said."""

    def process(self, piece: Piece, earlier: Mapping[str, Result]) -> Result | None:
        return {"saw": sorted(earlier)}


class Failing:
    """Raises."""

    def process(self, piece: Piece, earlier: Mapping[str, Result]) -> Result | None:
        raise RuntimeError("a fault")


class Strange:
    """Says what no JSON can."""

    def process(self, piece: Piece, earlier: Mapping[str, Result]) -> Result | None:
        return {"what": object()}


class Long:
    """Says too much."""

    def process(self, piece: Piece, earlier: Mapping[str, Result]) -> Result | None:
        return {"text": "x" * LINE_BYTES}


class Silent:
    """Has nothing to say."""

    def process(self, piece: Piece, earlier: Mapping[str, Result]) -> Result | None:
        return None


async def nobody(uid: str) -> bool:
    return False


async def lines(*makes: type[Processor]) -> tuple[list[dict[str, Any]], list[str]]:
    """What is said of two pieces with a gap between, and who failed."""
    events, feed = events_in_memory(), Feed(10**9, lossless=False)
    failed: list[str] = []
    for piece in (
        audio(0, tone(8000)),
        Silence(position=8000, samples=8000),
        audio(16_000, tone(4000)),
    ):
        await feed.put(piece)
    feed.finish()
    processors = {make.__name__: make for make in makes}
    measuring = Measuring(processors, trio.to_thread.run_sync, events, None, failed.append, nobody)
    await measuring.consume(SESSION, feed)
    found = [msgspec.json.decode(event) for event in await published(events, "ann")]
    assert all((event["type"], event["session_id"]) == ("result", "s") for event in found)
    return [event["line"] for event in found], failed


async def test_each_processor_has_a_line_for_each_piece_in_order() -> None:
    found, failed = await lines(Counting, Silent, Reading)
    assert [(line["processor"], line["start"]) for line in found] == [
        (name, start) for start in (0.0, 1.0) for name in ("Counting", "Silent", "Reading")
    ]
    assert [line["result"]["count"] for line in found if line["processor"] == "Counting"] == [1, 2]
    assert found[0]["result"]["row"] == [0, 1]
    assert found[2]["result"] == {"saw": ["Counting"]}
    assert "result" not in found[1]
    assert failed == []
    heard = [line["result"]["samples"] for line in found if line["processor"] == "Counting"]
    assert heard == [8000, 4000]


async def test_who_fails_says_so_in_its_place_and_the_others_go_on() -> None:
    found, failed = await lines(Failing, Strange, Long, Reading)
    assert failed == ["Failing", "Strange", "Long"] * 2
    errors = [line.get("error", "") for line in found[:4]]
    assert errors[0] == "RuntimeError: a fault"
    assert "cannot be written as JSON" in errors[1]
    assert "bytes; at most" in errors[2]
    assert found[3]["result"] == {"saw": []}
