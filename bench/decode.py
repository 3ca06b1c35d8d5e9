"""Decoding through our Python API against the bare C call and against the usual Python packages, in the
same run.

`python -m bench.decode` prints µs per message: ours (`Decoder.decode` into a ring), the codec library's
function in a C loop on the same frames, and opuslib_next, lc3py, PyAV or NumPy, which give bytes or an
array and no ring. The three take turns; medians over the turns, of the thread's CPU clock. "of C" is our time
over the C loop's, "peer" the peer's time over ours: above 1 we are faster.
"""

import importlib
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench.bare import BareLoop
from engine.audio.codecs import create_decoder
from engine.audio.encoders import create_encoder
from engine.audio.ring import Ring
from engine.audio.wav import read_wav

RATE = 16_000
ROUNDS = 10
BATCH = 10  # messages
RECORDING = Path(__file__).parents[1] / "tests" / "audio" / "austen-0870.wav"


Pass = Callable[[Sequence[bytes]], object]
"""Decodes that many messages or frames."""


class Case(NamedTuple):
    """A codec, how many of its frames make a message, and who is compared."""

    codec: str
    frames: int
    milliseconds: int
    peer: str


CASES = (
    Case("pcm8", 1, 20, "numpy"),
    Case("pcm16", 1, 20, "numpy"),
    Case("pcm16", 5, 100, "numpy"),
    Case("opus", 1, 10, "opuslib_next"),
    Case("opus_fs320", 1, 20, "opuslib_next"),
    Case("lc3", 1, 10, "lc3py"),
    Case("lc3_fs1030", 1, 10, "lc3py"),
    Case("lc3_fs1030", 3, 30, "lc3py"),
    Case("aac", 1, 64, "av"),
)


class Result(NamedTuple):
    """Median µs of a message; None where there is no such thing."""

    case: Case
    ours: float
    bare: float | None
    peer: float


def frames_of(case: Case) -> list[bytes]:
    """A reading of 7 s in the case's codec."""
    pcm, _ = read_wav(RECORDING)
    encoder = create_encoder(case.codec, RATE)
    frames = [*encoder.encode(pcm)]
    return frames[: len(frames) // case.frames * case.frames]


def messages_of(case: Case, frames: Sequence[bytes]) -> list[bytes]:
    """The frames, `case.frames` of them to a message."""
    return [b"".join(frames[start : start + case.frames]) for start in range(0, len(frames), case.frames)]


def ours(case: Case) -> Pass:
    """Our decoder, as a session uses it: a reader is open, and keeps up."""
    decoder = create_decoder(case.codec, RATE)
    ring = Ring(16 * RATE)
    reader = ring.cursor("reader")

    def decode_all(messages: Sequence[bytes]) -> None:
        decode = decoder.decode
        for message in messages:
            decode(message, ring)
        reader.seek(ring.write_position)

    return decode_all


def peer(case: Case) -> Pass:
    """The package named by the case, called as its documentation shows. It takes frames, not messages."""
    match case.peer:
        case "opuslib_next":
            opus = importlib.import_module("opuslib_next").Decoder(RATE, 1)
            return lambda frames: [opus.decode(frame, 1920) for frame in frames]
        case "lc3py":
            decoder = importlib.import_module("lc3").Decoder(10_000, RATE, 1)
            return lambda frames: [decoder.decode(frame, bit_depth=16) for frame in frames]
        case "av":
            return _av()
        case _ if case.codec == "pcm16":
            return lambda frames: [np.frombuffer(frame, "<i2").copy() for frame in frames]
        case _:
            return lambda frames: [(np.frombuffer(f, np.uint8).astype(np.int16) - 128) << 8 for f in frames]


def _av() -> Pass:
    import av

    context: Any = av.CodecContext.create("aac", "r")
    converter = av.AudioResampler(format="s16", layout="mono", rate=RATE)
    return lambda frames: [
        out.to_ndarray()
        for frame in frames
        for decoded in context.decode(av.Packet(frame))
        for out in converter.resample(decoded)
    ]


def _timed(run: Pass, batch: Sequence[bytes]) -> float:
    start = time.thread_time_ns()
    run(batch)
    return time.thread_time_ns() - start


def measure(case: Case, rounds: int = ROUNDS) -> Result:
    """All three on the same frames, taking turns every few frames so that what disturbs one disturbs all."""
    frames = frames_of(case)
    our_pass, peer_pass = ours(case), peer(case)
    bare = BareLoop(case.codec) if case.codec != "aac" else None
    size = BATCH * case.frames
    whole = case.codec.startswith("pcm")  # of which a message's frames are no frames of their own
    times: list[tuple[float, float, float]] = []
    for _ in range(rounds):
        for start in range(0, len(frames) - size + 1, size):
            batch = frames[start : start + size]
            messages = messages_of(case, batch)
            apart = messages if whole else batch
            bare_time = bare.nanoseconds(apart) if bare else 0
            times.append((_timed(our_pass, messages), bare_time, _timed(peer_pass, apart)))
    median = [statistics.median(column) / BATCH / 1000 for column in zip(*times, strict=True)]
    return Result(case, median[0], median[1] if bare else None, median[2])


def main() -> None:
    """Print the table."""
    print("Decoding, µs per message (medians, taking turns; 16 kHz mono)")
    print(
        f"{'codec':<12}{'ms':>4}{'bytes':>7}{'ours':>9}{'bare C':>9}{'of C':>7}{'peer':>9}  {'peer/ours':<9}"
    )
    for case in CASES:
        result = measure(case)
        size = len(frames_of(case)[0]) * case.frames
        bare = f"{result.bare:>9.2f}{result.ours / result.bare:>7.2f}" if result.bare else f"{'–':>9}{'–':>7}"
        line = f"{case.codec:<12}{case.milliseconds:>4}{size:>7}{result.ours:>9.2f}{bare}{result.peer:>9.2f}"
        print(f"{line}  {result.peer / result.ours:<5.2f} {case.peer}", flush=True)


if __name__ == "__main__":
    main()
