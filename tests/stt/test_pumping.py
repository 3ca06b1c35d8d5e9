"""The books of a stream whose audio native code sends, while it does."""

import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import trio

from engine._native import ffi, lib
from engine.audio.pump import Pump
from engine.audio.ring import Ring
from engine.listen.backlog import Backlog
from engine.listen.spill import Spill
from engine.stt._coverage import QUIET, Coverage
from engine.stt._pace import Pace
from engine.stt._pumping import TELL, Pumping
from engine.stt.deepgram import DeepgramProtocol
from engine.stt.protocol import Endpoint, RawAudio, VendorProtocol
from engine.stt.soniox import SonioxProtocol
from engine.stt.speechmatics import SpeechmaticsProtocol
from engine.stt.vendor import SAMPLE_RATE, Final, StreamOptions, SttEvent
from engine.stt.vosk import VoskProtocol
from tests.listen.test_backlog import inline

OPTIONS = StreamOptions(session_id="s")
ENDPOINT = Endpoint("ws://vendor", "key", "nova-3")
PROTOCOLS = [DeepgramProtocol, SonioxProtocol, SpeechmaticsProtocol, VoskProtocol]


class Link:
    """Runs pumps into a socket."""

    def __init__(self) -> None:
        self.lane = ffi.gc(lib.lane_open(4, 1 << 20, ffi.new("int *")), lib.lane_close)
        self.vendor, self.ours = socket.socketpair()
        self.slot = lib.lane_dial(self.lane, self.ours.fileno(), b"", 0)

    def run(self, pump: Pump) -> None:
        lib.lane_pump_open(self.lane, pump.native, self.slot)

        def push() -> None:
            lib.lane_pump_run(self.lane, pump.native)
            while select.select([self.vendor], [], [], 0)[0]:
                self.vendor.recv(1 << 16)

        pump.on_push = push

    def close(self) -> None:
        lib.lane_remove(self.lane, self.slot)
        self.vendor.close()
        self.ours.close()


class Pumped:
    """A stream's parts while its pump runs."""

    def __init__(self, protocol: VendorProtocol, link: Link, folder: Path) -> None:
        self.events: list[SttEvent] = []
        self.link = link
        self.ring = Ring(20 * SAMPLE_RATE)
        self.backlog = Backlog(self.ring, Spill(folder, SAMPLE_RATE, inline), SAMPLE_RATE)
        self.books = Coverage(self.events.append)
        self.books.begin(0)
        self.pumping = Pumping(protocol, self.books, 0.02, 0.1)
        self.pace = Pace(protocol.traits.pace)

    @contextmanager
    def opened(self, *, paced: bool = False) -> Iterator[Pump]:
        with self.pumping.opened(self.backlog, self.pace) as pump:
            assert pump is not None
            if not paced:
                pump.native.sample_ns = 0
            self.link.run(pump)
            yield pump

    def hear(self, seconds: float, *, loud: bool = False) -> None:
        for _ in range(round(seconds * 10)):
            tone = np.arange(1600) % 107 * 80 - 4000 if loud else np.zeros(1600)
            self.ring.write(tone.astype(np.int16))
            self.backlog.grown()


@pytest.fixture(name="link")
def _link() -> Iterator[Link]:
    link = Link()
    yield link
    link.close()


@pytest.fixture(name="parts")
async def _parts(link: Link, tmp_path: Path) -> Pumped:
    return Pumped(DeepgramProtocol(OPTIONS, ENDPOINT), link, tmp_path)


@pytest.mark.parametrize("make", PROTOCOLS)
async def test_the_books_are_the_same_whoever_sends(
    make: type[DeepgramProtocol], link: Link, tmp_path: Path
) -> None:
    by_hand, by_itself = make(OPTIONS, ENDPOINT), make(OPTIONS, ENDPOINT)
    assert isinstance(by_itself, RawAudio)
    parts = Pumped(by_itself, link, tmp_path)
    with parts.opened():
        parts.hear(0.4, loud=True)
    for _ in range(6400 // by_hand.traits.chunk):
        by_hand.audio(bytes(2 * by_hand.traits.chunk))
    for protocol in (by_hand, by_itself):
        assert protocol._sent == parts.books.sent == 6400
    assert by_hand.unacknowledged == by_itself.unacknowledged
    assert by_hand.finalize() == by_itself.finalize()
    assert by_hand.finish() == by_itself.finish()


async def test_what_was_sent_is_booked_when_it_is_asked_for(parts: Pumped) -> None:
    with parts.opened() as pump:
        parts.hear(0.5)
        assert (pump.position, parts.books.sent) == (8000, 0)
        parts.pumping.take()
        assert (parts.books.sent, parts.books.speaking, parts.books.due_since) == (8000, False, None)
        before = trio.current_time()
        parts.hear(0.5, loud=True)
        parts.pumping.take()
        assert parts.books.speaking
        assert parts.books.speech_waits
        assert parts.books.due_since is not None
        assert before <= parts.books.due_since <= trio.current_time()
        assert before <= parts.pumping.sent_at <= trio.current_time()


async def test_after_it_the_audio_is_read_where_the_pump_came_to(parts: Pumped) -> None:
    with parts.opened() as pump:
        parts.hear(0.5)
        parts.ring.write(np.arange(100, dtype=np.int16))
        parts.backlog.grown()
        sent = pump.position
    assert (sent, parts.backlog.position, parts.books.sent) == (8000, 8000, 8000)
    parts.backlog.finish()
    chunk = await parts.backlog.read(1600)
    assert (list(chunk.pcm), chunk.end) == (list(range(100)), True)


async def test_held_it_sends_nothing_and_then_all(parts: Pumped) -> None:
    with parts.opened() as pump:
        parts.hear(0.1)
        with parts.pumping.held():
            assert parts.books.sent == 1600
            with parts.pumping.held():
                parts.hear(0.2)
            assert pump.position == 1600
        assert pump.position == 4800


async def test_one_that_is_opened_while_something_else_is_sent_waits(parts: Pumped) -> None:
    with parts.pumping.held(), parts.opened() as pump:
        parts.hear(0.2)
        assert pump.position == 0


async def test_a_flush_stops_it_at_once(parts: Pumped) -> None:
    with parts.opened() as pump:
        parts.hear(0.1)
        parts.backlog.flush()
        assert pump.stopped
        with parts.pumping.held():
            parts.hear(0.1)
        assert pump.position == 1600
    chunk = await parts.backlog.read(1600)
    assert (len(chunk.pcm), chunk.flush) == (0, True)


async def test_there_is_none_while_there_is_more_to_tell_than_samples(parts: Pumped) -> None:
    parts.hear(0.1)
    parts.backlog.flush()
    with parts.pumping.opened(parts.backlog, parts.pace) as pump:
        assert pump is None


async def test_silence_of_which_a_vendor_says_nothing_is_passed_without_it(parts: Pumped) -> None:
    with parts.opened() as pump:
        parts.hear(QUIET / SAMPLE_RATE + 1)
        assert pump.native.tell == TELL
        parts.pumping.take()
        assert [event.assumed for event in parts.events if isinstance(event, Final)] == [True]
        assert parts.books.covered == parts.books.sent - QUIET // 2


async def test_a_window_lets_so_many_messages_go_until_they_are_acknowledged(
    link: Link, tmp_path: Path
) -> None:
    protocol = VoskProtocol(OPTIONS, ENDPOINT)
    parts = Pumped(protocol, link, tmp_path)
    window = protocol.traits.window
    assert window is not None
    with parts.opened() as pump:
        for _ in range(window + 5):
            parts.hear(0.2)
        assert pump.native.stopped == lib.PUMP_CREDIT
        assert pump.native.messages == window
    assert protocol.unacknowledged == window
    assert parts.books.sent == window * protocol.traits.chunk


async def test_it_keeps_the_vendors_pace_before_during_and_after(parts: Pumped) -> None:
    parts.pace = Pace(0.001)  # a tenth of a second takes 100
    with parts.opened(paced=True) as pump:
        parts.hear(10.0)
        assert (pump.native.stopped, pump.position) == (lib.PUMP_RUNS, 1600)
    assert parts.pace.free_at > trio.current_time() + 50
    with parts.opened(paced=True) as pump:
        pump.push()
        assert pump.position == 1600
        pump.native.free_ns = 0
        pump.push()
        assert pump.position > 1600
