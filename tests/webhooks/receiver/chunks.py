"""Chunks for tests, and what became of them."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import count

import numpy as np

from engine._config_receiver import Receiver
from engine.store.received_events import EventsAfter
from engine.webhooks.receiver.chunk import Chunk
from engine.webhooks.receiver.events import Events
from engine.webhooks.receiver.joining import Audio, Began, Dropped, Ended, Joiner, Silence, Step

RATE = 8000
SECOND = 1_000_000


def tone(samples: int, first: int = 0) -> bytes:
    """PCM in which each sample is another one than its neighbours, and none is 0."""
    return ((np.arange(first, first + samples) % 30_000) + 1).astype("<i2").tobytes()


def chunk(pcm: bytes, arrived: float, **fields: object) -> Chunk:
    """Of ann's, at 8 kHz."""
    values = {"uid": "ann", "sample_rate": RATE, "received_at": round(arrived * SECOND), **fields}
    return Chunk(pcm=pcm, arrived=arrived, **values)  # type: ignore[arg-type]


def audio(position: int, pcm: bytes) -> Audio:
    """As a chunk of ann's becomes it."""
    return Audio(position=position, pcm=pcm, chunk=chunk(pcm, 0.0))


def cut(pcm: bytes, sizes: Iterable[int]) -> list[bytes]:
    """`pcm` in pieces of so many samples, the rest at the end."""
    pieces, at = [], 0
    for size in sizes:
        pieces.append(pcm[at : at + 2 * size])
        at += 2 * size
    return [piece for piece in (*pieces, pcm[at:]) if piece]


def joiner(
    gap: float = 10.0, jitter: float = 1.0, known: Sequence[str] = (), held_bytes: float = 2**20
) -> Joiner:
    """Sessions are called 0, 1, 2 …"""
    numbers = count()
    return Joiner(
        gap=gap, jitter=jitter, new_id=lambda: str(next(numbers)), held_bytes=held_bytes, known=known
    )


def sessions(steps: Iterable[Step]) -> list[bytes]:
    """The samples of each session, which must follow each other without a gap."""
    found: list[bytearray] = []
    for step in steps:
        match step:
            case Began():
                found.append(bytearray())
            case Audio():
                assert step.position * 2 == len(found[-1])
                found[-1] += step.pcm
            case Silence():
                assert step.position * 2 == len(found[-1])
                found[-1] += bytes(2 * step.samples)
            case Ended():
                assert step.samples * 2 == len(found[-1])
            case Dropped():
                pass
    return [bytes(one) for one in found]


class Memory:
    """Keeps events where no database is needed."""

    def __init__(self) -> None:
        self.bodies: dict[str, list[bytes]] = {}

    async def add(self, events: Mapping[str, Sequence[bytes]], now: int) -> None:
        for uid, bodies in events.items():
            self.bodies.setdefault(uid, []).extend(bodies)

    async def after(self, uid: str, number: int) -> EventsAfter:
        bodies = self.bodies.get(uid, [])
        return EventsAfter(bodies=bodies[number:], last=len(bodies), missed=0)


def events_in_memory() -> Events:
    return Events(Memory(), Receiver(), lambda: 0)


async def published(events: Events, uid: str) -> list[bytes]:
    """All there were so far."""
    await events.keep()
    return [bytes(event) for event in (await events.read(uid)).events]
