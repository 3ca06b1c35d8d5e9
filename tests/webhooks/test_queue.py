"""What is offered becomes one delivery for each endpoint, under an id that stays."""

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.store.deliveries import Offered
from engine.store.webhook_records import DeliveryRow
from engine.webhooks.ports import Endpoint
from engine.webhooks.queue import DeliveryQueue, delivery_id, with_id
from engine.webhooks.triggers import Trigger

NOW = 1_750_000_000_000_000


class Kept:
    """Keeps rows as the store does."""

    def __init__(self) -> None:
        self.rows: dict[str, DeliveryRow] = {}

        self.due = True

    async def offer(self, *rows: DeliveryRow) -> Offered:
        new = [row for row in rows if row.id not in self.rows]
        self.rows |= {row.id: row for row in new}
        return Offered(len(new), self.due)

    async def drop(self, uid: str, id: str, reason: str) -> DeliveryRow | None:
        row = self.rows.pop(id, None)
        return row if row is not None and row.uid == uid else None

    async def get(self, uid: str, id: str) -> DeliveryRow | None:
        row = self.rows.get(id)
        return row if row is not None and row.uid == uid else None

    async def add_lost(self, row: DeliveryRow) -> bool:
        return (await self.offer(row)).new > 0


class Two:
    """Two endpoints for everybody and everything."""

    async def endpoints(self, uid: str, trigger: Trigger) -> Sequence[Endpoint]:
        return [endpoint(name, uid=uid, trigger=trigger) for name in ("developer", "app:diary")]

    async def endpoint(self, uid: str, name: str, trigger: str) -> Endpoint | None:
        return next(one for one in await self.endpoints(uid, "memory_created") if one.name == name)

    def unwanted(self, uid: str, trigger: Trigger) -> bool:
        return False


def endpoint(name: str = "developer", *, uid: str = "ada", trigger: Trigger = "memory_created") -> Endpoint:
    return Endpoint(uid=uid, name=name, trigger=trigger, url="https://a.example/")


class Desk:
    """A queue, what it keeps, and whom it woke for."""

    def __init__(self) -> None:
        self.kept = Kept()
        self.woken: list[tuple[str, str, str]] = []
        self.queue = DeliveryQueue(self.kept, Two(), lambda: NOW, self._wake)

    def _wake(self, *endpoints: tuple[str, str, str]) -> None:
        self.woken.extend(endpoints)


async def test_every_endpoint_is_told_under_an_id_of_its_own_which_the_body_carries() -> None:
    desk = Desk()
    query = {"session_id": "s1"}
    assert await desk.queue.offer("ada", "realtime_transcript", b'{"segments":[]}', key="k", query=query) == 2
    for row in desk.kept.rows.values():
        assert msgspec.json.decode(row.body or b"") == {"segments": [], "delivery_id": row.id}
        assert row.query == {"session_id": "s1", "uid": "ada"}
        assert (row.size, row.due_at, row.expires_at) == (len(row.body or b""), NOW, None)
    assert {row.endpoint for row in desk.kept.rows.values()} == {"developer", "app:diary"}
    assert ("ada", "developer", "realtime_transcript") in desk.woken


async def test_offering_twice_makes_no_second_delivery() -> None:
    desk = Desk()
    for made in (2, 0):
        assert await desk.queue.offer("ada", "memory_created", b"{}", key="c1:1") == made
    assert await desk.queue.offer_to(endpoint(), b"{}", key="c1:1") is False
    assert await desk.queue.offer_to(endpoint(), b"{}", key="c1:2") is True


async def test_a_file_is_offered_as_octets_and_its_size_is_known_by_its_key() -> None:
    desk = Desk()
    to = endpoint(trigger="audio_bytes")
    assert await desk.queue.offer_file(
        to, "one.pcm", 320, key="0", query={"sample_rate": "16000"}, seconds=5.0
    )
    (row,) = desk.kept.rows.values()
    assert (row.file, row.size, row.body, row.content_type) == (
        "one.pcm",
        320,
        None,
        "application/octet-stream",
    )
    assert (row.expires_at, row.query) == (NOW + 5_000_000, {"sample_rate": "16000", "uid": "ada"})
    sizes = [await desk.queue.size("ada", to.name, to.trigger, key=key) for key in ("0", "1")]
    assert sizes == [320, 0]
    assert await desk.queue.drop("ada", row.id, "no room")
    assert not await desk.queue.drop("ada", row.id, "no room")


async def test_what_was_lost_is_logged_once() -> None:
    desk = Desk()
    for new in (True, False):
        assert (
            await desk.queue.lost("ada", "developer", "audio_bytes", key="s1", size=99, reason="died") is new
        )
    (row,) = desk.kept.rows.values()
    assert (row.state, row.size, row.reason, row.due_at) == ("lost", 99, "died", None)


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'"{}"', b"{"])
async def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match="a JSON object accepted"):
        await Desk().queue.offer("ada", "memory_created", body, key="k")


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.none()))
def test_an_object_keeps_its_members_and_gains_the_id(members: dict[str, object]) -> None:
    members.pop("delivery_id", None)
    for body in (msgspec.json.encode(members), msgspec.json.format(msgspec.json.encode(members), indent=1)):
        assert msgspec.json.decode(with_id(body, "msg_1")) == {**members, "delivery_id": "msg_1"}


@given(st.tuples(*[st.text()] * 4), st.tuples(*[st.text()] * 4))
def test_ids_differ_when_anything_does(
    one: tuple[str, str, str, str], other: tuple[str, str, str, str]
) -> None:
    assert (delivery_id(*one) == delivery_id(*other)) == (one == other)


async def test_nobody_is_woken_for_what_waits_behind_others() -> None:
    desk = Desk()
    desk.kept.due = False
    assert await desk.queue.offer("ada", "memory_created", b"{}", key="c1") == 2
    assert desk.woken == []
