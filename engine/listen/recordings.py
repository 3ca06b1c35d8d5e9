"""Transcribes recordings that are given whole, such as a spoken message of a chat.

Operations: `transcribe`.
Invariants: nothing of a recording or of what was said in it is kept.
Bounded: `AT_ONCE` recordings at a time, further ones wait; a recording is as long as a request may be.
Cancellation: ends the transcription.
"""

from collections.abc import Sequence

import numpy as np
import trio
from numpy.typing import NDArray

from engine.audio import WavError, decode_wav
from engine.config import Config
from engine.listen.embed import open_session
from engine.off_loop import OffLoop
from engine.stt.failover import SttExhausted
from engine.stt.selection import UnsupportedLanguage, choose
from engine.stt.vendor import Vendor

__all__ = ["Recordings", "Untranscribable"]

AT_ONCE = 2
"""So that live audio is transcribed in time beside them."""


class Untranscribable(Exception):
    """Nobody can transcribe it. `theirs`: because of the recording itself, not of who transcribes."""

    def __init__(self, text: str, *, theirs: bool) -> None:
        super().__init__(text)
        self.theirs = theirs


class Recordings:
    """Transcribes by the first of `vendors` that speaks the language; each has been prepared."""

    def __init__(self, vendors: Sequence[Vendor], config: Config, off_loop: OffLoop) -> None:
        self._vendors = vendors
        self._config = config
        self._off_loop = off_loop
        self._turns = trio.CapacityLimiter(AT_ONCE)

    async def transcribe(self, recording: bytes, language: str) -> str:
        """What is said in a WAV file, in one line; empty when nothing is. Raises `Untranscribable`."""
        try:
            pcm, rate = await self._off_loop(_read, recording)
            vendor = self._vendor(language)
        except (WavError, UnsupportedLanguage) as error:
            raise Untranscribable(str(error), theirs=isinstance(error, WavError)) from None
        try:
            async with self._turns:
                return await self._heard(vendor, pcm, rate, language)
        except ValueError as error:
            raise Untranscribable(str(error), theirs=True) from None
        except ExceptionGroup as group:
            if group.split(SttExhausted)[1] is not None:
                raise
            raise Untranscribable("speech cannot be transcribed right now", theirs=False) from None

    def _vendor(self, language: str) -> Vendor:
        by_name = {vendor.name: vendor for vendor in self._vendors}
        return by_name[choose(tuple(by_name), self._vendors, language).vendors[0]]

    async def _heard(self, vendor: Vendor, pcm: bytes, rate: int, language: str) -> str:
        async with open_session(
            vendor,
            codec="pcm16",
            sample_rate=rate,
            language=language,
            config=self._config,
            off_loop=self._off_loop,
        ) as session:
            await session.send(pcm)
            await session.finish()
            async for _ in session:
                pass  # until all has been transcribed
            return " ".join(segment.text for segment in session.segments)


def _read(recording: bytes) -> tuple[bytes, int]:
    """The PCM of a WAV file, its channels mixed, and its rate."""
    samples, rate = decode_wav(recording)
    mixed: NDArray[np.int16] = samples if samples.ndim == 1 else samples.mean(axis=1).astype(np.int16)
    return mixed.tobytes(), rate
