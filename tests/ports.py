"""Ports that nobody listens on."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["kept_port"]


@contextmanager
def kept_port() -> Iterator[int]:
    """A port of 127.0.0.1 that nobody listens on and nobody is given by chance, for a server that may take it.

    It is bound and not listened on: connections are refused, and who names it may still listen there (Linux, where both
    set SO_REUSEADDR, as Trio's listeners do).
    """
    with socket.socket() as kept:
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        kept.bind(("127.0.0.1", 0))
        port: int = kept.getsockname()[1]
        yield port
