"""The two listen sockets up to where the session takes over, on the wire."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from engine.listen.ports import ClientSocket
from engine.wire import Refusal
from tests.listen.promised import wrong
from tests.server.raw import BINARY, TEXT, RawClient, close_frame, connect, frame, handshake, websocket
from tests.web import serving
from tests.web.serving import Site

site = serving.site


@pytest.fixture(params=["quart", "lane"], autouse=True)
def way_in(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test runs over both ways in."""
    monkeypatch.setattr(f"{__name__}.site", partial(serving.site, lane=request.param == "lane"))


async def read_json(client: RawClient) -> dict[str, Any]:
    opcode, payload = await client.read_frame()
    assert opcode == TEXT
    message: dict[str, Any] = json.loads(payload)
    assert list(wrong("webListen", "Sends", message)) == []
    return message


async def read_refusal(client: RawClient) -> tuple[dict[str, Any], int, str]:
    """The error event, and code and reason of the close frame behind it."""
    event = await read_json(client)
    assert event.pop("type") == "error"
    code, reason = await client.read_close()
    assert code == event["code"]
    await client.send(close_frame(code))
    assert await client.read_end() == b""
    return event, code, reason


async def test_a_session_gets_the_user_and_the_parameters_and_then_the_messages(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        path = "/v4/listen?uid=alice&codec=opus&sample_rate=16000&language=pt-br&new=1"
        async with websocket(served.port, path) as client:
            await client.send(frame(TEXT, b"hello"), frame(BINARY, b""), frame(BINARY, b"\x8a\x00"))
            answers = [(await client.read_frame())[1] for _ in range(3)]
            assert answers == [b"hello", b"0", b"2"]
            await client.send(close_frame(1000))
            await served.sessions.wait_ended()
        ((uid, parameters),) = served.sessions.served
        assert uid == "alice"
        assert (parameters.codec, parameters.sample_rate, parameters.language) == ("opus", 16_000, "pt-BR")
        assert served.sessions.gone is not None
        assert served.sessions.gone.code == 1000
        assert served.metric("listen_connections_total") == 1


async def test_what_was_sent_before_a_disconnect_reaches_a_session_that_was_busy(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        busy = trio.Event()

        async def late(socket: ClientSocket) -> None:
            await busy.wait()
            await served.sessions.only_receive(socket)

        served.sessions.behaviour = late
        sent = [f"packet {n}".encode() for n in range(100)]
        async with websocket(served.port, "/v4/listen?uid=alice") as client:
            await client.send(*[frame(BINARY, packet) for packet in sent])
        busy.set()
        await served.sessions.wait_ended()
        assert served.sessions.received == sent


BAD_PARAMETERS = [
    ("uid=alice&codec=mp3", 1003, "codec", "mp3"),
    ("uid=alice&codec=opus&sample_rate=44100", 1003, "sample_rate", "44100"),
    ("uid=alice&channels=3", 1003, "channels", "3"),
    ("uid=alice&language=klingon!", 1008, "language", "klingon!"),
    ("uid=alice&conversation_timeout=1", 1008, "conversation_timeout", "1"),
    ("uid=alice&stt_service=nobody", 1008, "stt_service", "nobody"),
    ("codec=pcm16", 1008, "uid", None),
    ("uid=", 1008, "uid", None),
    ("&".join(["uid=alice"] * 101), 1008, "query", "too many parameters"),
]


async def test_a_bad_parameter_is_named_and_the_connection_closed_with_the_reason(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        for count, (query, code, parameter, value) in enumerate(BAD_PARAMETERS, start=1):
            async with websocket(served.port, f"/v4/listen?{query}") as client:
                event, closed_with, reason = await read_refusal(client)
            assert closed_with == code, query
            assert (event["parameter"], event["value"]) == (parameter, value)
            assert event["accepted"]
            assert reason == event["message"]
            assert sum_of_rejections(served) == count
        assert served.sessions.served == []


def sum_of_rejections(served: Site) -> float:
    families = served.services.metrics.registry.collect()
    (family,) = [family for family in families if family.name == "listen_connections_rejected"]
    return sum(sample.value for sample in family.samples if sample.name.endswith("_total"))


STRANGERS = [
    (None, "", 1008, "Authorization header not found", "auth"),
    (None, "?uid=alice", 1008, "Authorization header not found", "auth"),
    ("Bearer nonsense", "", 1008, "Invalid authorization token", "auth"),
    ("Bearer {key}", "?uid=bob", 1008, "Bad uid", "uid"),
    ("Bearer {over}", "", 4001, "Token refresh required", "auth_expired"),
]


async def test_with_tokens_a_stranger_is_told_why_he_stays_outside(tmp_path: Path) -> None:
    async with site(tmp_path, auth="token") as served:
        key = await served.store.tokens.create("alice")
        over = await served.store.tokens.create("alice", expires_at=1)
        for authorization, query, code, message, label in STRANGERS:
            headers = [f"Authorization: {authorization.format(key=key, over=over)}"] if authorization else []
            before = served.metric("listen_connections_rejected_total", reason=label)
            async with websocket(served.port, f"/v4/listen{query}", *headers) as client:
                event, closed_with, reason = await read_refusal(client)
            assert closed_with == code
            assert event["message"].startswith(message)
            assert reason.startswith(message)
            assert served.metric("listen_connections_rejected_total", reason=label) == before + 1
        assert served.sessions.served == []


async def test_with_tokens_the_token_names_the_user(tmp_path: Path) -> None:
    async with site(tmp_path, auth="token") as served:
        key = await served.store.tokens.create("alice")
        async with websocket(served.port, "/v4/listen", f"Authorization: Bearer {key}") as client:
            await client.send(close_frame(1000))
            await served.sessions.wait_ended()
        assert [uid for uid, _ in served.sessions.served] == ["alice"]


async def test_a_refusal_of_the_session_carries_its_retry_time(tmp_path: Path) -> None:
    async def full(socket: ClientSocket) -> None:
        raise Refusal(1013, "capacity", message="all sessions are taken: try again in 5 s", retry_after=5.0)

    async with site(tmp_path) as served:
        served.sessions.behaviour = full
        async with websocket(served.port, "/v4/listen?uid=alice") as client:
            event, code, reason = await read_refusal(client)
        assert (code, reason) == (1013, "all sessions are taken: try again in 5 s")
        assert event["retry_after"] == 5.0
        assert served.metric("listen_connections_rejected_total", reason="capacity") == 1


async def test_before_the_models_are_warm_clients_are_asked_to_come_again(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        served.services.readiness.models_loading("loading")
        async with websocket(served.port, "/v4/listen?uid=alice") as client:
            event, code, _ = await read_refusal(client)
        assert code == 1013
        assert event["retry_after"] > 0


async def test_a_session_that_fails_is_closed_with_1011_and_the_server_serves_on(tmp_path: Path) -> None:
    async def fail(socket: ClientSocket) -> None:
        raise RuntimeError("on purpose")

    async with site(tmp_path) as served:
        served.sessions.behaviour = fail
        async with websocket(served.port, "/v4/listen?uid=alice") as client:
            assert await client.read_close() == (1011, "internal error")
            await client.send(close_frame(1011))
            assert await client.read_end() == b""
        assert served.metric("listen_session_errors_total") == 1
        served.sessions.behaviour = served.sessions.echo
        async with websocket(served.port, "/v4/listen?uid=alice") as client:
            await client.send(frame(TEXT, b"hello"))
            assert await client.read_frame() == (TEXT, b"hello")


async def test_a_message_over_the_limit_ends_the_session_with_1009(tmp_path: Path) -> None:
    async with site(tmp_path, message_limit=1024) as served:
        async with websocket(served.port, "/v4/listen?uid=alice") as client:
            await client.send(frame(BINARY, bytes(1025)))
            assert (await client.read_close())[0] == 1009
            await client.send(close_frame(1009))
            assert await client.read_end() == b""
            await served.sessions.wait_ended()
        assert served.sessions.gone is not None
        assert served.sessions.gone.code == 1009


async def test_a_socket_nobody_serves_is_a_404(tmp_path: Path) -> None:
    async with site(tmp_path) as served, connect(served.port) as client:
        await client.send(handshake("/v4/nothing"))
        assert "404" in (await client.read_head()).splitlines()[0]


def auth_message(token: str) -> bytes:
    return frame(TEXT, json.dumps({"type": "auth", "token": token}).encode())


async def test_a_browser_says_who_it_is_in_its_first_message(tmp_path: Path) -> None:
    async with site(tmp_path, auth="token") as served:
        key = await served.store.tokens.create("alice")
        async with websocket(served.port, "/v4/web/listen?codec=pcm16&sample_rate=16000") as client:
            await client.send(auth_message(key), frame(TEXT, b"hello"))
            assert await read_json(client) == {"type": "auth_response", "success": True}
            assert await client.read_frame() == (TEXT, b"hello")
        ((uid, parameters),) = served.sessions.served
        assert (uid, parameters.codec) == ("alice", "pcm16")


async def test_in_development_a_browser_names_the_user_in_its_token(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        async with websocket(served.port, "/v4/web/listen") as client:
            await client.send(auth_message("dev:alice"))
            assert await read_json(client) == {"type": "auth_response", "success": True}
        await served.sessions.wait_ended()
        assert [uid for uid, _ in served.sessions.served] == ["alice"]


FIRST_MESSAGES = {
    "wrong token": auth_message("wrong"),
    "empty token": auth_message(""),
    "no JSON": frame(TEXT, b"hello"),
    "another message": frame(TEXT, b'{"type":"flush"}'),
    "audio": frame(BINARY, b"audio"),
    "empty": frame(BINARY),
}


async def test_a_browser_that_begins_with_anything_but_a_good_token_is_refused(tmp_path: Path) -> None:
    async with site(tmp_path, auth="token") as served:
        for name, first in FIRST_MESSAGES.items():
            async with websocket(served.port, "/v4/web/listen") as client:
                await client.send(first)
                assert await read_json(client) == {"type": "auth_response", "success": False}, name
                event, code, reason = await read_refusal(client)
            assert code == 1008
            assert event["parameter"] == "authorization"
            assert "nvalid" in reason or "not found" in reason
        assert served.sessions.served == []


async def test_a_browser_whose_token_is_over_is_told_to_refresh_it(tmp_path: Path) -> None:
    async with site(tmp_path, auth="token") as served:
        over = await served.store.tokens.create("alice", expires_at=1)
        async with websocket(served.port, "/v4/web/listen") as client:
            await client.send(auth_message(over))
            assert await read_json(client) == {"type": "auth_response", "success": False}
            _, code, reason = await read_refusal(client)
        assert (code, reason) == (4001, "Token refresh required")


async def test_a_browser_that_says_nothing_is_sent_away(tmp_path: Path) -> None:
    async with site(tmp_path, web_auth_timeout=0.1) as served:
        async with websocket(served.port, "/v4/web/listen?uid=alice") as client:
            event, code, reason = await read_refusal(client)
        assert (code, reason) == (1008, "Auth timeout")
        assert "within 0.1 s" in event["accepted"]
        assert served.metric("listen_connections_rejected_total", reason="auth_timeout") == 1


async def test_a_browser_that_goes_before_it_said_who_it_is_leaves_nothing(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        async with websocket(served.port, "/v4/web/listen") as client:
            await client.send(close_frame(1000))
            assert (await client.read_close())[0] == 1000
            assert await client.read_end() == b""
        assert served.sessions.served == []
        assert sum_of_rejections(served) == 0
