"""`AsgiSocket` on the events of any ASGI server."""

from typing import Any

import pytest
import trio

from engine.listen.ports import ClientGone
from engine.web import AsgiSocket


class Server:
    """The events it is given, one by one; `gone` makes every send fail, as the ASGI specification has it."""

    def __init__(self, *events: dict[str, Any]) -> None:
        self.events = list(events)
        self.sent: list[Any] = []
        self.gone = False

    async def receive(self) -> Any:
        await trio.lowlevel.checkpoint()
        return self.events.pop(0)

    async def send(self, event: Any) -> None:
        await trio.lowlevel.checkpoint()
        if self.gone:
            raise OSError("closed")
        self.sent.append(event)


def message(**content: Any) -> dict[str, Any]:
    return {"type": "websocket.receive", **content}


def socket(server: Server) -> AsgiSocket:
    return AsgiSocket(server.receive, server.send)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"bytes": b"abc", "text": None}, b"abc"),
        ({"bytes": b"abc"}, b"abc"),
        ({"bytes": b"", "text": None}, b""),
        ({"bytes": None, "text": "abc"}, "abc"),
        ({"text": "abc"}, "abc"),
        ({"bytes": None, "text": ""}, ""),
    ],
)
async def test_messages_come_as_they_were_sent(content: dict[str, Any], expected: bytes | str) -> None:
    assert await socket(Server({"type": "websocket.connect"}, message(**content))).receive() == expected


@pytest.mark.parametrize(("event", "code"), [({"code": 4000}, 4000), ({}, 1006), ({"code": None}, 1006)])
async def test_the_end_is_told_once_per_call_with_its_code(event: dict[str, Any], code: int) -> None:
    client = socket(Server(message(bytes=b"x"), {"type": "websocket.disconnect", **event}))
    assert await client.receive() == b"x"
    for _ in range(2):
        with pytest.raises(ClientGone) as gone:
            await client.receive()
        assert gone.value.code == code
    with pytest.raises(ClientGone):
        await client.send("too late")


async def test_a_server_that_cannot_send_any_more_means_the_client_is_gone() -> None:
    server = Server()
    client = socket(server)
    await client.send("in time")
    server.gone = True
    with pytest.raises(ClientGone):
        await client.send("too late")
    await client.close(1001)
    assert server.sent == [{"type": "websocket.send", "bytes": None, "text": "in time"}]


async def test_only_the_first_close_frame_is_sent_with_its_reason_cut_to_fit() -> None:
    server = Server()
    client = socket(server)
    await client.close(1008, "é" * 100)
    await client.close(1011, "again")
    (event,) = server.sent
    assert (event["code"], event["reason"]) == (1008, "é" * 61)
    with pytest.raises(ClientGone):
        await client.send("after the close frame")
