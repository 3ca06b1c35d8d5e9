"""RFC 6455 as the frame reader reads it, with wsproto as the oracle."""

import itertools
import struct
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto.frame_protocol import CloseReason, FrameProtocol, Opcode, ParseFailed

from engine._native import ffi, lib

TEXT, BINARY, GOES_ON, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10
UNLIMITED = 1 << 62
MASK = b"\x12\x9a\xf0\x07"

Event = tuple[str, bytes | str | int]


def frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, reserved: int = 0, mask: bytes = MASK
) -> bytes:
    """A client's frame; without `mask` unmasked."""
    length, masked = len(payload), 0x80 if mask else 0
    head = bytes([opcode | reserved | (0x80 if fin else 0)])
    if length < 126:
        head += bytes([masked | length])
    elif length < 1 << 16:
        head += bytes([masked | 126]) + struct.pack("!H", length)
    else:
        head += bytes([masked | 127]) + struct.pack("!Q", length)
    key = (mask or bytes(4)) * (length // 4 + 1)
    return head + mask + bytes(byte ^ other for byte, other in zip(payload, key, strict=False))


def closing(code: int, reason: bytes = b"") -> bytes:
    return frame(CLOSE, struct.pack("!H", code) + reason)


def read(chunks: Iterable[bytes], limit: int = UNLIMITED, *, from_server: bool = False) -> list[Event]:
    """Whole messages, control frames, and how it ended."""
    reader, event = ffi.new("frame_reader *"), ffi.new("frame_event *")
    lib.frame_reader_init(reader, limit)
    reader.from_server = from_server
    found: list[Event] = []
    message = b""
    for chunk in chunks:
        rest = ffi.new("uint8_t[]", len(chunk) or 1)  # its own memory: the sanitizers see its end
        ffi.buffer(rest)[: len(chunk)] = chunk
        used = 0
        while used < len(chunk):
            taken = lib.frame_read(reader, rest + used, len(chunk) - used, event)
            assert 0 < taken <= len(chunk) - used
            used += taken
            payload = bytes(ffi.buffer(event.data, event.bytes)) if event.data != ffi.NULL else b""
            if event.kind == lib.FRAME_PART:
                assert bool(event.first) == (message == b"") or not event.first
                message = payload if event.first else message + payload
                if event.last:
                    found.append(("text", message.decode()) if event.opcode == TEXT else ("binary", message))
                    message = b""
            elif event.kind in (lib.FRAME_PING, lib.FRAME_PONG):
                found.append(("ping" if event.kind == lib.FRAME_PING else "pong", payload))
            elif event.kind == lib.FRAME_CLOSE:
                found += [("close", event.code), ("reason", payload.decode())]
            elif event.kind == lib.FRAME_FAIL:
                found.append(("fail", event.code))
    return found


def oracle(stream: bytes) -> list[Event]:
    """The same by wsproto."""
    protocol = FrameProtocol(client=False, extensions=[])
    protocol.receive_bytes(stream)
    found: list[Event] = []
    message: list[Any] = []
    try:
        for one in protocol.received_frames():
            payload: Any = one.payload
            if one.opcode in (Opcode.PING, Opcode.PONG):
                found.append((one.opcode.name.lower(), bytes(payload)))
            elif one.opcode is Opcode.CLOSE:
                code, reason = payload
                found += [("close", int(code)), ("reason", str(reason or ""))]
            else:
                message.append(payload if isinstance(payload, str) else bytes(payload))
                if one.message_finished:
                    text = isinstance(message[0], str)
                    whole: bytes | str = "".join(message) if text else b"".join(message)
                    found.append(("text" if text else "binary", whole))
                    message = []
    except ParseFailed as failed:
        found.append(("fail", int(failed.code or CloseReason.PROTOCOL_ERROR)))
    return found


def cut(stream: bytes, places: Sequence[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    return [stream[start:end] for start, end in itertools.pairwise(edges)]


MASKS = st.binary(min_size=4, max_size=4)
SHORT = st.binary(max_size=30)
LENGTHS = st.sampled_from((0, 1, 7, 8, 9, 125, 126, 127, 300, 65535, 65536))
CONTROLS = st.builds(
    lambda opcode, payload, mask: frame(opcode, payload, mask=mask),
    st.sampled_from((PING, PONG)),
    SHORT,
    MASKS,
)


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """One message, perhaps in fragments, perhaps with control frames in between."""
    if draw(st.booleans()):
        opcode, payload = TEXT, draw(st.text(max_size=30)).encode()
    else:
        opcode, payload = BINARY, draw(SHORT | LENGTHS.map(lambda n: bytes(i % 251 for i in range(n))))
    pieces = cut(payload, draw(st.lists(st.integers(0, 1 << 20), max_size=3)))
    stream = b""
    for number, piece in enumerate(pieces):
        last = number == len(pieces) - 1
        stream += frame(opcode if number == 0 else GOES_ON, piece, fin=last, mask=draw(MASKS))
        if not last:
            stream += b"".join(draw(st.lists(CONTROLS, max_size=2)))
    return stream


CLOSES = st.just(b"") | st.builds(
    lambda code, reason: closing(code, reason.encode()),
    st.sampled_from((1000, 1001, 1003, 1007, 1011, 3000, 4999)),
    st.text(max_size=20),
)
STREAMS = st.builds(
    lambda parts, end: b"".join(parts) + end, st.lists(messages() | CONTROLS, max_size=5), CLOSES
)
PLACES = st.lists(st.integers(0, 1 << 20), max_size=12)


@given(STREAMS, PLACES)
def test_any_cutting_of_a_valid_stream_gives_what_wsproto_gives(stream: bytes, places: list[int]) -> None:
    assert read(cut(stream, places)) == oracle(stream)


@given(STREAMS)
def test_byte_by_byte_gives_the_same(stream: bytes) -> None:
    if len(stream) < 2000:
        assert read(stream[n : n + 1] for n in range(len(stream))) == read([stream])


@given(
    STREAMS, st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), min_size=1, max_size=4), PLACES
)
def test_a_damaged_stream_is_read_alike_however_it_is_cut(
    stream: bytes, damage: list[tuple[int, int]], places: list[int]
) -> None:
    damaged = bytearray(stream)
    for place, value in damage:
        if damaged:
            damaged[place % len(damaged)] = value
    whole = read([bytes(damaged)])
    assert read(cut(bytes(damaged), places)) == whole
    expected = oracle(bytes(damaged))
    if expected[-1:] and expected[-1][0] == "fail":
        assert whole == expected or ("close", 1014) in whole  # a registered code that wsproto does not know
    elif not (whole and whole[-1][0] == "fail"):  # the reader may see earlier that it will come to no good
        assert whole == expected


FRAMES = st.lists(
    st.one_of(
        st.tuples(st.just(TEXT), st.text(max_size=100).map(str.encode)),
        st.tuples(st.just(BINARY), st.binary(max_size=300)),
        st.tuples(st.sampled_from((PING, PONG)), st.binary(max_size=125)),
    ),
    max_size=10,
)


@given(FRAMES, PLACES)
def test_what_servers_send_is_read_as_what_clients_send_but_for_the_mask(
    frames: list[tuple[int, bytes]], places: list[int]
) -> None:
    unmasked = b"".join(frame(opcode, payload, mask=b"") for opcode, payload in frames)
    masked = b"".join(frame(opcode, payload) for opcode, payload in frames)
    assert read(cut(unmasked, places), from_server=True) == read([masked])
    assert read([masked], from_server=True)[:1] == ([("fail", 1002)] if frames else [])


@given(
    st.sampled_from((TEXT, BINARY, CLOSE, PING)),
    st.binary(max_size=70_000),
    st.binary(min_size=4, max_size=4),
)
def test_a_masked_frame_is_as_a_client_writes_it(opcode: int, payload: bytes, key: bytes) -> None:
    head, masked = ffi.new("uint8_t[]", lib.FRAME_MASKED_HEAD), ffi.new("uint8_t[]", len(payload) or 1)
    written = lib.frame_head_masked(head, opcode, len(payload), key)
    lib.frame_mask(masked, payload, len(payload), key)
    sent = bytes(ffi.buffer(head, written)) + bytes(ffi.buffer(masked, len(payload)))
    assert sent == frame(opcode, payload, mask=key)


@given(st.binary(max_size=200), PLACES)
def test_noise_never_does_harm(noise: bytes, places: list[int]) -> None:
    assert read(cut(noise, places)) == read([noise])


@pytest.mark.parametrize(
    "stream",
    [
        frame(3), frame(7), frame(11), frame(15),
        frame(TEXT, b"x", reserved=0x40), frame(BINARY, reserved=0x20), frame(PING, reserved=0x10),
        frame(TEXT, b"x", mask=b""),
        frame(PING, b"x", fin=False), frame(CLOSE, b"x" * 126),
        frame(GOES_ON, b"x"),
        frame(TEXT, b"x", fin=False) + frame(TEXT, b"y"),
        frame(CLOSE, b"\x03"),
        b"\x82\xfe\x00\x7d", b"\x82\xff" + struct.pack("!Q", 65535), b"\x82\xff" + struct.pack("!Q", 1 << 63),
    ],
)  # fmt: skip
def test_what_breaks_the_protocol_ends_it_with_1002(stream: bytes) -> None:
    after = read([frame(PING, b"before"), stream, MASK, frame(PING, b"after")])
    assert after == [("ping", b"before"), ("fail", 1002)]


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535])
def test_codes_nobody_may_send_are_refused(code: int) -> None:
    assert read([closing(code)]) == [("fail", 1002)]
    assert not lib.frame_close_code_valid(code)


@pytest.mark.parametrize(
    "code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1014, 3000, 3999, 4000, 4999]
)
def test_a_close_frame_ends_the_stream_with_its_code_and_reason(code: int) -> None:
    stream = [closing(code, "über".encode()), frame(PING, b"after")]
    assert read(stream) == [("close", code), ("reason", "über")]


def test_a_close_frame_may_be_empty() -> None:
    assert read([frame(CLOSE)]) == [("close", 1005), ("reason", "")]


@pytest.mark.parametrize(
    "text",
    [
        b"\x80", b"\xc0\xaf", b"\xc1\xbf", b"\xe0\x9f\xbf", b"\xed\xa0\x80", b"\xf0\x8f\xbf\xbf", b"\xf4\x90\x80\x80",
        b"\xf5\x80\x80\x80", b"\xff", b"12345678\xfe", b"\xce", b"\xe2\x82", b"1234567\xf0\x9f\x98", b"\xc3(",
    ],
)  # fmt: skip
def test_text_that_is_no_utf8_ends_it_with_1007(text: bytes) -> None:
    with pytest.raises(UnicodeDecodeError):
        text.decode()
    assert read([frame(TEXT, text)]) == [("fail", 1007)]
    assert read([closing(1000, text)]) == [("fail", 1007)]
    assert read([frame(BINARY, text)]) == [("binary", text)]


def test_bad_text_is_refused_before_the_message_is_over() -> None:
    begun = frame(TEXT, b"ok \xf4\x90\x80\x80 and more", fin=False)
    assert read([begun[:13]]) == [("fail", 1007)]


def test_a_character_may_be_cut_between_frames() -> None:
    euro = "€".encode()
    stream = [frame(TEXT, euro[:1], fin=False), frame(PING), frame(GOES_ON, euro[1:])]
    assert read(stream) == [("ping", b""), ("text", "€")]


def test_a_message_as_long_as_the_limit_is_taken_and_a_longer_one_refused_from_its_head() -> None:
    assert read([frame(BINARY, bytes(1000))], limit=1000) == [("binary", bytes(1000))]
    assert read([frame(BINARY, bytes(1001))[:8]], limit=1000) == [("fail", 1009)]
    fragments = [frame(BINARY, bytes(600), fin=False), frame(GOES_ON, bytes(401))[:8]]
    assert read(fragments, limit=1000) == [("fail", 1009)]
    assert read([frame(BINARY, bytes(1000)) * 3], limit=1000) == [("binary", bytes(1000))] * 3


@given(LENGTHS, st.sampled_from((TEXT, BINARY)))
def test_heads_are_as_wsproto_writes_them(length: int, opcode: int) -> None:
    out = ffi.new("uint8_t[]", lib.FRAME_HEAD)
    written = lib.frame_head(out, opcode, length)
    payload = bytes(length)
    expected = FrameProtocol(client=False, extensions=[]).send_data(
        payload if opcode == BINARY else payload.decode()
    )
    assert bytes(ffi.buffer(out, written)) + payload == bytes(expected)
