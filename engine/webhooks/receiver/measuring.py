"""Runs the operator's processors over a session's audio: results as lines of JSON beside the audio, and as events.

Operations: a `Consumer`.
Invariants: the processors of a session see its pieces in order, one at a time, each with what those before it in the
chain said. One that fails says so in its place; the others go on. What a processor says cannot break a line.
Bounded: `processor_threads` pieces at once; what they do not keep up with is dropped, and counted, by the feed. A line
is at most `LINE_BYTES`.
Known doubt: a processor that never returns holds its thread, and with it a share of all others' turns.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.audio.resample import Resampler
from engine.log import get_logger
from engine.off_loop import OffLoop
from engine.webhooks.receiver.events import Events
from engine.webhooks.receiver.feed import Feed
from engine.webhooks.receiver.files import SavedResults
from engine.webhooks.receiver.joining import Audio, Began
from engine.webhooks.receiver.processors import SAMPLE_RATE, Piece, Processor, Result

__all__ = ["Measuring", "Said"]

log = get_logger(__name__)

LINE_BYTES = 4 * 2**20

Results = Callable[[Began], SavedResults]


class Said(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line: what one processor said about a piece of `seconds`, which begins `start` seconds into the session."""

    processor: str
    session_id: str
    start: float
    seconds: float
    result: Result | None = None
    error: str | None = None


class Measuring:
    """Runs `processors`, by their names. `results` makes the files, None when none are kept."""

    name = "processors"
    lossless = False

    def __init__(
        self,
        processors: Mapping[str, Callable[[], Processor]],
        threads: OffLoop,
        events: Events,
        results: Results | None,
        failed: Callable[[str], None],
        voice_allowed: Callable[[str], Awaitable[bool]],
    ) -> None:
        """`failed` is told the name of a processor that raised; `voice_allowed` says of a user what `Piece` does."""
        self._processors = processors
        self._threads = threads
        self._events = events
        self._results = results
        self._failed = failed
        self._voice_allowed = voice_allowed

    async def consume(self, session: Began, feed: Feed) -> None:
        """See `Consumer`."""
        allowed = await self._voice_allowed(session.uid)
        chain = await self._threads(_Chain, session, self._processors, allowed)
        results = None if self._results is None else self._results(session)
        try:
            async for piece in feed:
                if not isinstance(piece, Audio):
                    continue
                lines = b""
                for said, line in await self._threads(chain.process, piece):
                    if said.error is not None:
                        self._failed(said.processor)
                        log.warning("receiver.processor_failed", processor=said.processor, error=said.error)
                    self._events.publish(session, "result", line=msgspec.Raw(line))
                    lines += line + b"\n"
                if results is not None:
                    await results.add(piece.position, lines)
            if results is not None:
                await results.finish()
        finally:
            if results is not None:
                results.close()


class _Chain:
    """The processors of one session. Runs in threads, one at a time."""

    def __init__(
        self, session: Began, processors: Mapping[str, Callable[[], Processor]], voice_allowed: bool
    ) -> None:
        self._session = session
        self._voice_allowed = voice_allowed
        self._resampler = Resampler(session.sample_rate, SAMPLE_RATE)
        self._processors = {name: make() for name, make in processors.items()}

    def process(self, audio: Audio) -> list[tuple[Said, bytes]]:
        """What each says about a piece, and the same as a line."""
        session = self._session
        start = audio.position / session.sample_rate
        samples: NDArray[np.int16] = np.frombuffer(audio.pcm, "<i2").astype(np.int16, copy=False)
        piece = Piece(
            uid=session.uid,
            session_id=session.id,
            start=start,
            samples=self._resampler.process(samples),
            voice_allowed=self._voice_allowed,
        )
        earlier: dict[str, Result] = {}
        found = []
        for name, processor in self._processors.items():
            said = Said(processor=name, session_id=session.id, start=round(start, 4), seconds=piece.seconds)
            try:
                result = processor.process(piece, earlier)
                said = msgspec.structs.replace(said, result=result)
                line = msgspec.json.encode(said, enc_hook=_plain)
                if len(line) > LINE_BYTES:
                    raise ValueError(f"the result has {len(line)} bytes; at most {LINE_BYTES} are kept")
                if result is not None:
                    earlier[name] = result
            except Exception as error:  # noqa: BLE001 - an operator's class may raise anything
                said = msgspec.structs.replace(said, result=None, error=f"{type(error).__name__}: {error}")
                line = msgspec.json.encode(said)
            found.append((said, line))
        return found


def _plain(value: Any) -> Any:
    """NumPy's numbers and arrays as Python's."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
