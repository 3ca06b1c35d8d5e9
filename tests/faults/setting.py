"""A server's inside, vendors that are stand-ins with a plan, a client that talks, and the accounts of both sides."""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import trio
from numpy.typing import NDArray

from engine.audio.ledger import LedgerSnapshot
from engine.config import Config, Deepgram, Soniox, Speechmatics, Stt, Vosk
from engine.server.lane import Lane
from engine.server.vendor_lane import LaneTransport
from engine.stt.transport import Transport
from engine.stt.vendor import SAMPLE_RATE, Vendor
from engine.stt.vendors import configured_vendors
from engine.stt.websocket import OpenStream, WebSocketTransport, open_tcp
from engine.testing import (
    DeepgramStandIn,
    Intervals,
    Line,
    SonioxStandIn,
    SpeechmaticsStandIn,
    StandIn,
    VoskStandIn,
    mark,
)
from engine.testing.marks import BLOCK
from engine.transcript.words import Word
from tests.listen.harness import PCM16, MemorySocket, Server, server
from tests.stt.streams import load

KEY = "a-key"
STANDINS: dict[str, type[StandIn]] = {
    "dg-nova-3": DeepgramStandIn,
    "soniox-stt-rt": SonioxStandIn,
    "speechmatics-rt": SpeechmaticsStandIn,
    "vosk": VoskStandIn,
}
PATHS = {
    "dg-nova-3": "/v1/listen",
    "soniox-stt-rt": "/transcribe-websocket",
    "speechmatics-rt": "/v2",
    "vosk": "/",
}

QUICK: dict[str, Any] = {"refused_pause": 4.0, "backoff_limit": 2.0}
"""Short pauses, so that a preferred vendor comes back while the client still talks."""

LANE_LINKS = 64
LANE_MESSAGE = 1 << 20
WORD = 0.5
PACKET = SAMPLE_RATE // 10
TOLERANCE = 0.05
"""Seconds a time on the wire may be off."""


def script(number: int) -> Word:
    """Endless: `w0. w1. w2.`, a word every half second, two people in turn, so that each is a segment."""
    begin = int(number * WORD * SAMPLE_RATE)
    quarter = int(WORD * SAMPLE_RATE) // 4
    return Word(f"w{number}.", begin + quarter, begin + 3 * quarter, speaker=number % 2)


def speech(seconds: float, stream: int = 0) -> NDArray[np.int16]:
    """A reading, over and over, marked."""
    return mark(np.resize(load("beckett"), round(seconds * SAMPLE_RATE)), stream=stream)


class Client(MemorySocket):
    """A client that notes when each message came."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[float] = []

    async def send(self, text: str) -> None:
        await super().send(text)
        if text != "ping":
            self.times.append(trio.current_time())

    async def talk(self, pcm: NDArray[np.int16], began: float) -> None:
        """Send in real time; sample 0 was recorded at `began`."""
        for at in range(0, len(pcm), PACKET):
            await trio.sleep_until(began + (at + PACKET) / SAMPLE_RATE)
            await self.say(pcm[at : at + PACKET].tobytes())

    def when(self, status: str) -> float:
        """When this status came first."""
        return next(
            time
            for time, message in zip(self.times, self.messages, strict=True)
            if isinstance(message, dict) and message.get("status") == status
        )

    def latencies(self, began: float) -> list[tuple[float, float]]:
        """For each segment that came: when, and how long after its last sample was spoken."""
        return [
            (time, time - began - segment["end"])
            for time, message in zip(self.times, self.messages, strict=True)
            if isinstance(message, list)
            for segment in message
        ]


class Vendors:
    """Stand-ins in order of preference, and what they were given together."""

    def __init__(self, standins: dict[str, StandIn]) -> None:
        self.standins = standins
        self.preferred, *self.others = standins.values()

    def lines(self) -> list[Line]:
        """All connections that were given audio, by the time they were opened."""
        lines = [line for standin in self.standins.values() for line in standin.connections]
        return sorted((line for line in lines if line.hearing.samples), key=lambda line: line.attempt.time)

    def received(self, stream: int = 0) -> Intervals:
        """The session's samples that any of them was given."""
        union = Intervals()
        for standin in self.standins.values():
            for start, end in standin.received(stream).spans():
                union.add(start, end)
        return union

    def samples(self) -> int:
        """Of the session's samples, those that arrived anywhere; what came twice counts twice."""
        return sum(line.hearing.received.total() + line.hearing.repeated for line in self.lines())

    def said(self, number: int) -> int:
        """How often a word was said, by all of them."""
        return sum(standin.said()[number] for standin in self.standins.values())


def configured(
    addresses: dict[str, str], transport: Transport, gate: str = "off", **stt: Any
) -> list[Vendor]:
    """The vendors at these WebSocket addresses, by the configuration's own way."""
    return configured_vendors(Config(**sections(addresses, gate, **stt)), transport)


def sections(addresses: dict[str, str], gate: str = "off", **stt: Any) -> dict[str, Any]:
    """What a configuration says of the vendors at these addresses."""

    def url(name: str) -> str:
        return addresses.get(name, "ws://nowhere") + PATHS[name]

    def key(name: str) -> str:
        return KEY if name in addresses else ""

    return {
        "stt": Stt(service_models=tuple(addresses), gate=gate, **stt),  # type: ignore[arg-type]
        "deepgram": Deepgram(url=url("dg-nova-3"), api_key=key("dg-nova-3")),
        "soniox": Soniox(url=url("soniox-stt-rt"), api_key=key("soniox-stt-rt")),
        "speechmatics": Speechmatics(url=url("speechmatics-rt"), api_key=key("speechmatics-rt")),
        "vosk": Vosk(url=url("vosk") if "vosk" in addresses else ""),
    }


def switchboard(standins: dict[str, StandIn]) -> OpenStream:
    """Connects by the name of the host."""

    async def open_stream(host: str, port: int, tls: bool) -> trio.abc.Stream:
        return await standins[host].open_stream(host, port, tls)

    return open_stream


@asynccontextmanager
async def setting(
    tmp_path: Path, standins: dict[str, StandIn], *, sockets: bool = False, lane: bool = False, **config: Any
) -> AsyncIterator[tuple[Server, Vendors]]:
    """A server whose vendors are these, in this order, in memory or over sockets on loopback; `lane`: in the lane."""
    stt = {**QUICK, **config.pop("stt", {})}
    async with trio.open_nursery() as nursery:
        addresses = {}
        for name, standin in standins.items():
            if sockets:
                port = await nursery.start(standin.serve)
                addresses[name] = f"ws://127.0.0.1:{port}"
            else:
                await nursery.start(standin.run)
                addresses[name] = f"ws://{name}"
        transport: Transport = WebSocketTransport(open_tcp if sockets else switchboard(standins))
        native = Lane(0, LANE_MESSAGE, links=LANE_LINKS)
        if lane:
            nursery.start_soon(native.run)
            transport = LaneTransport(native, transport)
        vendors = configured(addresses, transport, **stt)
        async with server(tmp_path, *vendors, stt=stt, **config) as inside:
            yield inside, Vendors(standins)
        assert bool(native.statistics().vendor_frames) == lane, "in the lane audio goes out by itself"
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def connected(inside: Server, uid: str = "ada", **parameters: Any) -> AsyncIterator[Client]:
    """A client whose session is over when the block ends."""
    client = Client()
    wanted = msgspec.structs.replace(PCM16, **parameters)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(inside.service.serve, client, wanted, uid)
        yield client


async def everything_heard(client: Client) -> None:
    """Ask for what is left and wait for it."""
    await client.say('{"type":"flush"}')
    await client.until_status("flushed")


class Outcome(msgspec.Struct, frozen=True):
    """What came of a session of `total` samples."""

    client: Client
    vendors: Vendors
    ledger: LedgerSnapshot
    total: int
    began: float

    def check_words(self) -> None:
        """Every word of the script came to the client once, at its time."""
        words = self.total // int(WORD * SAMPLE_RATE)
        segments = sorted(self.client.segments().values(), key=lambda segment: float(segment["start"]))
        texts = [text for segment in segments for text in segment["text"].split()]
        expected = [script(n).text for n in range(words)]
        lost = [text for text in expected if text not in texts]
        doubled = [text for text, count in Counter(texts).items() if count > 1]
        assert (lost, doubled) == ([], [])
        assert texts == expected
        for segment in segments:
            first, *_, last = [int(t[1:-1]) for t in segment["text"].split()] * 2
            assert abs(segment["start"] - script(first).start / SAMPLE_RATE) <= TOLERANCE
            assert abs(segment["end"] - script(last).end / SAMPLE_RATE) <= TOLERANCE

    def check_books(self) -> None:
        """Nothing is lost, and what counts as transcribed is what the stand-ins were given."""
        ledger = self.ledger
        ledger.check()
        assert (ledger.decoded, ledger.lost, ledger.pending, ledger.concealed) == (self.total, 0, 0, 0)
        assert ledger.final + ledger.silent + ledger.gated == self.total
        # Silence that a vendor is sent to make it speak may look like the next sample or two.
        ((first, last),) = self.vendors.received().spans()
        assert first == 0
        assert self.total <= last <= self.total + BLOCK

    def check_one_at_a_time(self) -> None:
        """No two vendors were given audio at the same time: each began after the one before had its last."""
        spans = [line.hearing.received.spans()[0] for line in self.vendors.lines() if line.hearing.reached]
        assert all(a[0] <= b[0] for a, b in pairwise(spans))

    def told(self) -> Sequence[str]:
        """What the client was told of its speech to text."""
        names = ("stt_degraded", "stt_recovered", "stt_failed")
        return [e["status"] for e in self.client.events("service_status") if e["status"] in names]
