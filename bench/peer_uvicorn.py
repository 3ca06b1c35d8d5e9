"""The usual stack, as a peer: FastAPI on uvicorn, opuslib through ctypes, websockets to the vendor, all on asyncio.

It does for each frame what the Omi backend does: receive, decode, write into a ring of 60 s, collect 30 ms, copy and
send to the vendor; every 600 ms, what came back is made into segments, checked by pydantic, and sent as JSON. It does
less than that backend in all else: no database, no authentication, no applications, no other services.

    python -m bench.peer_uvicorn ws://127.0.0.1:9000/v1/listen     prints its port, serves until SIGTERM

Needs fastapi and uvicorn (extra `bench`); uses uvloop and httptools where they are installed.
"""

import asyncio
import importlib
import json
import socket
import sys
import uuid
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import uvicorn  # type: ignore[import-not-found, unused-ignore]
from fastapi import FastAPI, WebSocket, WebSocketDisconnect  # type: ignore[import-not-found, unused-ignore]
from pydantic import TypeAdapter  # type: ignore[import-not-found, unused-ignore]
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

RATE = 16_000
RING_SECONDS = 60
COLLECTED = RATE * 2 * 30 // 1000
"""Bytes that are sent together, at least."""
INTERVAL = 0.6
PING_INTERVAL = 10.0


@dataclass
class Segment:
    """A segment as it goes to the client."""

    id: str
    text: str
    speaker: str
    speaker_id: int
    is_user: bool
    person_id: str | None
    start: float
    end: float


SEGMENTS: Any = TypeAdapter(list[Segment])


class Ring:
    """The last seconds of audio, copied in, as a bytearray."""

    def __init__(self) -> None:
        self._data = bytearray(RING_SECONDS * RATE * 2)
        self._at = 0

    def write(self, pcm: bytes) -> None:
        """Copy `pcm` in, around the end where it has to be."""
        first = min(len(pcm), len(self._data) - self._at)
        self._data[self._at : self._at + first] = pcm[:first]
        if first < len(pcm):
            self._data[: len(pcm) - first] = pcm[first:]
        self._at = (self._at + len(pcm)) % len(self._data)


class Session:
    """One client and its connection to the vendor."""

    def __init__(self, client: Any, vendor: ClientConnection, frame_samples: int) -> None:
        self._client = client
        self._vendor = vendor
        self._frame_samples = frame_samples
        self._decoder: Any = importlib.import_module("opuslib_next").Decoder(RATE, 1)
        self._ring = Ring()
        self._collected = bytearray()
        self._heard: list[dict[str, Any]] = []

    async def run(self) -> None:
        """Until one of them is gone."""
        tasks = [
            asyncio.create_task(part())
            for part in (self._receive, self._hear, self._send_segments, self._ping_client)
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _receive(self) -> None:
        while (message := await self._client.receive())["type"] != "websocket.disconnect":
            data = message.get("bytes")
            if data is None or len(data) <= 2:
                continue
            pcm = self._decoder.decode(bytes(data), self._frame_samples)
            self._ring.write(pcm)
            self._collected.extend(pcm)
            if len(self._collected) >= COLLECTED:
                chunk = bytes(self._collected)
                self._collected.clear()
                await self._vendor.send(chunk)

    async def _hear(self) -> None:
        try:
            async for message in self._vendor:
                self._result(json.loads(message))
        except ConnectionClosed:
            return

    def _result(self, result: dict[str, Any]) -> None:
        if result["type"] != "Results" or not result["is_final"]:
            return
        words = result["channel"]["alternatives"][0]["words"]
        if words:
            self._heard.append(
                {
                    "id": str(uuid.uuid4()),
                    "text": " ".join(word["punctuated_word"] for word in words),
                    "speaker": "SPEAKER_00",
                    "speaker_id": 0,
                    "is_user": False,
                    "person_id": None,
                    "start": words[0]["start"],
                    "end": words[-1]["end"],
                }
            )

    async def _send_segments(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL)
            if self._heard:
                segments, self._heard = SEGMENTS.validate_python(self._heard), []
                await self._client.send_json(SEGMENTS.dump_python(segments))

    async def _ping_client(self) -> None:
        while True:
            await asyncio.sleep(PING_INTERVAL)
            await self._client.send_text("ping")


def create_app(vendor_url: str) -> Any:
    """The application; each connection opens one to the vendor."""
    app = FastAPI()
    query = urlencode(
        {"model": "nova-3", "language": "en", "encoding": "linear16", "sample_rate": RATE, "channels": 1}
    )

    async def listen(websocket: WebSocket, codec: str = "opus_fs320") -> None:
        await websocket.accept()
        async with connect(f"{vendor_url}?{query}", compression=None) as vendor:
            try:
                await Session(websocket, vendor, 320 if codec == "opus_fs320" else 160).run()
            except WebSocketDisconnect:
                return

    app.add_api_websocket_route("/v4/listen", listen)
    return app


def main(vendor_url: str) -> None:
    """Serve on a free port of the loopback interface."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    print(listener.getsockname()[1], flush=True)
    config = uvicorn.Config(create_app(vendor_url), log_level="warning", access_log=False)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main(sys.argv[1])
