"""The silence gate: what it keeps from a vendor, and what of the transcript that changes, on real recordings.

Run `python -m bench gate`. The local model transcribes the same audio with the gate off and on; a word differs when
it is inserted, deleted or substituted (the limit is 1 in 50), and the shift is between the starts of words that both
have (the limits are 50 ms in the median and 200 ms at the 95th percentile). The process exits with 1 beyond them.

What Whisper makes of a noisy telephone changes with any trifle. So there is a yardstick, which has no gate: the same
audio without its first 12.5 ms. A call that is cut up and put under noise is shown, but only the rest is held to the
limits.
"""

import difflib
import time

import msgspec
import numpy as np
import trio
from msgspec.structs import replace
from numpy.typing import NDArray

from engine.config import Local, Stt
from engine.stt._silero import SileroPool
from engine.stt.gating import GatedVendor, GateMode
from engine.stt.local import LocalWhisper
from engine.stt.vendor import SAMPLE_RATE, Final, StreamOptions, SttEvent
from engine.transcript.words import Word
from tests.stt.streams import MemorySource, load, words_of

Samples = NDArray[np.int16]

READINGS = ("austen-0870", "beckett", "austen-0880", "austen-0890")
PAUSES = (4.0, 8.0, 3.0, 6.0)
HANGOVERS = (0.5, 1.0, 2.0, 4.0)
YARDSTICK = 200
"""Samples left out."""

HISS = {"quiet": 3.0, "hiss at -50 dBFS": 100.0, "hiss at -40 dBFS": 330.0}
"""Standard deviations of the noise laid over recordings and pauses."""

WORDS_LIMIT, MEDIAN_LIMIT, P95_LIMIT = 1 / 50, 0.05, 0.2


class Difference(msgspec.Struct, frozen=True):
    """`gated` and `cpu` (seconds of the gated run) are shares of the audio's time; shifts in seconds."""

    words: int
    differing: int
    median: float
    p95: float
    gated: float
    cpu: float

    @property
    def within_limits(self) -> bool:
        """Whether it is what the gate promises."""
        few = self.differing <= self.words * WORDS_LIMIT
        return few and self.median <= MEDIAN_LIMIT and self.p95 <= P95_LIMIT

    def __str__(self) -> str:
        return (
            f"{self.gated:9.0%} {self.words:6d} {self.differing:10d} {self.median * 1000:8.0f} ms"
            f" {self.p95 * 1000:6.0f} ms {self.cpu:6.1%}"
        )


def with_pauses(noise: float) -> Samples:
    """Readings with 3 to 8 s of silence after each, under noise."""
    pieces = []
    for name, pause in zip(READINGS, PAUSES, strict=True):
        pieces += [load(name), np.zeros(int(pause * SAMPLE_RATE), np.int16)]
    return _noisy(np.concatenate(pieces), noise)


def call_with_pauses(noise: float) -> Samples:
    """The phone call in three parts, 5 s of silence after each."""
    call = load("phone-two-speakers")
    pieces = []
    for part in np.array_split(call, 3):
        pieces += [part, np.zeros(5 * SAMPLE_RATE, np.int16)]
    return _noisy(np.concatenate(pieces), noise)


def _noisy(pcm: Samples, noise: float) -> Samples:
    added = pcm + np.random.default_rng(3).normal(0, noise, len(pcm))
    return np.clip(added, -32768, 32767).astype(np.int16)


async def transcribe(
    local: LocalWhisper, pcm: Samples, mode: GateMode, hangover: float
) -> tuple[list[Word], float]:
    """The words, and the share of audio that was not sent."""
    events: list[SttEvent] = []
    voices = SileroPool(1, trio.to_thread.run_sync)
    vendor = GatedVendor(local, mode=mode, voices=voices, hangover=hangover)
    await vendor.transcribe(MemorySource(pcm), events.append, StreamOptions(session_id="bench"))
    finals = [event for event in events if isinstance(event, Final)]
    gated = sum(final.end - final.start for final in finals if final.gated)
    return [word for final in finals for word in final.words], gated / len(pcm)


async def compare(local: LocalWhisper, pcm: Samples, off: list[Word], hangover: float) -> Difference:
    """The gate on, against the words with it off."""
    began = time.process_time()
    on, gated = await transcribe(local, pcm, GateMode.ON, hangover)
    return _difference(off, on, gated, (time.process_time() - began) / (len(pcm) / SAMPLE_RATE))


async def yardstick(local: LocalWhisper, pcm: Samples, off: list[Word]) -> Difference:
    """No gate, and a little less of the audio."""
    began = time.process_time()
    words, _ = await transcribe(local, pcm[YARDSTICK:], GateMode.OFF, 1.0)
    moved = [replace(word, start=word.start + YARDSTICK, end=word.end + YARDSTICK) for word in words]
    return _difference(off, moved, 0.0, (time.process_time() - began) / (len(pcm) / SAMPLE_RATE))


def _difference(off: list[Word], on: list[Word], gated: float, cpu: float) -> Difference:
    texts = [[" ".join(words_of(word.text)) for word in words] for words in (off, on)]
    differing, shifts = 0, [0.0]
    for kind, a, a_end, b, b_end in difflib.SequenceMatcher(
        None, texts[0], texts[1], autojunk=False
    ).get_opcodes():
        if kind != "equal":
            differing += max(a_end - a, b_end - b)
            continue
        pairs = zip(off[a:a_end], on[b:b_end], strict=True)
        shifts += [abs(one.start - other.start) / SAMPLE_RATE for one, other in pairs]
    return Difference(
        words=len(off),
        differing=differing,
        median=float(np.median(shifts)),
        p95=float(np.percentile(shifts, 95)),
        gated=gated,
        cpu=cpu,
    )


async def measure() -> bool:
    """Print the table; whether the configured hangover is within the limits everywhere."""
    local = LocalWhisper(Local())
    await local.prepare()
    default = Stt().gate_hangover
    good = True
    print(f"{'audio':34} {'hangover':>8} {'not sent':>9} {'words':>6} {'differing':>10}", end="")
    print(f" {'shift p50':>11} {'p95':>9} {'CPU':>6}")
    recordings = {
        "phone call as it is": load("phone-two-speakers"),
        **{f"readings, {name}": with_pauses(noise) for name, noise in HISS.items()},
        **{f"call with pauses, {name}": call_with_pauses(noise) for name, noise in HISS.items()},
    }
    for name, pcm in recordings.items():
        off, _ = await transcribe(local, pcm, GateMode.OFF, default)
        print(f"{name:34} {'no gate':>8} {await yardstick(local, pcm, off)}")
        for hangover in HANGOVERS:
            difference = await compare(local, pcm, off, hangover)
            print(f"{name:34} {hangover:6.1f} s {difference}")
            held_to_limits = hangover == default and not name.startswith("call with pauses")
            good &= difference.within_limits or not held_to_limits
    print(f"With the default of {default} s: {'within' if good else 'BEYOND'} the limits.")
    return good


def main() -> int:
    """Exit status: 1 beyond the limits."""
    return 0 if trio.run(measure) else 1


if __name__ == "__main__":
    raise SystemExit(main())
