"""Drives a vendor's protocol over a transport: the `Vendor` that all streaming services share.

Operations: `transcribe` runs streams, one after another, from handshake to the end of the audio; one stream's
tasks are in `_stream.py`. Invariants: `Final`s tile the session's timeline across streams; a new stream is opened
only when there is audio for it, or when the vendor ends a stream only because of its age.
Bounded: nothing is queued here; what is not sent yet is in the source.
"""

import math
from collections.abc import Callable

import trio
from msgspec.structs import replace

from engine.log import get_logger
from engine.stt._coverage import Emit
from engine.stt._outgoing import StreamLimits
from engine.stt._stream import End, Stream
from engine.stt.protocol import VendorProtocol
from engine.stt.transport import ConnectFailed, Refused, Transport
from engine.stt.vendor import AudioSource, Chunk, Fault, StreamOptions, VendorError
from engine.timers import Timers

__all__ = ["StreamLimits", "StreamingVendor"]

log = get_logger(__name__)


class StreamingVendor:
    """A `Vendor` over a vendor's protocol. One instance serves all sessions; each stream is its own."""

    def __init__(
        self,
        *,
        name: str,
        provider: str,
        takes_preroll: bool = False,
        speaks: Callable[[str], bool],
        protocol: Callable[[StreamOptions], VendorProtocol],
        transport: Transport,
        limits: StreamLimits,
    ) -> None:
        self.name = name
        self.provider = provider
        self.takes_preroll = takes_preroll
        self._speaks = speaks
        self._protocol = protocol
        self._transport = transport
        self._limits = limits
        self._timers = Timers()

    def speaks(self, language: str) -> bool:
        """See `Vendor.speaks`."""
        return self._speaks(language)

    async def prepare(self) -> None:
        """Nothing to load."""

    async def transcribe(self, audio: AudioSource, emit: Emit, options: StreamOptions) -> None:
        """See `Vendor.transcribe`."""
        first: Chunk | None = None
        preroll = options.preroll
        while True:
            protocol = self._protocol(options)
            stream = Stream(self.name, protocol, audio, emit, self._limits, self._timers, first, preroll)
            await self._connected(stream)
            if preroll and not stream.took_audio:
                text = f"{self.name}: the stream ended ({stream.ended.value}) between pre-roll and audio"
                raise VendorError(Fault.RETRY_AFTER, text)
            preroll = b""  # the session's audio does not wait for it again
            if stream.ended is End.AUDIO_OVER:
                return
            log.info("vendor.next_stream", vendor=self.name, because=stream.ended.value)
            first = None
            if stream.ended is not End.DURATION:
                first = await _next_audio(audio, stream.protocol.traits.chunk)
                if first is None:
                    return

    async def _connected(self, stream: Stream) -> None:
        """Run one stream from handshake to end; raises its `VendorError`."""
        protocol = stream.protocol
        with trio.move_on_after(self._limits.connect) as limit:
            try:
                async with self._transport.connect(protocol.request()) as connection:
                    await stream.open(connection)
                    limit.deadline = math.inf
                    await stream.run()
            except Refused as refused:
                raise protocol.refused(refused) from None
            except ConnectFailed as failed:
                raise VendorError(Fault.RETRY_NOW, f"{self.name}: {failed}") from failed
        if limit.cancelled_caught:
            text = f"{self.name}: no answer to the handshake within {self._limits.connect:g} s"
            raise VendorError(Fault.RETRY_AFTER, text)


async def _next_audio(audio: AudioSource, samples: int) -> Chunk | None:
    """The next chunk with audio in it, kept beyond the next read; None when there is none to come."""
    while True:
        chunk = await audio.read(samples)
        if len(chunk.pcm):
            return replace(chunk, pcm=memoryview(bytes(chunk.pcm)).cast("h"))
        if chunk.end:
            return None
