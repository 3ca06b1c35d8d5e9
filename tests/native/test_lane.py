"""The lane over socket pairs: what comes in, what is handed up, and how much of it at once."""

import select
import socket
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine._native import ffi, lib
from engine.audio.libraries import open_library
from engine.audio.ring import Ring
from tests.native.lanes import LIMIT, Laned, received
from tests.native.test_frame import BINARY, CLOSE, GOES_ON, PING, PONG, TEXT, closing, frame


def test_messages_are_handed_up_in_order_and_pings_answered(laned: Laned) -> None:
    slot, client = laned.connect()
    client.sendall(frame(TEXT, b"one") + frame(PING, b"?") + frame(BINARY, b"two") + frame(TEXT, b""))
    assert laned.all() == [
        (slot, lib.LANE_TEXT, 0, b"one"),
        (slot, lib.LANE_BINARY, 0, b"two"),
        (slot, lib.LANE_TEXT, 0, b""),
    ]
    assert received(client, 3) == frame(PONG, b"?", mask=b"")


def test_a_message_may_come_in_any_number_of_pieces(laned: Laned) -> None:
    slot, client = laned.connect()
    long = bytes(n % 251 for n in range(300_000))
    stream = frame(BINARY, long[:1000], fin=False) + frame(PING) + frame(GOES_ON, long[1000:])
    found = []
    for start in range(0, len(stream), 7001):
        client.sendall(stream[start : start + 7001])
        found += laned.all()
    assert found == [(slot, lib.LANE_BINARY, 0, long)]


def test_audio_goes_into_the_ring_and_is_told_of_when_as_much_is_there_as_was_wanted(laned: Laned) -> None:
    slot, client = laned.connect()
    ring = Ring(16_000)
    intake = laned.decode(slot, ring)
    ring._native().wanted = 320
    client.sendall(frame(BINARY, b"\x01\x00" * 160))
    assert laned.all() == []
    assert ring.write_position == 160
    client.sendall(frame(BINARY, b"\x02\x00" * 160) + frame(BINARY, b"\x03\x00"))
    assert laned.all() == [(slot, lib.LANE_BINARY, 0, b"\x03\x00"), (slot, lib.LANE_AUDIO, 0, b"")]
    assert list(ring.window(159, 161)) == [1, 2]
    client.sendall(frame(BINARY, b"\x04\x00" * 160))
    assert laned.all() == []
    assert (intake.packets, intake.samples, intake.bad_packets) == (3, 480, 0)
    assert intake.heard_ns > 0


def test_a_full_ring_slows_the_client_down_and_nothing_is_lost(laned: Laned) -> None:
    slot, client = laned.connect()
    ring = Ring(16_000)
    reader = ring.cursor("reader", lossless=True)
    laned.decode(slot, ring, piece=3200)
    samples = ring.capacity * 3
    sent = b"".join(n.to_bytes(2, "little") for n in (k % 32000 for k in range(samples)))
    stream = frame(BINARY, sent[:10_000]) + frame(BINARY, sent[10_000:])
    client.setblocking(False)
    heard = b""
    while len(heard) < 2 * samples:
        if stream:
            with suppress(BlockingIOError):
                stream = stream[client.send(stream) :]
        kinds = [kind for _, kind, _, _ in laned.all()]
        if lib.LANE_ROOM in kinds:
            assert not laned.readable()
            assert ring.headroom() < 1600
            heard += reader.peek(4000).tobytes()
            reader.advance(4000)
            lib.lane_granted(laned.lane, slot)
        elif not stream:
            heard += reader.peek(samples).tobytes()
            reader.advance(reader.available)
    assert heard == sent


def test_a_margin_is_kept_until_room_was_granted(laned: Laned) -> None:
    slot, client = laned.connect()
    ring = Ring(16_000)
    ring.cursor("reader", lossless=True)
    intake = laned.decode(slot, ring, margin=ring.capacity - 100)
    client.sendall(frame(BINARY, bytes(300)))
    assert [kind for _, kind, _, _ in laned.all()] == [lib.LANE_ROOM]
    assert intake.samples == 0
    lib.lane_granted(laned.lane, slot)
    laned.all()
    assert intake.samples == 150


def test_a_run_of_bad_packets_is_told_of_once(laned: Laned) -> None:
    slot, client = laned.connect()
    ring = Ring(160_000)
    intake = laned.decode(slot, ring)
    open_library("lc3")
    codec = ffi.gc(lib.codec_open_lc3(16000, 16000, 1, 0), lib.codec_close)
    laned.kept.append(codec)
    intake.codec, intake.piece_bytes = codec, 0
    ring._native().wanted = 1 << 62
    client.sendall(frame(BINARY, bytes(5)) * 49)  # too short to be LC3
    assert laned.all() == []
    client.sendall(frame(BINARY, bytes(5)) * 2)
    assert laned.all() == [(slot, lib.LANE_AUDIO, 0, b"")]
    assert intake.alarmed in (50, 51)


def test_one_message_at_a_time_if_asked(laned: Laned) -> None:
    slot, client = laned.connect(lib.LANE_ONE)
    client.sendall(frame(TEXT, b"one") + frame(TEXT, b"two") + frame(TEXT, b"three"))
    assert laned.all() == [(slot, lib.LANE_TEXT, 0, b"one")]
    lib.lane_read(laned.lane, slot, lib.LANE_ONE)
    assert laned.all() == [(slot, lib.LANE_TEXT, 0, b"two")]
    lib.lane_read(laned.lane, slot, lib.LANE_ALL)
    assert laned.all() == [(slot, lib.LANE_TEXT, 0, b"three")]


def test_a_close_frame_is_answered_and_told_of(laned: Laned) -> None:
    slot, client = laned.connect()
    client.sendall(frame(TEXT, b"last") + closing(3001, b"done"))
    assert laned.all() == [(slot, lib.LANE_TEXT, 0, b"last"), (slot, lib.LANE_CLOSED, 3001, b"")]
    assert received(client, 8) == frame(CLOSE, b"\x0b\xb9done", mask=b"")
    assert lib.lane_send(laned.lane, slot, TEXT, b"too late", 8) == lib.LANE_GONE


def test_end_of_file_is_told_of_once_and_the_set_is_quiet_then(laned: Laned) -> None:
    slot, client = laned.connect()
    client.sendall(frame(TEXT, b"last"))
    client.close()
    assert laned.all() == [
        (slot, lib.LANE_TEXT, 0, b"last"),
        (slot, lib.LANE_CLOSED, 1006, b""),
        (slot, lib.LANE_ENDED, 0, b""),
    ]
    assert not laned.readable()


def test_who_breaks_the_protocol_is_told_and_waited_for(laned: Laned) -> None:
    slot, client = laned.connect()
    client.sendall(frame(3) + frame(TEXT, b"ignored"))
    assert laned.all() == [(slot, lib.LANE_EXPELLED, 1002, b"")]
    assert received(client, 4) == frame(CLOSE, b"\x03\xea", mask=b"")
    client.sendall(b"noise")
    client.close()
    assert laned.all() == [(slot, lib.LANE_ENDED, 0, b"")]


def test_after_our_close_messages_are_dropped_until_the_client_answers(laned: Laned) -> None:
    slot, client = laned.connect(lib.LANE_HOLD)
    client.sendall(frame(TEXT, b"dropped") * 3 + closing(1001))
    assert laned.all() == []
    assert lib.lane_shut(laned.lane, slot, 1001, b"bye", 3) == lib.LANE_WROTE
    assert lib.lane_shut(laned.lane, slot, 1000, b"", 0) == lib.LANE_GONE
    assert laned.all() == [(slot, lib.LANE_CLOSED, 1001, b"")]
    assert received(client, 7) == frame(CLOSE, b"\x03\xe9bye", mask=b"")


def test_what_the_socket_does_not_take_waits_and_goes_out_whole(laned: Laned) -> None:
    slot, client = laned.connect()
    long = bytes(n % 251 for n in range(2_000_000))
    assert lib.lane_send(laned.lane, slot, BINARY, long, len(long)) == lib.LANE_QUEUED
    assert lib.lane_send(laned.lane, slot, TEXT, b"no", 2) == lib.LANE_FULL
    client.sendall(frame(PING, b"first") + frame(PING, b"second"))
    laned.run()
    assert lib.lane_shut(laned.lane, slot, 1000, b"", 0) == lib.LANE_QUEUED
    expected = frame(BINARY, long, mask=b"") + frame(CLOSE, b"\x03\xe8", mask=b"")
    data, reports = b"", []
    while len(data) < len(expected):
        data += client.recv(1 << 20)
        reports += laned.all()
    assert data == expected
    assert (slot, lib.LANE_SENT, 0, b"") in reports


def test_nobody_reading_any_more_is_told_to_who_waits_to_send(laned: Laned) -> None:
    slot, client = laned.connect(lib.LANE_HOLD)
    assert lib.lane_send(laned.lane, slot, BINARY, bytes(1 << 21), 1 << 21) == lib.LANE_QUEUED
    client.close()
    assert laned.all() == [(slot, lib.LANE_SENT, -1, b"")]
    assert lib.lane_send(laned.lane, slot, TEXT, b"x", 1) == lib.LANE_GONE


def test_a_slot_that_is_given_to_another_has_another_generation(laned: Laned) -> None:
    slot, client = laned.connect()
    before = lib.lane_generation(laned.lane, slot)
    client.sendall(frame(TEXT, b"never read"))
    lib.lane_remove(laned.lane, slot)
    laned.servers.pop(slot).close()
    again, _ = laned.connect()
    assert again == slot
    assert lib.lane_generation(laned.lane, slot) > before
    assert laned.all() == []


def test_no_more_connections_than_slots(laned: Laned) -> None:
    for _ in range(8):
        laned.connect()
    _, server = socket.socketpair()
    assert lib.lane_add(laned.lane, server.fileno()) == -1


def test_an_idle_call_reports_nothing_and_counts_itself(laned: Laned) -> None:
    assert laned.run() == []
    counts = lib.lane_counted(laned.lane)
    assert (counts.runs, counts.waits, counts.receives) == (1, 1, 0)


@pytest.mark.parametrize("slots", [0, 0xFFFFFFFF])
def test_a_lane_of_no_size_is_refused(slots: int) -> None:
    error = ffi.new("int *")
    assert lib.lane_open(slots, LIMIT, error) == ffi.NULL
    assert error[0] != 0


def test_a_packet_costs_one_receive_and_no_copy(laned: Laned) -> None:
    clients = []
    for _ in range(8):
        slot, client = laned.connect()
        laned.decode(slot, Ring(160_000))
        clients.append(client)
    laned.all()
    counts = lib.lane_counted(laned.lane)
    names = ("receives", "sends", "controls", "bytes_copied")
    before = {name: getattr(counts, name) for name in names}
    for _ in range(50):
        for client in clients:
            client.sendall(frame(BINARY, bytes(640)))
        laned.all()  # one call, unless this process is held up in it
    after = {name: getattr(counts, name) - number for name, number in before.items()}
    assert after == {"receives": 400, "sends": 0, "controls": 0, "bytes_copied": 0}


STEPS = st.lists(
    st.one_of(
        st.binary(min_size=3, max_size=3000).map(lambda payload: ("audio", payload)),
        st.text(max_size=20).map(lambda text: ("text", text.encode())),
        st.just(("ping", b"?")),
        st.sampled_from(("hold", "one", "all")).map(lambda how: (how, b"")),
        st.integers(1, 4000).map(lambda samples: ("hear", bytes(samples))),
    ),
    max_size=30,
)


@given(STEPS, st.integers(1, 5000), st.integers(2, 1500))
def test_however_it_is_held_and_cut_everything_comes_once_and_in_order(
    steps: list[tuple[str, bytes]], cut: int, piece: int
) -> None:
    laned = Laned()
    slot, client = laned.connect()
    ring = Ring(2_000)
    reader = ring.cursor("reader", lossless=True)
    intake = laned.decode(slot, ring, piece=piece * 2)
    client.setblocking(False)
    unsent: list[bytes] = []
    heard = bytearray()
    texts: list[bytes] = []

    def say() -> None:
        """What the socket takes: while nobody reads, that is only so many pieces, however short."""
        with suppress(BlockingIOError):
            while unsent:
                unsent[0] = unsent[0][client.send(unsent[0]) :]
                if not unsent[0]:
                    del unsent[0]
                look()

    def look() -> bool:
        found = laned.all()
        texts.extend(data for _, kind, _, data in found if kind == lib.LANE_TEXT)
        return any(kind == lib.LANE_ROOM for _, kind, _, _ in found)

    def hear(samples: int) -> None:
        taken = reader.peek(samples)
        heard.extend(taken.tobytes())
        reader.advance(len(taken))
        lib.lane_granted(laned.lane, slot)

    audio = b"".join(data for kind, data in steps if kind == "audio")
    for kind, data in steps:
        if kind in ("audio", "text", "ping"):
            opcode = {"audio": BINARY, "text": TEXT, "ping": PING}[kind]
            stream = frame(opcode, data)
            unsent.extend(stream[start : start + cut] for start in range(0, len(stream), cut))
            say()
        elif kind == "hear":
            hear(len(data))
        else:
            how = {"hold": lib.LANE_HOLD, "one": lib.LANE_ONE, "all": lib.LANE_ALL}[kind]
            lib.lane_read(laned.lane, slot, how)
        look()
    lib.lane_read(laned.lane, slot, lib.LANE_ALL)
    hear(reader.available)
    while look() or unsent:
        hear(reader.available)
        say()
    hear(reader.available)
    assert texts == [data for kind, data in steps if kind == "text"]
    whole = len(audio) - len(audio) % 2
    assert bytes(heard) == audio[:whole]
    assert intake.samples == whole // 2
    lib.lane_remove(laned.lane, slot)
    lib.lane_close(laned.lane)
    client.close()
    laned.servers[slot].close()
    reader.close()


def test_a_rest_is_counted_from_the_beginning_of_the_last_call(laned: Laned) -> None:
    laned.run()
    hour = 3600 * 10**9
    assert not select.select([lib.lane_rest(laned.lane, hour, 0)], [], [], 0)[0]
    assert select.select([lib.lane_rest(laned.lane, 1, 0)], [], [], 10)[0], (
        "a time that is over wakes at once"
    )
    assert not select.select([lib.lane_rest(laned.lane, hour, 0)], [], [], 0)[0], "and is forgotten"


def test_what_was_sent_and_not_read_is_known(laned: Laned) -> None:
    slot, client = laned.connect(lib.LANE_ONE)
    assert not lib.lane_unread(laned.lane, slot)
    client.sendall(frame(TEXT, b"one") + frame(TEXT, b"two"))
    assert lib.lane_unread(laned.lane, slot), "it is in the kernel"
    laned.all()
    assert lib.lane_unread(laned.lane, slot), "it was received, but only one was to be read"
    lib.lane_read(laned.lane, slot, lib.LANE_ALL)
    laned.all()
    assert not lib.lane_unread(laned.lane, slot)
    client.close()
    laned.all()
    assert not lib.lane_unread(laned.lane, slot)
