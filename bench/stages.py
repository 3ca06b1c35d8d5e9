"""The stages of the live path, each against the least that could do it, in one run.

    python -m bench stages

The report is `bench/report/stages.md`. "ratio" is our time over the reference's: the median over the rounds, and the
interval that holds it with 99 % sureness. `bench.guard` holds the same ratios to `budgets.toml`.
"""

import json
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import soxr
import trio

from bench.bare import BareLoop
from bench.decode import CASES, ours
from bench.interleaved import Stage, Turns, take_turns, timed
from bench.machine import machine
from bench.plot import bars
from bench.ring import PlainRing
from bench.sockets import PACKETS_A_CHUNK, SOCKETS, LanedSockets, clients, opus_packets
from bench.wire import BareReceiver, FrameLoops
from engine.audio.gate import EnergyGate
from engine.audio.resample import Resampler, warm
from engine.audio.ring import Ring
from engine.cli.load_socket import BINARY, frame
from engine.listen import open_session
from engine.testing.scripted import ScriptedVendor, counted_words
from engine.transcript import merge, words_to_segments
from engine.transcript.words import Word
from engine.wire.messages import Segment, encode_segments

__all__ = ["stages", "table"]

REPORT = Path(__file__).parent / "report"
RATE = 16_000
ROUNDS = 100
TEXT = "Ever tried. Ever failed. No matter."


def _decode() -> Stage:
    case = next(case for case in CASES if case.codec == "opus_fs320")
    packets, bare = opus_packets()[:50], BareLoop(case.codec)
    decode = ours(case)

    def turn() -> float:
        start = time.thread_time_ns()
        decode(packets)
        return (time.thread_time_ns() - start) / len(packets)

    return Stage(
        "decode",
        "20 ms of Opus",
        "libopus in a C loop",
        turn,
        lambda: bare.nanoseconds(packets) / len(packets),
    )


def _ring() -> Stage:
    ring, plain, pcm = Ring(16 * RATE), PlainRing(), np.zeros(RATE // 10, np.int16)
    reader = ring.cursor("reader")

    def pass_on() -> None:
        ring.write(pcm)
        reader.peek(pcm.size)
        reader.advance(pcm.size)

    def plainly() -> None:
        plain.write(pcm)
        plain.peek(pcm.size)

    return Stage("ring", "100 ms in and out", "a NumPy array", timed(pass_on, 500), timed(plainly, 500))


def _resample() -> Stage:
    pcm = (np.random.default_rng(1).standard_normal(960) * 3000).astype(np.int16)
    resampler = Resampler(48_000, RATE)
    out = np.empty(resampler.max_output(pcm.size), dtype=np.int16)
    theirs: Any = soxr.ResampleStream(48_000, RATE, 1, dtype="int16", quality="HQ")
    return Stage(
        "resample",
        "20 ms, 48 to 16 kHz",
        "soxr HQ",
        timed(lambda: resampler.process_into(pcm, out), 300),
        timed(lambda: theirs.resample_chunk(pcm), 300),
    )


def _frames() -> Stage:
    loops = FrameLoops([frame(BINARY, packet) for packet in opus_packets()])
    return Stage("frame reader", "a frame of 20 ms", "a C loop that checks nothing", loops.reader, loops.bare)


def _gate() -> Stage:
    gate = EnergyGate()
    noise = np.random.default_rng(1).normal(0, 300, RATE).astype(np.int16)

    def level() -> Any:
        hops = noise.reshape(100, -1).astype(np.float32)
        return np.einsum("ij,ij->i", hops, hops)

    return Stage(
        "gate", "1 s", "mean squares in NumPy", timed(lambda: gate.process(noise), 20), timed(level, 20)
    )


def _merge() -> Stage:
    words = [Word(text, 16_000 * n, 16_000 * n + 8000) for n, text in enumerate(TEXT.split(), 1)]
    last = Segment(id="a", text="Try again", start=0, end=1, stt_provider="v")

    def ruled() -> object:
        new = words_to_segments(words, offset_seconds=0.0, provider="v", new_id=lambda: "b")
        return merge(last, new)

    def joined() -> object:
        text = " ".join(word.text for word in words)
        segment = Segment(id="b", text=text, start=words[0].start / RATE, end=words[-1].end / RATE)
        return msgspec.structs.replace(last, text=f"{last.text} {segment.text}", end=segment.end, revision=2)

    return Stage(
        "merge", "a result of 6 words", "joining, without rules", timed(ruled, 200), timed(joined, 200)
    )


def _json() -> Stage:
    segment = Segment(
        id="0b9a2c9e-52d0-4fb0-bd7c-8b0b4cf8be0a", text=TEXT, start=1, end=2, stt_provider="deepgram"
    )
    plain = msgspec.to_builtins(segment)
    return Stage(
        "JSON", "a segment", "the json module", timed(lambda: encode_segments([segment]), 500),
        timed(lambda: json.dumps([plain]), 500),
    )  # fmt: skip


def _lane(stack: ExitStack) -> Stage:
    ours, theirs = (stack.enter_context(clients()) for _ in range(2))
    laned, bare = LanedSockets(ours.servers), BareReceiver([one.fileno() for one in theirs.servers])
    stack.callback(bare.close)
    decoded = 0

    def turn() -> float:
        nonlocal decoded
        decoded += SOCKETS
        ours.send()
        start = time.thread_time_ns()
        laned.drain(decoded)
        return (time.thread_time_ns() - start) / SOCKETS

    def barely() -> float:
        theirs.send()
        return bare.receive(SOCKETS) / SOCKETS

    return Stage("lane", f"20 ms of Opus, {SOCKETS} sockets", "receive and decode in a C loop", turn, barely)


def _live(stack: ExitStack) -> Stage:
    """The lane with vendors behind it."""
    ours, our_vendors, theirs, their_vendors = (stack.enter_context(clients()) for _ in range(4))
    laned = LanedSockets(ours.servers, our_vendors.servers)
    bare = BareReceiver(
        [one.fileno() for one in theirs.servers], [one.fileno() for one in their_vendors.servers]
    )
    stack.callback(bare.close)
    decoded = 0

    def turn() -> float:
        nonlocal decoded
        taken = 0.0
        for _ in range(PACKETS_A_CHUNK):
            decoded += SOCKETS
            ours.send()
            start = time.thread_time_ns()
            laned.drain(decoded)
            taken += time.thread_time_ns() - start
        laned.sent()
        our_vendors.take()
        return taken / SOCKETS / PACKETS_A_CHUNK

    def barely() -> float:
        taken = 0.0
        for _ in range(PACKETS_A_CHUNK):
            theirs.send()
            taken += bare.receive(SOCKETS)
        their_vendors.take()
        return taken / SOCKETS / PACKETS_A_CHUNK

    return Stage(
        "live path",
        f"20 ms of Opus to a vendor, {SOCKETS} sockets",
        "receive, decode and send on in a C loop",
        turn,
        barely,
    )


def _session() -> Stage:
    packets, bare = opus_packets(), BareLoop("opus_fs320")

    async def run() -> None:
        vendor = ScriptedVendor(counted_words(1.0))
        async with open_session(vendor, codec="opus_fs320") as session:
            for packet in packets:
                await session.send(packet)
            await session.finish()
            async for _ in session:
                pass

    def turn() -> float:
        start = time.thread_time_ns()
        trio.run(run)
        return (time.thread_time_ns() - start) / len(packets)

    return Stage(
        "session",
        "20 ms of Opus, from opening to the last word",
        "libopus in a C loop",
        turn,
        lambda: bare.nanoseconds(packets) / len(packets),
    )


@contextmanager
def stages() -> Iterator[list[Stage]]:
    """All of them, ready to be timed. Needs a C compiler."""
    warm()
    with ExitStack() as stack:
        yield [
            _decode(), _ring(), _resample(), _frames(), _gate(), _merge(), _json(),
            _lane(stack), _live(stack), _session(),
        ]  # fmt: skip


def table(stages: Sequence[Stage], turns: dict[str, Turns]) -> list[str]:
    """What was measured, in Markdown."""
    lines = ["| stage | what | µs | reference | µs | ratio | 99 % |", "|---|---|---:|---|---:|---:|---|"]
    for stage in stages:
        taken = turns[stage.name]
        ours, theirs = (statistics.median(column) / 1000 for column in (taken.ours, taken.theirs))
        low, high = taken.interval
        lines.append(
            f"| {stage.name} | {stage.unit} | {ours:.2f} | {stage.reference} | {theirs:.2f} "
            f"| {taken.ratio:.2f} | {low:.2f} to {high:.2f} |"
        )
    return lines


def main() -> None:
    """Measure, write the report with its plot, and print it."""
    described = machine()
    with stages() as measured:
        turns = take_turns(measured, ROUNDS)
        lines = table(measured, turns)
    text = "\n".join(
        ["# The stages of the live path", "", *described, "", "![ratios](stages.svg)", "", *lines, ""]
    )
    ratios: list[float | None] = [turns[stage.name].ratio for stage in measured]
    plot = bars("CPU over the reference's", list(turns), {"ours": ratios}, log=True)
    REPORT.mkdir(exist_ok=True)
    (REPORT / "stages.md").write_text(text)
    (REPORT / "stages.svg").write_text(plot)
    print(text)
