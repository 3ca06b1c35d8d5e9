"""One port for several processes (SO_REUSEPORT): the kernel deals the connections out by their addresses.

The supervisor keeps the port with sockets that do not listen; each worker listens with its own. A connection that
waits to be accepted by a worker that ends is reset by the kernel, and its client connects again.
"""

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import msgspec
import trio

from engine.server.http import BindError, bind

__all__ = ["Address", "bind_shared", "free_addresses", "port_kept"]


class Address(msgspec.Struct, frozen=True):
    """What a socket is bound to: the family's number, and its address in numbers."""

    family: int
    host: str
    port: int


@contextmanager
def port_kept(addresses: Sequence[Address]) -> Iterator[None]:
    """While the block runs the kernel gives the port to nobody who asks for any free one, though no worker listens."""
    sockets = [_bound(address) for address in addresses]
    try:
        yield
    finally:
        for sock in sockets:
            sock.close()


async def free_addresses(host: str, port: int) -> tuple[Address, ...]:
    """The addresses of `host` and `port` (0: any free one), on which nobody listens. Raises `BindError`.

    Asked without SO_REUSEPORT, which would share the port with another server of the same user without a word.
    """
    listeners = await bind(host, port)
    try:
        return tuple(
            Address(int(listener.socket.family), *listener.socket.getsockname()[:2]) for listener in listeners
        )
    finally:
        for listener in listeners:
            listener.socket.close()


async def bind_shared(addresses: Sequence[Address]) -> list[trio.SocketListener]:
    """Listen on all of them beside other processes. Raises `BindError`."""
    listeners: list[trio.SocketListener] = []
    try:
        for address in addresses:
            sock = _bound(address)
            sock.listen(socket.SOMAXCONN)
            listeners.append(trio.SocketListener(trio.socket.from_stdlib_socket(sock)))
    except BindError:
        for listener in listeners:
            listener.socket.close()
        raise
    return listeners


def _bound(address: Address) -> socket.socket:
    sock = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if address.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((address.host, address.port))  # in numbers: nothing is looked up
    except OSError as error:
        sock.close()
        raise BindError(f"cannot share port {address.port} on {address.host} ({error})") from error
    return sock
