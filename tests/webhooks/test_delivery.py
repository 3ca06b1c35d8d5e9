"""What is offered is delivered, in order where order counts; what endpoints answer is known."""

import base64
import hashlib
import hmac
from pathlib import Path

import msgspec
import pytest
import trio
import trio.testing
from standardwebhooks import Webhook as Verifier

from engine.store.webhook_records import DeliveryRow
from engine.webhooks import spreading
from engine.webhooks.judging import Attempt
from engine.webhooks.ports import Endpoint
from tests.patience import PATIENCE

from .posting import News, posting
from .receiving import Connection, Received, answering, hanging, receiver


async def test_a_request_is_signed_names_its_delivery_and_has_the_documented_shape(tmp_path: Path) -> None:
    async with receiver() as there, posting(tmp_path) as post:
        await post.set(there.url("/hook?token=x"))
        await post.offer()
        (row,) = await post.ended()
        (secret,) = await post.store.webhooks.secrets("ada", "unused")
    (request,) = there.requests
    assert (request.method, request.target) == ("POST", "/hook?token=x&uid=ada")
    assert request.headers["content-type"] == "application/json"
    assert request.body == b'{"said":"hello","delivery_id":"' + row.id.encode() + b'"}'
    assert request.headers["webhook-id"] == request.headers["idempotency-key"] == row.id
    assert Verifier(secret.secret).verify(request.body, dict(request.headers))["said"] == "hello"
    assert (row.state, row.status, row.attempts, row.reason) == ("delivered", 200, 1, None)
    assert row.milliseconds is not None


async def test_the_id_and_the_body_stay_over_retries_and_the_time_does_not_verify_twice(
    tmp_path: Path,
) -> None:
    async with receiver(answering(500, 503, 200)) as there, posting(tmp_path) as post:
        await post.set(there.url())
        await post.offer()
        (row,) = await post.ended()
    assert len({(request.id, request.body) for request in there.requests}) == 1
    assert (row.state, row.attempts, [entry[1] for entry in row.history]) == ("delivered", 3, [500, 503, 200])


async def test_audio_arrives_in_order_one_at_a_time_as_octets(tmp_path: Path) -> None:
    async with receiver(answering(500, 200, 500, 500, 200)) as there, posting(tmp_path) as post:
        await post.set(there.url(), "audio_bytes")
        for number in range(5):
            await post.offer_audio(number)
        rows = await post.ended()
        (secret,) = await post.store.webhooks.secrets("ada", "unused")
    arrived = [request.body[0] for request in there.requests]
    assert arrived == sorted(arrived)
    assert sorted(set(arrived)) == [0, 1, 2, 3, 4]
    assert there.most_open == 1
    assert {row.state for row in rows} == {"delivered"}
    request = there.requests[0]
    assert (request.target, request.headers["content-type"]) == (
        "/hook?sample_rate=16000&uid=ada",
        "application/octet-stream",
    )
    assert request.headers["webhook-signature"] == signature(secret.secret, request)


def signature(secret: str, request: Received) -> str:
    """Standard Webhooks' by hand: its library only takes text."""
    signed = f"{request.id}.{request.headers['webhook-timestamp']}.".encode() + request.body
    digest = hmac.new(base64.b64decode(secret.removeprefix("whsec_")), signed, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


async def test_others_are_made_several_at_a_time_and_no_more(tmp_path: Path) -> None:
    arrived, go = trio.Event(), trio.Event()

    async def gathering(connection: Connection, _request: Received) -> None:
        if there.open == 3:
            arrived.set()
        await go.wait()
        await connection.send()

    async with receiver(gathering) as there, posting(tmp_path, concurrency=3) as post:
        await post.set(there.url())
        for number in range(7):
            await post.offer(f"c{number}")
        with trio.fail_after(PATIENCE):
            await arrived.wait()
        assert post.delivery.statistics().requests == 3
        go.set()
        await post.ended()
    assert (there.most_open, len({request.id for request in there.requests})) == (3, 7)


async def test_requests_to_one_endpoint_are_spaced_by_its_rate_also_over_several_holds(
    tmp_path: Path,
) -> None:
    at: list[float] = []

    async def noting(connection: Connection, _request: Received) -> None:
        at.append(trio.current_time())
        await connection.send()

    async with receiver(noting) as there, posting(tmp_path, requests_per_second=5.0, concurrency=1) as post:
        await post.set(there.url())
        began = trio.current_time()
        for number in range(3):
            await post.offer(f"c{number}")
            await post.ended()
    assert at[2] - began >= 0.39  # twice a fifth of a second, by two clocks


class Hearing:
    """Apps that hear everybody's audio."""

    def __init__(self, *ids: str) -> None:
        self.ids = ids
        self.url = ""

    async def endpoints(self, uid: str) -> list[Endpoint]:
        return [Endpoint(uid=uid, name=f"app:{id}", trigger="audio_bytes", url=self.url) for id in self.ids]

    async def any_enabled(self) -> bool:
        return bool(self.ids)


async def test_audio_that_is_due_for_many_at_once_is_sent_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spreading, "GAP", 0.1)
    at: list[float] = []
    apps = Hearing("a", "b", "c")
    async with receiver() as there, posting(tmp_path, apps=apps) as post:
        apps.url = there.url()
        attempt = post.sender.attempt

        async def noting(delivery: DeliveryRow) -> Attempt:
            at.append(trio.current_time())
            return await attempt(delivery)

        monkeypatch.setattr(post.sender, "attempt", noting)
        for endpoint in await post.directory.endpoints("ada", "audio_bytes"):
            await post.offer_chunk(endpoint, 0, None)
        await post.ended()
    assert at[2] - at[0] >= 0.19  # the second space is a little shorter than the first


async def test_a_drain_does_not_wait_for_audio_whose_turn_has_not_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spreading, "GAP", 3600.0)
    apps = Hearing("a", "b")
    async with receiver() as there, posting(tmp_path, apps=apps) as post:
        apps.url = there.url()
        for endpoint in await post.directory.endpoints("ada", "audio_bytes"):
            await post.offer_chunk(endpoint, 0, None)
        await post.until(lambda rows: any(row.state == "delivered" for row in rows))
        with trio.fail_after(PATIENCE):
            await post.delivery.drain()
        assert sorted(row.state for row in await post.rows()) == ["delivered", "pending"]
    assert len(there.requests) == 1


async def test_an_endpoint_that_hangs_holds_up_nobody_else(tmp_path: Path) -> None:
    async with receiver(hanging) as stuck, receiver() as there, posting(tmp_path) as post:
        await post.set(stuck.url(), "day_summary")
        await post.set(there.url())
        await post.offer("d1", "day_summary")
        await stuck.until(1)
        await post.offer("c1")
        rows = await post.until(lambda rows: any(row.state == "delivered" for row in rows))
    states = {row.trigger: row.state for row in rows}
    assert states == {"day_summary": "pending", "memory_created": "delivered"}


async def test_what_comes_while_an_endpoint_is_busy_is_sent_without_waiting_for_it(tmp_path: Path) -> None:
    async def first_hangs(connection: Connection, _request: Received) -> None:
        if len(there.requests) == 1:
            await trio.sleep_forever()
        await connection.send()

    async with receiver(first_hangs) as there, posting(tmp_path, claim_time=600.0) as post:
        await post.set(there.url())
        await post.offer("c1")
        await there.until(1)
        await post.offer("c2")
        await there.until(2)
    assert len({request.id for request in there.requests}) == 2


async def test_an_endpoint_that_fails_gets_a_pause_then_one_request_at_a_time(tmp_path: Path) -> None:
    failing = answering(*[500] * 8, 200)
    async with (
        receiver(failing) as there,
        posting(tmp_path, breaker_failures=2, schedule=(0.0,) * 20) as post,
    ):
        await post.set(there.url())
        for number in range(3):
            await post.offer(f"c{number}")
        rows = await post.ended()
        assert {row.state for row in rows} == {"delivered"}
        endpoint = await post.endpoint()
    assert (endpoint.failures, endpoint.paused_until, endpoint.requests) == (0, None, len(there.requests))


async def test_an_endpoint_that_goes_on_failing_is_turned_off_and_its_owner_told(tmp_path: Path) -> None:
    told: list[tuple[str, ...]] = []

    class Owner:
        async def disabled(self, uid: str, name: str, trigger: str, reason: str) -> None:
            told.append((uid, name, trigger, reason))

    async with receiver(answering(500)) as there, posting(tmp_path, disable_after_failures=2) as post:
        post.delivery.when_disabled(Owner())
        await post.set(there.url())
        await post.offer("c1")
        await post.offer("c2")
        rows = await post.until(lambda rows: bool(told) and all(row.state == "dead" for row in rows))
        endpoint = await post.endpoint()
        reason = "2 requests in a row failed; the last: answered 500"
        assert (endpoint.disabled_reason, endpoint.dead) == (reason, 2)
        assert told == [("ada", "developer", "memory_created", reason)]
        assert all((row.reason or "").startswith("the endpoint is off") for row in rows)
        assert await post.queue.offer("ada", "memory_created", b"{}", key="c3") == 0
        assert post.metric("listen_webhook_disabled_total", trigger="memory_created") == 1.0


async def test_what_is_dead_can_be_sent_again_under_the_same_id(tmp_path: Path) -> None:
    async with receiver(answering(500, 500, 500, 200)) as there, posting(tmp_path) as post:
        await post.set(there.url())
        await post.offer()
        (row,) = await post.ended()
        assert (row.state, row.attempts) == ("dead", 3)
        assert await post.store.deliveries.replay("ada", row.id)
        post.delivery.wake()
        (row,) = await post.ended()
    assert (row.state, len({request.id for request in there.requests})) == ("delivered", 1)


async def test_both_secrets_sign_while_they_overlap(tmp_path: Path) -> None:
    async with receiver() as there, posting(tmp_path) as post:
        await post.set(there.url())
        await post.store.webhooks.secrets("ada", "whsec_b25l")
        await post.store.webhooks.rotate("ada", "whsec_dHdv", 60.0)
        await post.offer()
        await post.ended()
    (request,) = there.requests
    for secret in ("whsec_b25l", "whsec_dHdv"):
        Verifier(secret).verify(request.body, dict(request.headers))


async def test_answers_are_told_with_their_delivery_and_a_fault_in_that_stops_nothing(tmp_path: Path) -> None:
    told: list[tuple[str, str, int, bytes]] = []

    class App:
        async def answered(self, endpoint: Endpoint, delivery: DeliveryRow, status: int, body: bytes) -> None:
            told.append((endpoint.name, delivery.id, status, body))
            raise RuntimeError("an app's answer nobody foresaw")

    said = msgspec.json.encode({"message": "Well done"})
    async with receiver(answering(200, 500, 200, body=said)) as there, posting(tmp_path) as post:
        post.sender.when_answered(App())
        await post.set(there.url())
        await post.offer("c1")
        await post.ended()
        await post.offer("c2")
        rows = await post.ended()
    assert told == [("developer", row.id, 200, said) for row in rows]
    assert {row.state for row in rows} == {"delivered"}


async def test_a_chunk_whose_audio_is_gone_is_dropped_with_the_reason_and_the_next_is_sent(
    tmp_path: Path,
) -> None:
    async with receiver() as there, posting(tmp_path, running=False) as post:
        await post.set(there.url(), "audio_bytes")
        await post.offer_audio(0)
        for file in post.spool.folder.iterdir():
            file.unlink()
        post.spool.close()
        await post.offer_audio(1)
        async with trio.open_nursery() as nursery:
            await nursery.start(post.run)
            gone, sent = await post.ended()
            nursery.cancel_scope.cancel()
        reason = "the audio is not kept any more (webhook.audio_keep, webhook.spool_mib)"
        endpoint = await post.endpoint("audio_bytes")
        assert (gone.state, gone.reason, endpoint.dropped) == ("dropped", reason, 1)
        assert (sent.state, endpoint.failures) == ("delivered", 0)


async def test_audio_that_was_delivered_can_be_sent_again_while_it_is_kept(tmp_path: Path) -> None:
    async with receiver() as there, posting(tmp_path) as post:
        await post.set(there.url(), "audio_bytes")
        await post.offer_audio(7)
        (row,) = await post.ended()
        for times, states in ((2, {"delivered"}), (2, {"dropped"})):
            assert await post.store.deliveries.replay("ada", row.id)
            post.delivery.wake()
            rows = await post.ended()
            assert ({one.state for one in rows}, len(there.requests)) == (states, times)
            for file in post.spool.folder.iterdir():
                file.unlink()
    assert len({(request.id, request.body) for request in there.requests}) == 1


async def test_a_process_that_stops_leaves_what_it_was_sending_to_the_next(tmp_path: Path) -> None:
    async with receiver(hanging) as stuck, posting(tmp_path, claim_time=600.0) as post:
        await post.set(stuck.url())
        await post.offer()
        await stuck.until(1)
    async with receiver() as there, posting(tmp_path, claim_time=600.0) as post:
        await post.set(there.url())
        (row,) = await post.ended()
    assert (row.state, there.requests[0].id) == ("delivered", stuck.requests[0].id)


async def test_a_drain_lets_what_is_being_sent_end_and_begins_nothing_more(tmp_path: Path) -> None:
    go = trio.Event()

    async def waiting(connection: Connection, _request: Received) -> None:
        await go.wait()
        await connection.send()

    async with receiver(waiting) as there, posting(tmp_path) as post:
        await post.set(there.url(), "audio_bytes")
        for number in range(2):
            await post.offer_audio(number)
        await there.until(1)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(post.delivery.drain)
            await trio.testing.wait_all_tasks_blocked()
            go.set()
        assert [row.state for row in await post.rows()] == ["delivered", "pending"]
    assert len(there.requests) == 1


@pytest.mark.parametrize("ordered", [True, False])
async def test_two_processes_on_one_database_deliver_each_once_and_in_order(
    tmp_path: Path, ordered: bool
) -> None:
    trigger = "audio_bytes" if ordered else "memory_created"
    news = News()
    async with (
        receiver() as there,
        posting(tmp_path, news=news, claim_time=600.0) as one,
        posting(tmp_path, news=news, claim_time=600.0) as two,
    ):
        await one.set(there.url(), trigger)
        for number in range(20):
            post = (one, two)[number % 2]
            await (post.offer_audio(number) if ordered else post.offer(f"c{number}"))
        rows = await one.until(lambda rows: sum(row.state == "delivered" for row in rows) == 20)
    assert len({request.id for request in there.requests}) == len(there.requests) == 20
    if ordered:
        assert [request.id for request in there.requests] == [row.id for row in rows]
        assert there.most_open == 1


async def test_requests_and_bytes_are_counted_by_endpoint_and_as_metrics(tmp_path: Path) -> None:
    async with receiver(answering(500, 200)) as there, posting(tmp_path) as post:
        await post.set(there.url())
        await post.offer()
        (row,) = await post.ended()
        endpoint = await post.endpoint()
    assert (endpoint.requests, endpoint.bytes, endpoint.delivered) == (2, 2 * row.size, 1)
    labels = {"trigger": "memory_created", "to": "developer"}
    for outcome in ("2xx", "5xx"):
        assert post.metric("listen_webhook_requests_total", **labels, outcome=outcome) == 1.0
    assert post.metric("listen_webhook_sent_bytes_total", **labels) == 2 * row.size
    assert post.metric("listen_webhook_deliveries_total", **labels, state="delivered") == 1.0
    assert not [
        one for one in post.registry.collect() if "endpoint" in one.name
    ]  # a user's id only if asked for


async def test_an_operator_may_have_requests_and_bytes_of_each_endpoint_of_so_many(tmp_path: Path) -> None:
    async with receiver() as there, posting(tmp_path, endpoint_metrics=1) as post:
        for trigger in ("memory_created", "realtime_transcript"):
            await post.set(there.url(), trigger)
        await post.offer()
        (first,) = await post.ended()
        await post.offer(trigger="realtime_transcript")
        await post.offer("c2", trigger="realtime_transcript")
        await post.ended()
    own = {"uid": "ada", "endpoint": "developer", "trigger": "memory_created"}
    others = {"uid": "", "endpoint": "other", "trigger": "other"}
    assert post.metric("listen_webhook_endpoint_requests_total", **own) == 1.0
    assert post.metric("listen_webhook_endpoint_sent_bytes_total", **own) == first.size
    assert post.metric("listen_webhook_endpoint_requests_total", **others) == 2.0
