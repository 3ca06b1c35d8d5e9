"""The local speech-to-text: accuracy, cost, latency, fairness and what vocabulary does, on real recordings.

Run `python -m bench local_stt`. Every figure is measured in this run; errors are words inserted, deleted or
substituted. "Offline" is the same model given the whole recording at once.
"""

import statistics
import time
from collections.abc import Callable

import msgspec
import numpy as np
import trio
from numpy.typing import NDArray

from engine.config import Local
from engine.stt._silero import SileroPool, VoiceStream
from engine.stt._whisper import Whisper
from engine.stt.endpoint import WINDOW
from engine.stt.local import LocalWhisper
from engine.stt.models import locate
from engine.stt.vendor import SAMPLE_RATE, Chunk, Final, StreamOptions, SttEvent
from tests.stt.streams import TEXTS, MemorySource, load, text_of, word_errors

SHORT_STREAMS = 7
FAIRNESS_SECONDS = 20.0
NAME = "Dashwood"
NAME_SLICE = slice(16_000, 27_200)
"""Where `austen-0870` says the name, cut so closely that the plain model hears something else."""


class PacedSource(MemorySource):
    """A recording that arrives in real time, as from a live client."""

    def __init__(self, pcm: NDArray[np.int16]) -> None:
        super().__init__(pcm)
        self._begun = trio.current_time()

    async def read(self, samples: int) -> Chunk:
        """Wait until the samples have been spoken."""
        await trio.sleep_until(self.spoken_at(self.position + samples))
        return await super().read(samples)

    def spoken_at(self, position: int) -> float:
        """The time at which the sample at `position` arrived."""
        return self._begun + position / SAMPLE_RATE


class Result(msgspec.Struct, frozen=True):
    """One recording through the vendor and offline; CPU in ms per second of audio, latency in seconds."""

    name: str
    words: int
    errors: int
    offline_errors: int
    cpu: float
    offline_cpu: float
    latency: float


def _cpu_per_second(spent: float, pcm: NDArray[np.int16]) -> float:
    return 1e3 * spent / (len(pcm) / SAMPLE_RATE)


async def _through(vendor: LocalWhisper, source: MemorySource, note: Callable[[SttEvent], None]) -> None:
    await vendor.transcribe(source, note, StreamOptions(session_id="bench"))


async def _recording(vendor: LocalWhisper, whisper: Whisper, name: str) -> Result:
    pcm = np.concatenate([load(name), np.zeros(SAMPLE_RATE, np.int16)])
    events: list[SttEvent] = []
    before = time.process_time()
    await _through(vendor, MemorySource(pcm), events.append)
    cpu = time.process_time() - before
    before = time.process_time()
    heard = whisper.transcribe(pcm, (0, len(pcm)), language="en")
    offline_cpu = time.process_time() - before
    offline = " ".join(word.text for word in heard.words)
    return Result(
        name,
        len(TEXTS[name].split()),
        word_errors(TEXTS[name], text_of(events)),
        word_errors(TEXTS[name], offline),
        _cpu_per_second(cpu, pcm),
        _cpu_per_second(offline_cpu, pcm),
        max(await _latencies(vendor, pcm)),
    )


async def _latencies(vendor: LocalWhisper, pcm: NDArray[np.int16]) -> list[float]:
    """From the end of each utterance's last word to its final, in real time on this machine."""
    source = PacedSource(pcm)
    found: list[float] = []

    def note(event: SttEvent) -> None:
        if isinstance(event, Final) and event.words:
            found.append(trio.current_time() - source.spoken_at(event.words[-1].end))

    await _through(vendor, source, note)
    return found


async def _recordings(vendor: LocalWhisper, whisper: Whisper) -> None:
    print("recording      words  errors (offline)   CPU ms/s (offline)   last word to final, s")
    results = [await _recording(vendor, whisper, name) for name in TEXTS]
    for result in results:
        print(
            f"{result.name:<14}{result.words:>6}{result.errors:>8}{result.offline_errors:>9}"
            f"{result.cpu:>13.0f}{result.offline_cpu:>10.0f}{result.latency:>17.2f}"
        )
    words = sum(result.words for result in results)
    errors = sum(result.errors for result in results)
    offline = sum(result.offline_errors for result in results)
    print(f"word error rate {errors / words:.1%}, offline {offline / words:.1%}\n")


async def _voice_activity() -> None:
    pool = SileroPool(1, trio.to_thread.run_sync)
    await pool.warm()
    pcm = load("phone-two-speakers")
    windows = pcm[: len(pcm) // WINDOW * WINDOW].reshape(-1, WINDOW)
    stream = VoiceStream()
    before = time.process_time()
    await pool.probabilities(stream, windows)
    spent = time.process_time() - before
    print(
        f"voice activity: {1e6 * spent / len(windows):.0f} µs a window, {_cpu_per_second(spent, pcm):.1f} ms/s"
    )
    pauses = np.concatenate([load("austen-0880"), np.zeros(20 * SAMPLE_RATE, np.int16)])
    vendor = LocalWhisper(Local())
    await vendor.prepare()
    await _through(vendor, MemorySource(pauses), lambda event: None)
    run = vendor.statistics().voice.windows
    print(
        f"with 20 s of silence after 3 s of speech the gate leaves it {run} of {len(pauses) // WINDOW} windows\n"
    )


async def _fairness(whisper: Whisper) -> None:
    """One who never pauses and seven who say a sentence now and then, all in real time."""
    vendor = LocalWhisper(Local())
    await vendor.prepare()
    sentence = np.concatenate([load("austen-0880"), np.zeros(3 * SAMPLE_RATE, np.int16)])
    endless = np.concatenate([load("austen-0870"), load("austen-0890")] * 4)
    delays: list[float] = []

    async def speak(begin: float) -> None:
        await trio.sleep(begin)
        while True:
            delays.extend(await _latencies(vendor, sentence))

    with trio.move_on_after(FAIRNESS_SECONDS):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_through, vendor, PacedSource(endless), lambda event: None)
            for number in range(SHORT_STREAMS):
                nursery.start_soon(speak, number * 6.0 / SHORT_STREAMS)
    turns = vendor.statistics().turns
    print(f"one speaks without pause, {SHORT_STREAMS} say a sentence every 6 s; {turns.workers} workers:")
    print(
        f"  {turns.served} turns waited for: mean {1e3 * turns.total_wait / turns.served:.0f} ms, "
        f"longest {1e3 * turns.longest_wait:.0f} ms; one sentence decodes in {1e3 * _decoding(whisper):.0f} ms"
    )
    print(f"  last word to final of the short ones: median {statistics.median(delays):.2f} s\n")


def _decoding(whisper: Whisper) -> float:
    """Seconds for one sentence with the machine to itself: the median of five."""
    sentence = load("austen-0880")
    spent = []
    for _ in range(5):
        before = time.perf_counter()
        whisper.transcribe(sentence, (0, len(sentence)), language="en")
        spent.append(time.perf_counter() - before)
    return statistics.median(spent)


def _vocabulary(whisper: Whisper) -> None:
    pcm = load("austen-0870")[NAME_SLICE]
    for words in ((), (NAME,), (NAME, "Norland Park", "Willoughby", "Marianne")):
        heard = whisper.transcribe(pcm, (0, len(pcm)), language="en", vocabulary=words)
        said = " ".join(word.text for word in heard.words)
        errors = sum(_errors_with(whisper, name, words) for name in TEXTS)
        print(
            f"vocabulary {', '.join(words) or 'none':<48} hears {said!r}; errors in all recordings {errors}"
        )


def _errors_with(whisper: Whisper, name: str, vocabulary: tuple[str, ...]) -> int:
    pcm = load(name)
    heard = whisper.transcribe(pcm, (0, len(pcm)), language="en", vocabulary=vocabulary)
    return word_errors(TEXTS[name], " ".join(word.text for word in heard.words))


async def _run() -> None:
    vendor = LocalWhisper(Local())
    before = time.perf_counter()
    await vendor.prepare()
    print(f"Whisper tiny.en, prepared in {time.perf_counter() - before:.1f} s")
    whisper = Whisper.load(locate("tiny.en", None), threads=1, window=Local().window)
    await _recordings(vendor, whisper)
    await _voice_activity()
    await _fairness(whisper)
    _vocabulary(whisper)


def main() -> None:
    """Print all figures."""
    trio.run(_run)


if __name__ == "__main__":
    main()
