"""The embedded default: Whisper on this machine, no key and no account. Vendor name `local-whisper`.

One `LocalWhisper` serves all sessions of the process. It holds the model (100 to 300 MB), a few instances of
the voice activity model, and the queue of turns; all are bounded by the number of workers. Each session's run
is a `Stream` with tasks in the session's nursery; when it ends nothing of it is left. Models run in threads
through `off_loop`; a decode once begun runs to its end (about 0.1 to 0.3 s), also when its session was
cancelled, and its result is then dropped.

Cost (`bench/local_stt.py`): per second of speech about 40 ms of CPU for tiny.en and 70 for base, 4 ms for
voice activity where the gate hears something.
"""

import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.audio.gate import EnergyGate
from engine.config import Local
from engine.off_loop import OffLoop, worker_threads
from engine.stt._local_stream import Gate, Parts, Stream
from engine.stt._silero import SileroPool, SileroStatistics
from engine.stt._whisper import Whisper
from engine.stt.languages import DETECT, ENGLISH, WHISPER
from engine.stt.models import ModelFiles, locate
from engine.stt.turns import Turns, TurnStatistics
from engine.stt.vendor import SAMPLE_RATE, AudioSource, Fault, Ready, StreamOptions, SttEvent, VendorError

_INSTANCES_PER_WORKER = 8
"""Voice activity instances (9 MB each): more streams than these may speak, at the price of replays."""


class LocalStatistics(msgspec.Struct, frozen=True):
    """The state of what all sessions share; `streams` are running now."""

    streams: int
    turns: TurnStatistics
    voice: SileroStatistics


def cores() -> int:
    """Cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class LocalWhisper:
    """A `Vendor`. `data_dir` is where `base` is put together (only then needed).

    `off_loop` runs blocking work; without it threads are used, one per worker for decoding and as many for
    voice activity. `gate` makes the cheap gate in front of voice activity for each stream.
    """

    name = "local-whisper"
    provider = "local"

    def __init__(
        self,
        config: Local,
        *,
        data_dir: Path | None = None,
        off_loop: OffLoop | None = None,
        gate: Callable[[], Gate] = EnergyGate,
    ) -> None:
        self._config = config
        self._data_dir = data_dir
        workers = config.threads or cores()
        self._off_loop: OffLoop = off_loop or worker_threads(2 * workers)
        self._gate = gate
        self._turns = Turns(workers)
        self._silero = SileroPool(_INSTANCES_PER_WORKER * workers, self._off_loop)
        self._whisper: Whisper | None = None
        self._streams = 0

    def speaks(self, language: str) -> bool:
        """English with tiny.en; Whisper's 99 languages, `multi` and `auto` with a multilingual model.

        Of a model of one's own only English is known before `prepare` has loaded it.
        """
        multilingual = self._config.model == "base" or (
            self._whisper is not None and self._whisper.multilingual
        )
        return (WHISPER if multilingual else ENGLISH).match(language) is not None

    async def prepare(self) -> None:
        """Load the models and decode once, off the loop. VendorError when something is missing or wrong."""
        files = await self._off_loop(locate, self._config.model, self._data_dir)
        self._whisper = await self._off_loop(self._load, files)
        await self._silero.warm()

    def _load(self, files: ModelFiles) -> Whisper:
        """In a thread."""
        whisper = Whisper.load(files, threads=self._turns.workers, window=self._config.window)
        quiet: NDArray[np.int16] = np.zeros(SAMPLE_RATE, np.int16)
        whisper.transcribe(quiet, (0, len(quiet)), language="en")
        return whisper

    async def transcribe(
        self, audio: AudioSource, emit: Callable[[SttEvent], None], options: StreamOptions
    ) -> None:
        """See `Vendor.transcribe`. VendorError also without `prepare` or for a language not spoken."""
        stream = self._open(audio, emit, options)
        emit(Ready(keeps_numbers=options.speakers is not None))
        self._streams += 1
        try:
            await stream.run()
        except BaseExceptionGroup as group:
            # The session wants the vendor's own error, not the nursery's wrapping of it.
            faults, others = group.split(VendorError)
            if faults is None or others is not None:
                raise
            raise _first(faults) from group
        finally:
            self._streams -= 1

    def _open(self, audio: AudioSource, emit: Callable[[SttEvent], None], options: StreamOptions) -> Stream:
        if self._whisper is None:
            raise VendorError(Fault.ELSEWHERE, "local-whisper: the model is not loaded; call prepare() first")
        spoken = (WHISPER if self._whisper.multilingual else ENGLISH).match(options.language)
        if spoken is None:
            raise VendorError(
                Fault.ELSEWHERE,
                f"local-whisper: language {options.language!r} is not spoken by {self._config.model!r}",
            )
        parts = Parts(
            whisper=self._whisper,
            silero=self._silero,
            turns=self._turns,
            off_loop=self._off_loop,
            endpoint_silence=self._config.endpoint_silence,
            utterance_limit=self._config.utterance_limit,
            interim_interval=self._config.interim_interval,
        )
        return Stream(
            parts,
            self._gate(),
            audio,
            emit,
            language=None if spoken in DETECT else spoken,
            vocabulary=(*self._config.vocabulary, *options.vocabulary),
            interim_results=options.interim_results,
            speakers=options.speakers,
        )

    def statistics(self) -> LocalStatistics:
        """What is running and waiting now, over all sessions."""
        return LocalStatistics(self._streams, self._turns.statistics(), self._silero.statistics())


def _first(group: BaseExceptionGroup[VendorError]) -> VendorError:
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
