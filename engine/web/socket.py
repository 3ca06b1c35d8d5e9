"""The standard way in for a session: a WebSocket of any ASGI server, as a `ClientSocket`.

Quart-Trio's own connection cancels the handler when the client goes, dropping up to ten messages it had sent
before, and turns an empty binary message into None. Here the handler reads the server's queue itself: every
message arrives, in order, then `ClientGone`; nothing is cancelled; a session that stops receiving leaves the
queue full, and the server stops reading the socket.
"""

from typing import cast

import trio
from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, WebsocketScope
from quart.asgi import ASGIWebsocketConnection
from quart_trio import QuartTrio
from quart_trio.asgi import TrioASGIWebsocketConnection
from quart_trio.wrappers import TrioWebsocket

from engine.listen.ports import ClientGone
from engine.wire import CloseCode, truncate_reason

__all__ = ["AsgiSocket", "ListenWebsocket", "WebSocketConnection"]


class AsgiSocket:
    """One accepted WebSocket. One task may receive while others send."""

    def __init__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        self._receive = receive
        self._send = send
        self._gone: int | None = None
        self._closed = False

    async def receive(self) -> bytes | str:
        """The next message; after the last one raises `ClientGone`, also after our own `close`."""
        while self._gone is None:
            event = await self._receive()
            if event["type"] == "websocket.receive":
                binary, text = event.get("bytes"), event.get("text")
                return text if binary is None and text is not None else binary or b""
            if event["type"] == "websocket.disconnect":
                self._gone = int(event.get("code") or CloseCode.ABNORMAL)
        raise ClientGone(self._gone)

    async def send(self, text: str) -> None:
        """Waits while the client does not read. Raises `ClientGone` once nobody is there."""
        if self._closed or self._gone is not None:
            raise ClientGone(self._gone or CloseCode.ABNORMAL)
        try:
            await self._send({"type": "websocket.send", "bytes": None, "text": text})
        except OSError:
            raise ClientGone(self._gone or CloseCode.ABNORMAL) from None

    async def close(self, code: int, reason: str = "") -> None:
        """Send the close frame, the reason cut to what fits. Later calls do nothing."""
        if self._closed or self._gone is not None:
            return
        self._closed = True
        try:
            await self._send({"type": "websocket.close", "code": code, "reason": truncate_reason(reason)})
        except OSError:
            self._gone = CloseCode.ABNORMAL


class ListenWebsocket(TrioWebsocket):
    """Quart's websocket, with the session's socket."""

    client: AsgiSocket


class WebSocketConnection(TrioASGIWebsocketConnection):
    """Runs a handler to its own end, whatever the client does."""

    def __init__(self, app: QuartTrio, scope: WebsocketScope) -> None:
        self.app = app
        self.scope = scope
        self._accepted = False
        self._closed = True  # to Quart: it would close with 1000 what the handler has closed already

    async def __call__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        client = AsgiSocket(receive, send)
        self.receive_channel = cast("trio.MemoryReceiveChannel[bytes | str]", client)
        websocket = cast(ListenWebsocket, self._create_websocket_from_scope(send))
        websocket.client = client
        await ASGIWebsocketConnection.handle_websocket(self, websocket, send)
