"""Voices of all sessions, computed in threads, in batches, within a share of the machine.

Operations: `prepare` loads the network, `vectors` gives an utterance's windows; `statistics`.
Invariants: an utterance's windows come whole or not at all. More urgent ones go first, among equals the earlier; who
comes while a batch runs is in the next. Over any ten seconds no more than `core_share` of a core is used on average,
but for the batch that goes over it, whose debt is paid before the next.
Bounded: `QUEUE` utterances wait; when more come, the least urgent (of these the oldest) are given up, and counted.
Utterances whose words wait for the answer go past the budget until twice what is saved up is owed; then they are
given up at once.
Cost: one hop to a thread for all that came since the last one; `python -m bench speaker` says what a window costs.
Cancellation: who is cancelled while it waits is forgotten; a batch that has begun runs to its end.
"""

import math
import time
from enum import IntEnum

import msgspec
import numpy as np
import trio
from numpy.typing import NDArray

from engine.off_loop import OffLoop, worker_threads
from engine.speaker.embedding import BATCH, RATE, Floats, VoiceEncoder, window_starts
from engine.transcript.timeline import SAMPLE_RATE

__all__ = ["QUEUE", "Encoding", "EncodingStatistics", "Urgency"]

QUEUE = 256
BUDGET_SECONDS = 10.0
"""What is not used is saved up for so long."""

Samples = NDArray[np.int16]


class Urgency(IntEnum):
    """Who goes first."""

    LATER = 0
    """A speaker who is known: looked at again, now and then."""
    KNOWN = 1
    """A speaker who has been heard, not long enough to be sure."""
    NEW = 2
    """A speaker of whom nothing is known."""
    LIVE = 3
    """Words wait for it."""


class EncodingStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """Counts since the beginning; `waiting` now. `speech_seconds` were heard at a cost of `cpu_seconds`."""

    utterances: int
    windows: int
    batches: int
    given_up: int
    waiting: int
    speech_seconds: float
    cpu_seconds: float


class _Request:
    __slots__ = ("called", "leads", "order", "pcm", "rate", "result", "settled", "urgency", "windows")

    def __init__(self, pcm: Samples, rate: float, urgency: Urgency, order: int) -> None:
        self.pcm = pcm
        self.rate = rate
        self.urgency = urgency
        self.order = order
        self.windows = len(window_starts(len(pcm), rate))
        self.result: Floats | None = None
        self.settled = False
        self.leads = False
        self.called = trio.Event()


class Encoding:
    """One per process. Whoever waits may be called upon to run the next batch: there is no task of its own."""

    def __init__(
        self,
        *,
        core_share: float = math.inf,
        threads: int = 1,
        off_loop: OffLoop | None = None,
        encoder: VoiceEncoder | None = None,
    ) -> None:
        """`core_share` cores may be used; without `encoder` it is loaded by `prepare`, or when first needed."""
        self._share = core_share
        self._threads = threads
        self._off_loop = off_loop or worker_threads(threads)
        self._encoder = encoder
        self._waiting: list[_Request] = []
        self._running = 0
        self._order = 0
        self._credit = 0.0
        self._live = trio.Event()
        self._credited_at: float | None = None
        self._utterances = self._windows = self._batches = self._given_up = 0
        self._speech = self._cpu = 0.0

    async def prepare(self) -> None:
        """Load the network. Raises `WrongWeights`."""
        if self._encoder is None:
            self._encoder = await self._off_loop(VoiceEncoder.load)

    async def vectors(self, pcm: Samples, urgency: Urgency, *, rate: float = RATE) -> Floats | None:
        """Unit vectors of the windows of an utterance of 16 kHz speech, `rate` a second; None: given up.

        Raises `WrongWeights`.
        """
        if urgency is Urgency.LIVE and self._credited() < -BUDGET_SECONDS * self._share:
            self._given_up += 1
            return None
        self._order += 1
        request = _Request(pcm, rate, urgency, self._order)
        self._waiting.append(request)
        if urgency is Urgency.LIVE:
            self._live.set()
        self._bound()
        self._call()
        try:
            while not request.settled:
                await request.called.wait()
                if not request.settled:
                    await self._run_batch()
                    self._resign(request)
        finally:
            if not request.settled:
                request.settled = True
                if request in self._waiting:
                    self._waiting.remove(request)
            self._resign(request)
        return request.result

    def spend(self, cpu_seconds: float) -> None:
        """Charge the budget for work that somebody else did on voices."""
        self._credit -= cpu_seconds
        self._cpu += cpu_seconds

    def statistics(self) -> EncodingStatistics:
        """How much was done, and waits."""
        return EncodingStatistics(
            utterances=self._utterances,
            windows=self._windows,
            batches=self._batches,
            given_up=self._given_up,
            waiting=len(self._waiting),
            speech_seconds=self._speech,
            cpu_seconds=self._cpu,
        )

    # Who waits, and who runs the next batch

    def _bound(self) -> None:
        idle = [one for one in self._waiting if not one.leads and one.urgency is not Urgency.LIVE]
        if idle and len(self._waiting) > QUEUE:
            self._give_up(min(idle, key=lambda one: (one.urgency, one.order)))

    def _give_up(self, request: _Request) -> None:
        self._given_up += 1
        self._waiting.remove(request)
        self._settle(request, None)

    @staticmethod
    def _settle(request: _Request, result: Floats | None) -> None:
        request.result = result
        request.settled = True
        request.called.set()

    def _call(self) -> None:
        """Have somebody who waits run a batch, if a thread is free."""
        idle = [one for one in self._waiting if not one.leads]
        if idle and self._running < self._threads:
            self._running += 1
            first = self._first(idle)
            first.leads = True
            first.called.set()

    def _resign(self, request: _Request) -> None:
        """Whoever was called upon has done it, or cannot: somebody else is called, or the same again."""
        if not request.leads:
            return
        request.leads = False
        self._running -= 1
        if not request.settled:
            request.called = trio.Event()
        self._call()

    @staticmethod
    def _first(waiting: list[_Request]) -> _Request:
        return max(waiting, key=lambda one: (one.urgency, -one.order))

    # Batches

    async def _run_batch(self) -> None:
        await self.prepare()
        await self._afford()
        batch = self._take()
        if not batch:
            return
        try:
            results, cpu = await self._off_loop(self._compute, batch)
        except BaseException:
            self._waiting += [one for one in batch if not one.settled]  # theirs is to be done yet
            raise
        self.spend(cpu)
        self._batches += 1
        for request, result in zip(batch, results, strict=True):
            self._utterances += 1
            self._windows += len(result)
            self._speech += len(request.pcm) / SAMPLE_RATE
            self._settle(request, result)

    def _take(self) -> list[_Request]:
        """The most urgent first, until there are `BATCH` windows."""
        taken: list[_Request] = []
        windows = 0
        for request in sorted(self._waiting, key=lambda one: (-one.urgency, one.order)):
            if taken and windows + request.windows > BATCH:
                break
            taken.append(request)
            windows += request.windows
        for request in taken:
            self._waiting.remove(request)
        return taken

    async def _afford(self) -> None:
        """Wait until what was spent is paid for. Words do not wait for it, only what comes after them does."""
        while self._credited() < 0 and not any(one.urgency is Urgency.LIVE for one in self._waiting):
            with trio.move_on_after(-self._credit / self._share):
                self._live = trio.Event()
                await self._live.wait()

    def _credited(self) -> float:
        """CPU seconds that may be spent now; less than 0 is owed."""
        if math.isinf(self._share):
            return 0.0
        now = trio.current_time()
        if self._credited_at is not None:
            earned = (now - self._credited_at) * self._share
            self._credit = min(self._credit + earned, BUDGET_SECONDS * self._share)
        self._credited_at = now
        return self._credit

    def _compute(self, batch: list[_Request]) -> tuple[list[Floats], float]:
        """In a thread."""
        assert self._encoder is not None, "prepared before"
        began = time.thread_time()
        windows = [self._encoder.windows(request.pcm, request.rate) for request in batch]
        vectors = self._encoder.embed(np.concatenate(windows))
        ends = np.cumsum([len(one) for one in windows])[:-1]
        return np.split(vectors, ends), time.thread_time() - began
