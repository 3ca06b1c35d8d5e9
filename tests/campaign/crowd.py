"""Many well-behaved clients in one process, and how late each of their words came back.

    python -m tests.campaign.crowd PORT CLIENTS NAME

Each client sends PCM16 in packets of 100 ms, each at the time it is due whatever happened before (so that a server
that holds clients back is not let off), evenly spread over the 100 ms, and begins up to four seconds after the first,
so that at any time as many words are said. Words come from `tests.e2e.scripted_server`
with a word every four seconds. Prints `ready` once every client has heard a word, and when its standard input is
closed a `Crowd` as JSON. Sockets without Trio, so that it takes little of a core and the figures are not its own.
"""

import re
import select
import socket
import sys
import time

import msgspec

from engine.server.machine import wake_soon
from tests.server.raw import BINARY, frame, handshake

PACKETS_PER_SECOND = 10
SAMPLES = 1600
PACKETS_PER_WORD = 40
WORD_ENDS_IN = 29
"""Of these, the packet that holds the end of the word, three quarters into it."""

_WORD = re.compile(rb"w(\d+)\.")


class Heard(msgspec.Struct, frozen=True, array_like=True):
    """One word: when it came (CLOCK_MONOTONIC), and how long after the packet that ended it was due. Seconds."""

    at: float
    late: float


class Crowd(msgspec.Struct, frozen=True):
    """What the clients saw. `words` of each client; `cpu` seconds over `seconds` of this process.

    `held`: times a socket took less than a packet.
    """

    heard: list[Heard]
    words: list[int]
    held: int
    cpu: float
    seconds: float


class Clients:
    """The sockets, and whose turn it is."""

    def __init__(self, port: int, count: int, name: str) -> None:
        self._count = count
        self._sockets = [_open(port, f"{name}-{number}") for number in range(count)]
        self._epoll = select.epoll()
        for sock in self._sockets:
            sock.setblocking(False)
            self._epoll.register(sock.fileno(), select.EPOLLIN)
        self._numbers = {sock.fileno(): number for number, sock in enumerate(self._sockets)}
        self._unsent = [b""] * count
        self._packet = frame(BINARY, bytes(2 * SAMPLES))
        self._turn = 0
        self._step = 1 / PACKETS_PER_SECOND / count
        self._began = time.monotonic()
        self._cpu = time.process_time()
        self._heard: list[Heard] = []
        self._words = [0] * count
        self._held = 0

    def run(self) -> Crowd:
        """Until standard input is closed."""
        said_ready = False
        self._epoll.register(sys.stdin.fileno(), select.EPOLLIN)
        while True:
            due = self._send_due()
            for descriptor, _ in self._epoll.poll(max(0.0, due - time.monotonic())):
                if descriptor == sys.stdin.fileno():
                    return self._seen()
                self._receive(self._numbers[descriptor])
            if not said_ready and all(self._words):
                said_ready = True
                print("ready", flush=True)

    def _due(self, turn: int) -> float:
        return self._began + turn * self._step

    def _send_due(self) -> float:
        """Send what is due; when the next packet is."""
        while (due := self._due(self._turn)) <= time.monotonic():
            round_, number = divmod(self._turn, self._count)
            if round_ >= self._first(number):
                self._send(number)
            self._turn += 1
        return due

    @staticmethod
    def _first(number: int) -> int:
        """The round in which a client begins."""
        return number % PACKETS_PER_WORD

    def _send(self, number: int) -> None:
        data = self._unsent[number] + self._packet
        try:
            sent = self._sockets[number].send(data)
        except BlockingIOError:
            sent = 0
        self._unsent[number] = data[sent:]
        self._held += sent < len(data)

    def _receive(self, number: int) -> None:
        data = self._sockets[number].recv(65536)
        now = time.monotonic()
        if not data:
            raise SystemExit(f"the server closed the connection of client {number}")
        for found in _WORD.findall(data):
            word = int(found)
            if word >= self._words[number]:
                self._words[number] = word + 1
                packet = self._first(number) + word * PACKETS_PER_WORD + WORD_ENDS_IN
                self._heard.append(Heard(now, now - self._due(packet * self._count + number)))

    def _seen(self) -> Crowd:
        return Crowd(
            heard=self._heard,
            words=self._words,
            held=self._held,
            cpu=time.process_time() - self._cpu,
            seconds=time.monotonic() - self._began,
        )


def _open(port: int, uid: str) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(handshake(f"/v4/listen?uid={uid}&codec=pcm16&sample_rate=16000"))
    head = b""
    while b"\r\n\r\n" not in head:
        head += sock.recv(1)
    assert b" 101 " in head, head
    return sock


def main(port: int, clients: int, name: str) -> None:
    """As the module's text says."""
    wake_soon()  # its clock is to be read when a word is there, whatever else this machine does
    print(msgspec.json.encode(Clients(port, clients, name).run()).decode(), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
