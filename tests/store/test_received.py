"""What was received is its user's, kept once, and erased oldest first."""

from typing import Any

import pytest

from engine.store import Store
from engine.store.received_records import (
    AUDIO,
    RESULTS,
    ReceivedFileRow,
    ReceivedMessageRow,
    ReceivedTotals,
    results_id,
)


def file(id: str, *, uid: str = "ann", at: int = 0, size: int = 100, **fields: Any) -> ReceivedFileRow:
    values = {
        "kind": AUDIO,
        "name": f"received/{id}.wav",
        "session_id": "s",
        "session_began_at": 0,
        "position": 0,
        "samples": 50,
        "sample_rate": 8000,
        **fields,
    }
    return ReceivedFileRow(uid=uid, id=id, size=size, created_at=at, **values)


def message(
    id: str, *, uid: str = "ann", at: int = 0, body: bytes = b"{}", **fields: Any
) -> ReceivedMessageRow:
    values = {"trigger": "day_summary", **fields}
    return ReceivedMessageRow(uid=uid, id=id, body=body, size=len(body), created_at=at, **values)


async def test_files_are_listed_by_kind_newest_first_and_only_to_their_user(store: Store) -> None:
    files = store.received.files
    await files.put(file("a", at=1), file("b", at=2), file("c", uid="bob", at=3))
    await files.put(file(results_id("a"), at=4, kind=RESULTS))
    assert [row.id for row in await files.of_kind("ann", AUDIO, limit=10)] == ["b", "a"]
    assert [row.id for row in await files.of_kind("ann", AUDIO, limit=1, offset=1)] == ["a"]
    assert [row.id for row in await files.of_kind("ann", RESULTS, limit=10)] == ["a.results"]
    assert await files.get("ann", "c") is None


async def test_the_latest_deliveries_of_a_user_are_known_in_their_order(store: Store) -> None:
    files = store.received.files
    for number in range(5):
        await files.put(file(f"f{number}", at=number, delivery_id=f"d{number}"))
    await files.put(file("none", at=9), file("other", uid="bob", at=9, delivery_id="x"))
    assert await files.known("ann", 3) == ["d2", "d3", "d4"]
    assert await files.known("cid", 3) == []


async def test_a_message_is_kept_once(store: Store) -> None:
    messages = store.received.messages
    assert await messages.add(message("a", body=b'{"first": true}'))
    assert not await messages.add(message("a", body=b'{"first": false}'))
    assert await messages.add(message("a", uid="bob"))
    found = await messages.get("ann", "a")
    assert found is not None
    assert found.body == b'{"first": true}'


async def test_messages_are_listed_by_trigger(store: Store) -> None:
    messages = store.received.messages
    await messages.add(message("a", at=1))
    await messages.add(message("b", at=2, trigger="memory_created"))
    assert [row.id for row in await messages.of_trigger("ann", None, limit=10)] == ["b", "a"]
    assert [row.id for row in await messages.of_trigger("ann", "day_summary", limit=10)] == ["a"]


async def test_totals_are_those_of_one_user_or_of_all(store: Store) -> None:
    received = store.received
    assert await received.totals() == ReceivedTotals()
    await received.files.put(file("a", at=5, size=10), file("b", uid="bob", at=3, size=20))
    await received.messages.add(message("c", at=4, body=b"[]"))
    assert await received.totals("ann") == ReceivedTotals(files=1, messages=1, bytes=12, oldest_at=4)
    assert await received.totals() == ReceivedTotals(files=2, messages=1, bytes=32, oldest_at=3)


async def test_the_oldest_come_first_whatever_they_are(store: Store) -> None:
    received = store.received
    await received.files.put(file("a", at=1), file("b", uid="bob", at=3), file("d", at=5))
    await received.messages.add(message("c", at=2))
    assert [row.id for row in await received.oldest(None, 10)] == ["a", "c", "b", "d"]
    assert [row.id for row in await received.oldest("ann", 2)] == ["a", "c"]
    assert [(row.id, row.name) for row in await received.expired(3, 10)] == [
        ("a", "received/a.wav"),
        ("c", None),
    ]


@pytest.mark.parametrize(
    ("limit", "over"), [(99, [("ann", 112), ("bob", 100)]), (100, [("ann", 112)]), (112, [])]
)
async def test_who_is_over_a_quota_is_found(store: Store, limit: int, over: list[tuple[str, int]]) -> None:
    received = store.received
    await received.files.put(file("a", size=110), file("b", uid="bob", size=100))
    await received.messages.add(message("c", body=b"[]"))
    assert sorted(await received.over_quota(limit)) == over
