"""Real servers for end-to-end tests, the clients that talk to them, and what is asked of them over HTTP."""

import re
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import trio

from engine.client import ListenClient, open_listen
from engine.config import Config, Conversation, Embedding, Limits, Session, Store, Usage, Web
from engine.server import serve
from engine.stt.vendor import Vendor
from engine.wire.messages import ConversationSession, Event, Segment, SegmentsDeleted, ServiceStatus
from tests.databases import migrated
from tests.e2e.watching import ServerLog, captured
from tests.patience import BUSY, PATIENCE
from tests.ways import lane_setting

LIVE_GAUGES = ("connections_active", "capacity_ratio", "ring_fill_ratio", "stt_lag_seconds")


class Api:
    """A server as its REST clients see it."""

    def __init__(self, port: int, http: httpx2.AsyncClient) -> None:
        self.port = port
        self._http = http

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    async def get(self, path: str, **query: Any) -> Any:
        """The JSON of an answer that must be 200."""
        answer = await self._http.get(path, params=query)
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text}"
        return answer.json()

    async def conversations(self, uid: str) -> list[dict[str, Any]]:
        """All conversations of a user, newest first, once the database has all that was said."""
        await self.written()
        statuses = "in_progress,processing,completed"
        found: list[dict[str, Any]] = await self.get(
            "/v1/conversations", uid=uid, limit=100, statuses=statuses
        )
        return found

    async def usage(self, uid: str) -> dict[str, Any]:
        """What a user used, all hours added up, once the database has all of it."""
        await self.written()
        total: dict[str, Any] = {}
        for hour in (await self.get("/v1/usage", uid=uid))["hours"]:
            for name, value in hour.items():
                if isinstance(value, dict):
                    sums = total.setdefault(name, {})
                    sums.update({key: sums.get(key, 0.0) + part for key, part in value.items()})
                elif name != "hour":
                    total[name] = total.get(name, 0) + value
        return total

    async def written(self) -> None:
        """Wait until the database has all that is in journals."""
        with trio.fail_after(PATIENCE):
            while (await self.gauges())["journal_pending_records"]:
                pass

    async def gauges(self) -> dict[str, float]:
        """The metrics without labels."""
        text = (await self._http.get("/metrics")).text
        return {
            name: float(value)
            for name, value in re.findall(r"^listen_(\w+) (\S+)$", text, flags=re.MULTILINE)
        }


@asynccontextmanager
async def api(port: int) -> AsyncIterator[Api]:
    """Ask a server that listens on `port`."""
    url = f"http://127.0.0.1:{port}"
    # Without TLS: reading the authorities' certificates takes a twentieth of a second.
    # And no connection is used again at the moment in which the server closes it because it idles.
    limits = httpx2.Limits(keepalive_expiry=2.0)
    async with httpx2.AsyncClient(base_url=url, timeout=PATIENCE, verify=False, limits=limits) as http:
        yield Api(port, http)


class Running(Api):
    """A server in this process."""

    def __init__(self, port: int, http: httpx2.AsyncClient, log: ServerLog, stop: trio.Event) -> None:
        super().__init__(port, http)
        self.log = log
        self._stop = stop

    def drain(self) -> None:
        """What SIGTERM does."""
        self._stop.set()

    async def all_ended(self, sessions: int) -> None:
        """Wait until so many sessions have ended, then see that nobody is counted as live."""
        with trio.fail_after(PATIENCE):
            await self.log.until("session.ended", count=sessions)
        gauges = await self.gauges()
        assert {name: gauges[name] for name in LIVE_GAUGES} == dict.fromkeys(LIVE_GAUGES, 0.0)


def config(data_dir: Path, *, limits: dict[str, Any] | None = None, **session: Any) -> Config:
    """A free port, many connects allowed, short waits for peers that do not answer."""
    return Config(
        port=0,
        data_dir=migrated(data_dir),
        lane=lane_setting(),
        embedding=Embedding(provider="off"),
        drain_timeout=PATIENCE,
        web=Web(request_timeout=PATIENCE),
        conversation=Conversation(answer_wait=PATIENCE / 2),
        session=Session(**{"close_timeout": 5.0, **session}),
        limits=Limits(
            **{"sessions": 1000, "sessions_per_user": 1000, "connects_per_minute": 10_000, **(limits or {})}
        ),
        store=Store(write_interval=0.02, busy_timeout=BUSY),
        usage=Usage(interval=1.0),
    )


@asynccontextmanager
async def running(settings: Config, *vendors: Vendor, own: bool = False) -> AsyncIterator[Running]:
    """A server that drains when the block ends; `own`: its vendors are those of the configuration."""
    stop = trio.Event()
    with captured() as log:
        async with trio.open_nursery() as nursery:
            with trio.fail_after(PATIENCE):
                bound = await nursery.start(
                    partial(serve, settings, vendors=None if own else vendors, shutdown=stop)
                )
            async with api(bound.port) as asking:
                yield Running(bound.port, asking._http, log, stop)
            stop.set()


class Shown:
    """What a client shows: segments upserted by id, deleted ones gone; and the events it was told."""

    def __init__(self) -> None:
        self.segments: dict[str, Segment] = {}
        self.revisions: dict[tuple[str, int], Segment] = {}
        self.events: list[Event] = []
        self.over = trio.Event()
        self._news = trio.Event()

    async def read(self, client: ListenClient) -> None:
        """Until the connection is closed."""
        async for message in client.events():
            if isinstance(message, tuple):
                self.segments.update((segment.id, segment) for segment in message)
                self.revisions.update(((segment.id, segment.revision), segment) for segment in message)
            elif isinstance(message, SegmentsDeleted):
                for gone in message.segment_ids:
                    self.segments.pop(gone)
            elif isinstance(message, Event):
                self.events.append(message)
            self._news.set()
        self.over.set()
        self._news.set()

    async def until(self, seen: Callable[["Shown"], object]) -> None:
        """Wait until `seen(self)` is true. Fails when the connection is closed before."""
        with trio.fail_after(PATIENCE):
            while not seen(self):
                assert not self.over.is_set(), f"closed after {self.events[-3:]}"
                self._news = trio.Event()
                await self._news.wait()

    async def until_status(self, status: str, count: int = 1) -> None:
        await self.until(lambda shown: shown.statuses().count(status) >= count)

    async def until_over(self) -> None:
        """Wait until the server has closed."""
        with trio.fail_after(PATIENCE):
            await self.over.wait()

    def statuses(self) -> list[str]:
        return [event.status for event in self.events if isinstance(event, ServiceStatus)]

    @property
    def session_id(self) -> str:
        return next(
            event.recording_session_id for event in self.events if isinstance(event, ConversationSession)
        )

    @property
    def ordered(self) -> list[Segment]:
        """By time, as REST shows them."""
        return sorted(self.segments.values(), key=lambda segment: (segment.start, segment.end))

    @property
    def text(self) -> str:
        return " ".join(segment.text for segment in self.ordered)


def segments_of(conversation: dict[str, Any]) -> list[Segment]:
    """A conversation's transcript in an answer of REST."""
    return msgspec.convert(conversation["transcript_segments"], list[Segment])


@asynccontextmanager
async def talking(
    url: str, uid: str, shown: Shown | None = None, **parameters: Any
) -> AsyncIterator[tuple[ListenClient, Shown]]:
    """A client that reads all it is sent."""
    shown = shown or Shown()
    parameters = {"codec": "pcm16", "sample_rate": 16_000, **parameters}
    async with (
        open_listen(url, uid=uid, connect_timeout=PATIENCE, **parameters) as client,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(shown.read, client)
        yield client, shown
        await client.close()
        await shown.until_over()


async def send_all(client: ListenClient, packets: Iterable[bytes]) -> None:
    """As fast as TCP takes them."""
    with trio.fail_after(PATIENCE):
        for packet in packets:
            await client.send_audio(packet)


async def hear_all(client: ListenClient, shown: Shown, packets: Sequence[bytes]) -> None:
    """Send, and wait until all of it has been transcribed."""
    await send_all(client, packets)
    await client.flush()
    await shown.until_status("flushed")
