"""A webhook can be tried with a conversation that exists."""

from pathlib import Path

import httpx2
import msgspec
import pytest

from engine.store.deliveries import DeliveryFilter
from engine.store.webhook_records import DeliveryRow
from tests.web.serving import Site, add, row, segment, site

PATH = "/v1/conversations/c1/trigger-webhook"
WEBHOOK = "/v1/users/developer/webhook/memory_created"


async def trigger(it: Site, uid: str = "alice", path: str = PATH) -> httpx2.Response:
    return await it.request("POST", path, uid)


async def turned_on(it: Site, uid: str = "alice") -> None:
    answer = await it.request("POST", WEBHOOK, uid, json={"url": "https://example.com/hook"})
    assert answer.status_code == 200


async def deliveries(it: Site, uid: str = "alice") -> list[DeliveryRow]:
    rows = await it.store.deliveries.list(uid, DeliveryFilter())
    return [whole for one in rows if (whole := await it.store.deliveries.get(uid, one.id)) is not None]


async def test_each_time_the_whole_conversation_is_sent_again(tmp_path: Path) -> None:
    async with site(tmp_path) as it:
        await add(it.store, row("c1"), segment("s1", "Hello."))
        await turned_on(it)
        for _ in range(2):
            answer = await trigger(it)
            assert (answer.status_code, answer.json()) == (200, {"deliveries": 1})
        shown = (await it.get("/v1/conversations/c1")).json()
        rows = await deliveries(it)
        for delivery in rows:
            assert msgspec.json.decode(delivery.body or b"") == {**shown, "delivery_id": delivery.id}
            assert delivery.query == {"uid": "alice"}
        assert len({delivery.id for delivery in rows}) == 2


async def test_where_nobody_wants_to_know_that_is_said(tmp_path: Path) -> None:
    async with site(tmp_path) as it:
        await add(it.store, row("c1"), segment("s1", "Hello."))
        answer = await trigger(it)
        assert answer.status_code == 409
        assert "memory_created" in answer.text


@pytest.mark.parametrize(("uid", "status"), [("bob", 404), ("alice", 402)])
async def test_anothers_conversation_and_a_locked_one_are_not_sent(
    tmp_path: Path, uid: str, status: int
) -> None:
    async with site(tmp_path) as it:
        await add(it.store, row("c1", is_locked=True), segment("s1", "Hello."))
        await turned_on(it)
        await turned_on(it, "bob")
        assert (await trigger(it, uid)).status_code == status
        assert await deliveries(it) == await deliveries(it, "bob") == []
