"""`listen load`: its frames, its arithmetic, and runs against a real WebSocket server in this process."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import trio
import trio_websocket
from hypothesis import given
from hypothesis import strategies as st
from wsproto import ConnectionType
from wsproto.connection import Connection
from wsproto.events import BytesMessage

from engine._client_connect import Target
from engine.audio import write_wav
from engine.cli.load_figures import (
    BUSIEST,
    LimitElsewhere,
    LoadFigures,
    Process,
    largest,
    latency,
    machine_cpu,
    usage_of,
)
from engine.cli.load_run import LoadPlan, ramp_of, run_load
from engine.cli.load_socket import BINARY, LoadSocket, frame
from engine.cli.load_stream import Heard, LoadStream
from engine.cli.status import UNREACHABLE, USAGE, Failure
from engine.wire.messages import ErrorEvent, Segment, encode, encode_segments
from tests.cli.conftest import AUDIO, Listen, Outcome
from tests.ports import kept_port

PERIOD = 0.02


@given(st.one_of(st.binary(max_size=300), st.sampled_from([125, 126, 65535, 65536]).map(os.urandom)))
def test_a_frame_is_what_another_implementation_reads_as_the_payload(payload: bytes) -> None:
    server = Connection(ConnectionType.SERVER)
    server.receive_data(frame(BINARY, payload))
    events = list(server.events())
    assert all(isinstance(event, BytesMessage) for event in events)
    assert b"".join(bytes(event.data) for event in events if isinstance(event, BytesMessage)) == payload


def test_many_streams_connect_no_faster_than_a_server_opens_them_beside_its_work() -> None:
    assert ramp_of(1) == 1.0
    assert ramp_of(500) == 50.0


def test_percentiles_are_values_that_occurred() -> None:
    found = latency([number / 1000 for number in range(1000, 0, -1)])
    assert found is not None
    assert (found.count, found.p50, found.p99, found.p999, found.max) == (1000, 500, 990, 999, 1000)
    assert latency([]) is None


FIGURES = LoadFigures(
    streams=10,
    seconds=5,
    codec="opus",
    sent_frames=5000,
    stream_seconds=50,
    messages=50,
    segments=50,
    failed={},
    expected=50,
    missing=0,
    late=None,
    segment=latency([0.1]),
    to_vendor=None,
    to_client=None,
    generator_core_share=BUSIEST,
    others_core_share=0.0,
    server=None,
    vendor=None,
)


@given(st.integers(0, 400), st.integers(1, 400), st.integers(1, 400))
def test_the_largest_number_of_streams_is_found_to_one_part_in_twenty(
    most: int, streams: int, first: int
) -> None:
    def measure(count: int) -> LoadFigures:
        taken = latency([0.1 if count <= most else 0.3])
        return msgspec.structs.replace(FIGURES, streams=count, segment=taken)

    found, tried = largest(measure, streams, 200, first=first)
    possible = min(most, streams)
    assert found <= possible <= found + max(1, found // 20)
    assert len(tried) <= 24
    assert all(one.streams <= 2 * max(first, most) for one in tried)


def test_one_bad_measurement_does_not_decide() -> None:
    seen: list[int] = []

    def measure(count: int) -> LoadFigures:
        """90 are carried; the first time a number is tried is bad luck, and 96 are good luck once."""
        lucky = count == 96 and seen.count(96) == 1
        kept = (count <= 90 and count in seen) or lucky
        seen.append(count)
        return msgspec.structs.replace(FIGURES, streams=count, segment=latency([0.1 if kept else 0.3]))

    found, _ = largest(measure, 100, 200, first=24)
    assert 85 <= found <= 90


def test_where_the_generator_is_the_limit_the_search_says_what_was_carried() -> None:
    def measure(count: int) -> LoadFigures:
        return msgspec.structs.replace(FIGURES, streams=count, generator_core_share=count / 100)

    with pytest.raises(
        LimitElsewhere, match=r"generator itself used 128% .* \(64 streams were carried\)"
    ) as raised:
        largest(measure, 1000, 200)
    assert raised.value.kept == 64


@pytest.mark.parametrize(
    ("changed", "kept"),
    [({}, True), ({"missing": 1}, False), ({"failed": {"lost": 1}}, False), ({"segment": None}, False)],
)
def test_a_number_of_streams_is_kept_only_when_no_stream_and_no_word_was_lost(
    changed: dict[str, Any], kept: bool
) -> None:
    assert msgspec.structs.replace(FIGURES, **changed).keeps(200) == kept


def test_figures_of_a_busy_generator_or_vendor_are_refused() -> None:
    FIGURES.believe()
    busy = Process(cpu_seconds=4.5, core_share=0.9, us_per_stream_second=1, pss_kib=1, kib_per_stream=1)
    with pytest.raises(Failure, match=r"the generator itself used 81% of a core \(accepted: 80%\)"):
        msgspec.structs.replace(FIGURES, generator_core_share=0.81).believe()
    with pytest.raises(Failure, match="the vendor itself used 90%"):
        msgspec.structs.replace(FIGURES, vendor=busy).believe()


def test_the_machine_is_busy_at_least_as_long_as_this_process() -> None:
    machine, own = machine_cpu(), time.process_time()
    while time.process_time() < own + 0.3:
        sum(range(1000))
    assert machine_cpu() >= machine + 0.05  # it counts in ticks, by what runs at each


def test_a_processs_children_are_counted_with_it() -> None:
    script = "import sys; block = bytearray(64 << 20); print(flush=True); sys.stdin.read()"
    before = usage_of(os.getpid())
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert usage_of(os.getpid()).pss_kib > before.pss_kib + (48 << 10)
        child.communicate()
    with pytest.raises(Failure, match=f"pid {child.pid} cannot be read: a live process"):
        usage_of(child.pid)


def test_children_that_end_while_they_are_looked_at_do_not_count() -> None:
    with subprocess.Popen(["sh", "-c", "while :; do (:); done"]) as parent:
        try:
            for _ in range(300):
                assert usage_of(parent.pid).pss_kib > 0
        finally:
            parent.kill()


@pytest.fixture
def stream() -> Iterator[LoadStream]:
    """A stream that began at 100 s and has sent 4 s of audio."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        address = listener.getsockname()
        made = LoadSocket(Target.of(f"ws://127.0.0.1:{address[1]}", {}), address, socket.AF_INET, None)
        stream = LoadStream(made, PERIOD)
        stream.begin = 100.0
        for number in range(200):
            stream.wrote(100.0 + number * PERIOD + 0.001 * (number % 10))
        yield stream
        made.close()


def said(text: str, end: float) -> bytes:
    return encode_segments([Segment(id="a", text=text, start=0, end=end)]).encode()


def test_a_moment_was_due_with_the_packet_that_completes_it(stream: LoadStream) -> None:
    assert stream.due(0.02) == pytest.approx(100.0)
    assert stream.due(0.021) == pytest.approx(100.02)
    assert stream.due(1.0) == pytest.approx(100.98)
    assert stream.due(4.5) == pytest.approx(103.98)
    assert stream.due(5.5) is None
    assert stream.words_due(100.5, 102.5) == 2


def test_a_word_that_carries_its_time_is_counted_once_from_when_it_was_due(stream: LoadStream) -> None:
    heard = Heard()
    stream.hear(said("p1t101000000.", 1.0), 101.5, heard)
    stream.hear(said("p1t101000000. p2t102100000. p3t103000000.", 3.0), 103.1, heard)
    assert [due for due, _, _ in heard.parts] == pytest.approx([100.98, 101.98, 102.98])
    assert [vendor for _, vendor, _ in heard.parts] == pytest.approx([0.02, 0.12, 0.02])
    assert [client for _, _, client in heard.parts] == pytest.approx([0.5, 1.0, 0.1])
    assert [taken for _, taken in heard.whole] == pytest.approx([0.52, 1.12, 0.12])


def test_what_a_message_gathers_after_a_word_is_not_the_servers_delay(stream: LoadStream) -> None:
    heard = Heard()
    stream.hear(said("p1t101045000a40. p2t102000000a0. p3t103000000.", 3.0), 103.1, heard)
    assert [due for due, _ in heard.beyond] == pytest.approx([100.98, 101.98])
    assert [taken for _, taken in heard.beyond] == pytest.approx([0.025 - 0.001, 0.02 - 0.009])


def test_the_end_of_a_segment_is_timed_where_words_carry_no_time(stream: LoadStream) -> None:
    heard = Heard()
    for end, now in ((1.0, 101.2), (1.0, 105.0), (2.0, 102.0)):
        stream.hear(said("Ever tried.", end), now, heard)
    assert [taken for _, taken in heard.whole] == pytest.approx([0.22, 0.02])
    assert (heard.messages, heard.segments, heard.parts) == (3, 3, [])


def test_a_word_that_says_only_when_it_was_is_timed_by_where_its_segment_ends(stream: LoadStream) -> None:
    heard = Heard()
    stream.hear(said("w1t101000000. w2t102100000.", 2.0), 102.5, heard)
    stream.hear(said("w1t101000000. w2t102100000.", 2.0), 104.0, heard)
    assert heard.parts == [pytest.approx((101.98, 0.12, 0.4))]
    assert heard.whole == [pytest.approx((101.98, 0.52))]
    assert not heard.numbered, "how many were to come nobody knows"


def test_errors_and_what_cannot_be_read_are_failures(stream: LoadStream) -> None:
    heard = Heard()
    refusal = ErrorEvent(code=1013, parameter="sessions", value=None, accepted="1", message="full")
    stream.hear(encode(refusal).encode(), 1, heard)
    stream.hear(b"[", 1, heard)
    stream.hear(b'{"type":"service_status","status":"ready"}', 1, heard)
    assert heard.failed == {"error 1013: full": 1, "sent what is neither segments nor an event": 1}


class Server:
    """Counts what each user sent; says a word with its time for every second of 20 ms packets."""

    def __init__(self) -> None:
        self.packets: dict[str, list[bytes]] = {}
        self.status = 101
        self.pongs = 0
        self.keepalives = 0
        self.closed: list[int | None] = []
        self.url = ""

    async def accept(self, request: trio_websocket.WebSocketRequest) -> None:
        if self.status != 101:
            await request.reject(self.status)
            return
        connection = await request.accept()
        uid = request.path.rsplit("uid=", 1)[1]
        packets = self.packets.setdefault(uid, [])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._ping, connection)
            try:
                await self._read(connection, packets)
            except trio_websocket.ConnectionClosed as closed:
                self.closed.append(closed.reason.code if closed.reason else None)

    async def _ping(self, connection: trio_websocket.WebSocketConnection) -> None:
        with suppress(trio_websocket.ConnectionClosed):
            await connection.send_message("ping")
            await connection.ping(b"there?")
            self.pongs += 1

    async def _read(self, connection: trio_websocket.WebSocketConnection, packets: list[bytes]) -> None:
        while True:
            packet = await connection.get_message()
            assert isinstance(packet, bytes)
            if packet == b"\x8a\x00":
                self.keepalives += 1
                continue
            packets.append(packet)
            second, rest = divmod(len(packets), 50)
            if not rest:
                text = f"p{second}t{time.monotonic_ns() // 1000}a0."
                await connection.send_message(said(text, second).decode())


@asynccontextmanager
async def serving() -> AsyncIterator[Server]:
    server = Server()
    async with trio.open_nursery() as nursery:
        running = await nursery.start(trio_websocket.serve_websocket, server.accept, "127.0.0.1", 0, None)
        server.url = f"ws://127.0.0.1:{running.port}"
        yield server
        nursery.cancel_scope.cancel()


async def test_every_stream_sends_all_packets_in_order_and_words_come_back_with_both_ways() -> None:
    packets = [bytes([number, 1, 2, 3]) for number in range(7)]
    async with serving() as server:
        plan = LoadPlan(
            url=server.url,
            streams=3,
            seconds=1.2,
            packets=packets,
            period=PERIOD,
            codec="opus_fs320",
            query={},
            uid="u",
            ramp=0.1,
            settle=0.2,
            pid=os.getpid(),
        )
        figures = await trio.to_thread.run_sync(run_load, plan)
    assert set(server.packets) == {"u-0", "u-1", "u-2"}
    assert (server.pongs, server.keepalives) == (3, 3)
    assert server.closed == [1000] * 3
    for sent in server.packets.values():
        assert sent == [packets[number % 7] for number in range(len(sent))]
    assert figures.failed == {}
    assert figures.expected >= 3
    assert figures.to_vendor is not None
    assert figures.to_vendor.count == figures.expected - figures.missing
    assert figures.beyond_message is not None  # no message held more than the word's end
    assert figures.beyond_message.count == figures.to_vendor.count
    assert figures.beyond_message.max < figures.to_vendor.max
    assert figures.sent_frames == round(figures.stream_seconds / PERIOD) > 50
    assert None not in (figures.segment, figures.to_vendor, figures.to_client, figures.late)
    assert figures.server is not None
    assert figures.server.cpu_seconds > 0


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "tone.wav"
    write_wav(path, (8000 * np.sin(np.arange(8000) / 5)).astype(np.int16), 16000)
    return path


async def load(listen: Listen, url: str, file: Path, *arguments: str) -> Outcome:
    quick = ("--streams", "2", "--seconds", "1", "--ramp", "0", "--tail", "0")
    return await trio.to_thread.run_sync(listen, "load", file, "--url", url, *quick, *arguments)


async def test_json_has_the_figures(listen: Listen, recording: Path) -> None:
    async with serving() as server:
        outcome = await load(listen, server.url, recording, "--json", "--codec", "lc3_fs1030", "--uid", "me")
    assert outcome.status == 0
    figures = json.loads(outcome.out)
    assert (figures["streams"], figures["codec"], figures["failed"]) == (2, "lc3_fs1030", {})
    assert {len(packet) for sent in server.packets.values() for packet in sent} == {30}
    assert 0 < figures["generator_core_share"] <= 0.8


async def test_the_table_names_each_part_of_the_way(listen: Listen, recording: Path) -> None:
    async with serving() as server:
        outcome = await load(listen, server.url, recording, "--streams", "1", "--find-max", "0.0001")
    assert outcome.status == 0
    for part in ("due to segment", "due to vendor", "vendor to segment", "generator late"):
        assert part in outcome.out
    assert "Largest number of streams with a p99 within 0.0001 ms: 0" in outcome.out


async def test_a_server_that_refuses_everybody_is_status_3_with_its_answer(
    listen: Listen, recording: Path
) -> None:
    async with serving() as server:
        server.status = 403
        outcome = await load(listen, server.url, recording)
    assert outcome.status == UNREACHABLE
    assert "refused: HTTP/1.1 403" in outcome.err


def test_nobody_there_is_status_3(listen: Listen, recording: Path) -> None:
    with kept_port() as port:
        url = f"ws://127.0.0.1:{port}"
        outcome = listen("load", recording, "--url", url, "--streams", "1", "--ramp", "0")
    assert outcome.status == UNREACHABLE
    assert "cannot be reached: Connection refused" in outcome.err


def test_wrong_usage_is_named(listen: Listen, recording: Path, tmp_path: Path) -> None:
    wrong = listen("load", AUDIO / "beckett.wav", "--url", "wss://127.0.0.1:1")
    assert (wrong.status, "use ws://" in wrong.err) == (USAGE, True)
    wrong = listen("load", recording, "--codec", "mp3")
    assert (wrong.status, "mp3" in wrong.err) == (USAGE, True)
    short = tmp_path / "short.wav"
    write_wav(short, np.zeros(100, np.int16), 16000)
    wrong = listen("load", short)
    assert (wrong.status, "shorter than one packet of opus_fs320 (20 ms)" in wrong.err) == (USAGE, True)
