"""Requests to addresses that users give, over real sockets."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from engine._config_webhooks import Webhook
from engine.webhooks.client import NoAnswer, WebhookClient

from .receiving import Connection, Received, answering, certificate, cutting, hanging, large, receiver

LOOPBACK = "127.0.0.0/8"


class Names:
    """A resolver: each name's addresses in turn, the last for ever."""

    def __init__(self, **answers: Sequence[str]) -> None:
        self.asked: list[str] = []
        self._answers = {name.replace("_", "."): list(found) for name, found in answers.items()}

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        left = self._answers.get(host, [host])
        return [left.pop(0) if len(left) > 1 else left[0]]


@asynccontextmanager
async def client(names: Names | None = None, **settings: Any) -> AsyncIterator[WebhookClient]:
    settings = {"allow": (LOOPBACK,), "timeout": 15.0, **settings}
    made = WebhookClient(Webhook(**settings), trio.to_thread.run_sync, resolver=names or Names())
    async with made.open():
        yield made


async def test_an_answer_comes_with_its_status_headers_and_body() -> None:
    async with receiver(answering(201, body=b"thanks", headers={"X-Said": "so"})) as there, client() as ours:
        answer = await ours.send("POST", there.url("/a?b=1"), body=b"hello", headers={"X-Asked": "it"})
    assert (answer.status, answer.body, answer.headers["x-said"], answer.cut) == (201, b"thanks", "so", False)
    (request,) = there.requests
    assert (request.method, request.target, request.body) == ("POST", "/a?b=1", b"hello")
    assert request.headers["x-asked"] == "it"
    assert request.headers["accept-encoding"] == "identity"


async def test_a_redirect_is_an_answer_and_not_followed() -> None:
    moved = answering(302, headers={"Location": "http://169.254.169.254/latest/meta-data"})
    async with receiver(moved) as there, client() as ours:
        answer = await ours.send("POST", there.url())
    assert answer.status == 302
    assert len(there.requests) == 1


async def test_an_answer_of_ten_megabytes_is_cut_and_no_more_of_it_is_taken() -> None:
    async with receiver(large(10_000_000)) as there, client(answer_limit=65536) as ours:
        answer = await ours.send("GET", there.url())
    assert (answer.status, len(answer.body), answer.cut) == (200, 65536, True)


async def test_a_compressed_answer_is_not_unpacked() -> None:
    async with (
        receiver(answering(200, body=b"\x1f\x8b", headers={"Content-Encoding": "gzip"})) as there,
        client() as ours,
    ):
        answer = await ours.send("GET", there.url())
    assert (answer.status, answer.body, answer.cut) == (200, b"", True)


async def test_a_body_that_never_ends_does_not_undo_what_the_head_said() -> None:
    async def trickling(connection: Connection, _request: Received) -> None:
        await connection.head(200, {"Content-Length": "100"})
        await connection.data(b"begun")
        await trio.sleep_forever()

    async with receiver(trickling) as there, client() as ours:
        answer = await ours.send("GET", there.url(), timeout=0.3)
    assert (answer.status, answer.body, answer.cut) == (200, b"begun", True)


async def test_who_never_answers_is_given_up() -> None:
    async with receiver(hanging) as there, client() as ours:
        with pytest.raises(NoAnswer, match=r"no answer in 0\.2 s") as raised:
            await ours.send("GET", there.url(), timeout=0.2)
    assert raised.value.kind == "timeout"


async def test_a_connection_that_is_cut_or_refused_says_which() -> None:
    async with receiver(cutting) as there, client() as ours:
        with pytest.raises(NoAnswer) as raised:
            await ours.send("GET", there.url())
        assert raised.value.kind == "broken"
        nobody = there.url()
    async with client() as ours:
        with pytest.raises(NoAnswer) as raised:
            await ours.send("GET", nobody)
    assert raised.value.kind == "connect"


async def test_what_is_no_tls_is_told_from_what_is_not_there() -> None:
    async with receiver() as there, client() as ours:
        with pytest.raises(NoAnswer) as raised:
            await ours.send("GET", there.url().replace("http:", "https:"))
    assert raised.value.kind == "tls"


async def test_a_private_address_is_refused_before_anything_is_sent() -> None:
    async with receiver() as there, client(allow=()) as ours:
        with pytest.raises(NoAnswer, match="not on the public Internet") as raised:
            await ours.send("GET", there.url())
    assert raised.value.kind == "address"
    assert there.connections == 0


async def test_a_name_that_stands_for_a_private_address_after_the_check_is_not_connected_to() -> None:
    """DNS rebinding: permitted when the user sets it, another machine when it is used."""
    names = Names(hook_example=["93.184.216.34", "10.0.0.1"])
    async with client(names, allow=()) as ours:
        assert await ours.check("http://hook.example/") is None
        with pytest.raises(NoAnswer, match=r"10\.0\.0\.1 is not on the public Internet"):
            await ours.send("POST", "http://hook.example/")
    assert names.asked == ["hook.example", "hook.example"]


async def test_the_connection_goes_to_the_very_address_that_was_checked() -> None:
    """A second resolution, by whatever connects, would get the second answer."""
    names = Names(hook_example=["127.0.0.1", "127.99.99.99"])
    async with receiver() as there, client(names) as ours:
        answer = await ours.send("POST", there.url(host="hook.example"))
    assert answer.status == 200
    assert names.asked == ["hook.example"]
    assert there.requests[0].headers["host"] == f"hook.example:{there.port}"


async def test_cookies_of_one_endpoint_are_never_sent_to_another() -> None:
    async with receiver(answering(200, headers={"Set-Cookie": "session=secret"})) as there, client() as ours:
        for _ in range(2):
            await ours.send("GET", there.url())
    assert all("cookie" not in request.headers for request in there.requests)


async def test_a_name_that_nobody_resolves_in_time_is_given_up() -> None:
    class Silent(Names):
        async def __call__(self, host: str, port: int) -> Sequence[str]:
            await trio.sleep_forever()
            return []

    async with client(Silent(), connect_timeout=0.2) as ours:
        with pytest.raises(NoAnswer) as raised:
            await ours.send("GET", "http://slow.example/")
        assert await ours.check("http://slow.example/") is None
    assert raised.value.kind == "connect"


async def test_an_endpoint_behind_tls_is_checked_against_its_name(tmp_path: Path) -> None:
    server, ca_file = certificate("hook.example", tmp_path)
    names = Names(hook_example=["127.0.0.1"], other_example=["127.0.0.1"])
    async with receiver(tls=server) as there, client(names, ca_file=ca_file) as ours:
        answer = await ours.send("POST", there.url(host="hook.example"), body=b"x")
        assert answer.status == 200
        with pytest.raises(NoAnswer) as raised:
            await ours.send("POST", there.url(host="other.example"))
    assert raised.value.kind == "tls"
    async with receiver(tls=server) as there, client(names) as ours:
        with pytest.raises(NoAnswer) as raised:
            await ours.send("POST", there.url(host="hook.example"))
    assert raised.value.kind == "tls"
    assert there.requests == []


async def test_before_it_is_open_there_is_no_answer() -> None:
    ours = WebhookClient(Webhook(), trio.to_thread.run_sync)
    with pytest.raises(NoAnswer) as raised:
        await ours.send("GET", "http://example.com/")
    assert raised.value.kind == "closed"
