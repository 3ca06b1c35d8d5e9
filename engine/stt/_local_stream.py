"""One session's stream through the local engine: read, find utterances, decode in turn, emit.

Three tasks in one nursery: the reader feeds the endpointer and puts what it decides into an outbox; the
decoder takes it out in order, waits for a turn, and emits; the watch tells the session when its audio waits
too long. A fourth makes interim results where asked for.

Invariants: finals are emitted in order and tile the timeline; at most one utterance is being decoded and one
is waiting. When a second would wait, reading stops and the audio stays in its source. So what is held here is
bounded by three utterances and a second of audio.
"""

from collections.abc import Callable
from typing import Protocol

import msgspec
import numpy as np
import trio
from numpy.typing import NDArray

from engine.off_loop import OffLoop
from engine.stt._live_edge import LiveEdge
from engine.stt._outbox import Outbox
from engine.stt._silero import SileroPool, VoiceStream
from engine.stt._whisper import Heard, Whisper
from engine.stt._words import HeardWord
from engine.stt.endpoint import WINDOW, Endpointed, Endpointer, Silence, Utterance
from engine.stt.turns import Turns
from engine.stt.vendor import (
    SAMPLE_RATE,
    Activity,
    AudioSource,
    Chunk,
    Fault,
    Final,
    Interim,
    Lag,
    SpeakerLabels,
    SttEvent,
    VendorError,
)
from engine.transcript.words import Word

CHUNK = SAMPLE_RATE // 10
"""Samples read at a time."""

LAG_THRESHOLD = 3.0
"""Seconds an utterance may wait for its result before the session is told."""

LAG_INTERVAL = 3.0
"""Seconds between two reports of a lag that lasts."""


class Gate(Protocol):
    """The cheap gate in front of voice activity detection."""

    def process(self, pcm: NDArray[np.int16], /) -> bool:
        """Whether `pcm`, the next samples of the stream, may hold speech."""
        ...


class Parts(msgspec.Struct, frozen=True):
    """What all streams share."""

    whisper: Whisper
    silero: SileroPool
    turns: Turns
    off_loop: OffLoop
    endpoint_silence: float
    utterance_limit: float
    interim_interval: float


class Stream:
    """One run of `LocalWhisper.transcribe`. `language` is Whisper's code, None to detect it per utterance."""

    def __init__(
        self,
        parts: Parts,
        gate: Gate,
        audio: AudioSource,
        emit: Callable[[SttEvent], None],
        *,
        language: str | None,
        vocabulary: tuple[str, ...],
        interim_results: bool,
        speakers: SpeakerLabels | None = None,
    ) -> None:
        self._parts = parts
        self._gate = gate
        self._audio = audio
        self._emit = emit
        self._language = language
        self._vocabulary = vocabulary
        self._interim_results = interim_results
        self._speakers = speakers
        self._voice = VoiceStream()
        self._share = parts.turns.join()
        self._endpointer = self._endpointer_at(audio.position)
        self._begun = False
        self._remainder = np.empty(0, np.int16)
        self._outbox = Outbox()
        self._edge = LiveEdge(audio.position)
        self._spoken = trio.Event()
        self._waiting_since: list[float] = []
        self._waiting = trio.Event()
        self._reading = False
        self._last_language: str | None = None
        self._interim_shown = False

    async def run(self) -> None:
        """Read to the end; returns when all is emitted. VendorError when the model fails."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._watch_lag)
                if self._interim_results:
                    nursery.start_soon(self._make_interims)
                nursery.start_soon(self._decode_all, nursery.cancel_scope)
                await self._read_all()
                await self._outbox.close()
        finally:
            self._voice.give_up()

    async def _read_all(self) -> None:
        while True:
            before = trio.current_time()
            self._reading = True
            chunk = await self._audio.read(CHUNK)
            self._reading = False
            await self._take_chunk(chunk, trio.current_time() - before)
            if chunk.end:
                return

    def _endpointer_at(self, position: int) -> Endpointer:
        return Endpointer(
            position,
            endpoint_silence=self._parts.endpoint_silence,
            utterance_limit=self._parts.utterance_limit,
        )

    async def _take_chunk(self, chunk: Chunk, waited: float) -> None:
        if not self._begun:
            # Another vendor may have gone on while this stream was being opened.
            self._begun = True
            self._endpointer = self._endpointer_at(chunk.position)
        expected = self._endpointer.position + len(self._remainder)
        if chunk.position != expected:
            raise VendorError(
                Fault.RETRY_NOW, f"local-whisper: audio at {chunk.position} where {expected} should follow"
            )
        pcm = np.frombuffer(chunk.pcm, np.int16)
        maybe_speech = self._gate.process(pcm) if len(pcm) else False
        held = np.concatenate([self._remainder, pcm])
        whole = len(held) // WINDOW * WINDOW
        self._remainder = held[whole:]
        self._edge.note(chunk.position + len(pcm), waited)
        if whole:
            await self._take_windows(held[:whole].reshape(-1, WINDOW), maybe_speech)
        if chunk.flush or chunk.end:
            tail, self._remainder = self._remainder, np.empty(0, np.int16)
            await self._decided(self._endpointer.finish(tail))

    async def _take_windows(self, windows: NDArray[np.int16], maybe_speech: bool) -> None:
        if maybe_speech or self._endpointer.is_open:
            probabilities = await self._parts.silero.probabilities(self._voice, windows)
        else:
            self._voice.skip(windows)
            probabilities = [0.0] * len(windows)
        for window, probability in zip(windows, probabilities, strict=True):
            await self._decided(self._endpointer.push(window, probability))

    async def _decided(self, events: list[Endpointed]) -> None:
        for event in events:
            if isinstance(event, Activity):
                if event.speaking:
                    self._spoken.set()
                self._emit(event)
            elif isinstance(event, Silence):
                await self._outbox.put(event)
            else:
                self._waiting_since.append(trio.current_time() - self._reading_lag())
                self._waiting.set()
                await self._outbox.put(event)

    async def _decode_all(self, all_tasks: trio.CancelScope) -> None:
        while (item := await self._outbox.take()) is not None:
            if isinstance(item, Silence):
                self._emit(Final(item.start, item.end))
            else:
                await self._decode(item)
        all_tasks.cancel()

    async def _decode(self, utterance: Utterance) -> None:
        async with self._parts.turns.turn(self._share, len(utterance.pcm) / SAMPLE_RATE):
            heard = await self._parts.off_loop(self._hear, utterance, False)
        words = self._on_timeline(utterance, heard)
        if words and self._speakers is not None:
            words = await self._speakers.label(utterance.pcm, utterance.start, words)
        if words:
            self._last_language = heard.language
        if self._interim_shown and not words:
            self._emit(Interim(()))
        self._interim_shown = False
        self._emit(Final(utterance.start, utterance.end, words))
        self._waiting_since.pop(0)

    def _hear(self, utterance: Utterance, quick: bool) -> Heard:
        """In a thread."""
        span = (utterance.speech_start - utterance.start, utterance.speech_end - utterance.start)
        return self._parts.whisper.transcribe(
            utterance.pcm,
            span,
            language=self._language,
            expected=self._last_language,
            vocabulary=self._vocabulary,
            quick=quick,
        )

    @staticmethod
    def _on_timeline(utterance: Utterance, heard: Heard) -> tuple[Word, ...]:
        def placed(word: HeardWord) -> Word:
            return Word(
                word.text,
                utterance.start + word.start,
                utterance.start + word.end,
                confidence=word.confidence,
                language=heard.language,
            )

        return tuple(placed(word) for word in heard.words)

    async def _make_interims(self) -> None:
        while True:
            await self._spoken.wait()
            await trio.sleep(self._parts.interim_interval)
            utterance = self._endpointer.open_utterance()
            if utterance is None:
                if not self._endpointer.is_open:
                    self._spoken = trio.Event()
                continue
            with self._parts.turns.spare_turn() as granted:
                if not granted:
                    continue
                heard = await self._parts.off_loop(self._hear, utterance, True)
            still = self._endpointer.open_utterance()
            if still is not None and still.start == utterance.start and heard.words:
                self._interim_shown = True
                self._emit(Interim(self._on_timeline(utterance, heard)))

    async def _watch_lag(self) -> None:
        told = False
        while True:
            lag = self._lag()
            if lag >= LAG_THRESHOLD:
                self._emit(Lag(lag))
                told = True
                await trio.sleep(LAG_INTERVAL)
            elif told:
                self._emit(Lag(0.0))
                told = False
            elif self._waiting_since:
                # The margin: a rest of time too short for the clock to count would be waited for without end.
                await trio.sleep(LAG_THRESHOLD - lag + 0.01)
            else:
                self._waiting = trio.Event()
                await self._waiting.wait()

    def _lag(self) -> float:
        """Age in seconds of the oldest audio that was heard and has no result, as a live client sees it."""
        if self._waiting_since:
            return trio.current_time() - self._waiting_since[0]
        return 0.0 if self._reading else self._reading_lag()

    def _reading_lag(self) -> float:
        return max(0.0, self._edge.behind(self._endpointer.position))
