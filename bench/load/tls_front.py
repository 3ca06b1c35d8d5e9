"""TLS in front of the vendor: what a speech service over `wss://` is, as a process of its own.

    python -m bench.load.tls_front VENDOR_PORT PEM     prints its port, serves until standard input ends

`PEM`: certificate and key. What comes in is decrypted and sent on to the vendor's port, and back. Bounded: a side whose
other end takes nothing is not read.
"""

import asyncio
import importlib
import socket
import ssl
import sys
from contextlib import suppress
from typing import cast

__all__ = ["main"]


class _Side(asyncio.Protocol):
    """One end; what comes in goes out at the other."""

    def __init__(self, other: "_Side | None" = None) -> None:
        self.other = other
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's are none by their class

    def data_received(self, data: bytes) -> None:
        assert self.other is not None, "it is read only when both ends are there"
        self.other.transport.write(data)

    def pause_writing(self) -> None:
        if self.other is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None:
            self.other.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.other is not None:
            self.other.transport.close()


class _Front(_Side):
    """The end of a client, which is read once the vendor is connected."""

    def __init__(self, vendor_port: int, connecting: set[asyncio.Task[None]]) -> None:
        super().__init__()
        self._vendor_port = vendor_port
        self._connecting = connecting

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.transport.pause_reading()
        task = asyncio.get_running_loop().create_task(self._connect())
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, side = await loop.create_connection(lambda: _Side(self), "127.0.0.1", self._vendor_port)
        except OSError:
            self.transport.close()
            return
        self.other = side
        self.transport.resume_reading()


async def _serve(vendor_port: int, pem: str) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem)
    connecting: set[asyncio.Task[None]] = set()
    loop = asyncio.get_running_loop()
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    server = await loop.create_server(lambda: _Front(vendor_port, connecting), sock=listener, ssl=context)
    print(listener.getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


def main() -> None:
    """Serve until standard input ends."""
    with suppress(ImportError):
        importlib.import_module("uvloop").install()
    asyncio.run(_serve(int(sys.argv[1]), sys.argv[2]))


if __name__ == "__main__":
    main()
