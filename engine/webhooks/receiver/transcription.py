"""A session's audio transcribed as a device's would be: it is the client of a live session of its user's.

So conversations, webhooks and all else follow as they do from a device. What the session tells its client becomes
events, see `engine.webhooks.receiver.events`.

Operations: a `Consumer`.
Invariants: each sample is given to one live session; when that ends by itself, the next one goes on behind it.
Bounded: nothing waits here but a piece, cut into messages. A session that is refused for a while
is tried again, and the feed waits meanwhile; one that would never be served is given up, and its audio counted.
"""

from collections.abc import Callable

import trio

from engine._config_receiver import Receiver as Settings
from engine.listen.ports import ClientGone
from engine.log import get_logger
from engine.stt.backoff import Backoff
from engine.webhooks.receiver.events import Events
from engine.webhooks.receiver.feed import Feed
from engine.webhooks.receiver.joining import Began
from engine.webhooks.receiver.messages import MessageSource
from engine.webhooks.receiver.ports import Sessions
from engine.wire import CloseCode, ListenParameters, Refusal

__all__ = ["ReceivedSocket", "Transcription"]

log = get_logger(__name__)

SOURCE = "external_integration"
NOTHING = b""
"""A message that says no more than that the client is there."""


class ReceivedSocket:
    """A `ClientSocket` whose client is a feed. `keepalive`: seconds after which it says that it is there."""

    def __init__(self, audio: MessageSource, said: Callable[[str], None], keepalive: float) -> None:
        self.ending: tuple[int, str] | None = None
        """Code and reason with which the session closed it."""
        self._audio = audio
        self._said = said
        self._keepalive = keepalive

    async def receive(self) -> bytes | str:
        """See `ClientSocket`."""
        if self.ending is not None:
            raise ClientGone(self.ending[0])
        with trio.move_on_after(self._keepalive):
            message = await self._audio.peek()
            if message is None:
                raise ClientGone(CloseCode.NORMAL)
            self._audio.taken()
            return message
        return NOTHING

    async def send(self, text: str) -> None:
        """See `ClientSocket`."""
        await trio.lowlevel.checkpoint()
        if self.ending is not None:
            raise ClientGone(self.ending[0])
        self._said(text)

    async def close(self, code: int, reason: str = "") -> None:
        """See `ClientSocket`."""
        await trio.lowlevel.checkpoint()
        if self.ending is None:
            self.ending = code, reason


class Transcription:
    """Has sessions transcribed. `keepalive` in seconds: below what a silent client is sent away after."""

    name = "transcription"
    lossless = True

    def __init__(self, sessions: Sessions, settings: Settings, events: Events, keepalive: float) -> None:
        self._sessions = sessions
        self._settings = settings
        self._events = events
        self._keepalive = keepalive

    async def consume(self, session: Began, feed: Feed) -> None:
        """See `Consumer`."""
        source = MessageSource(feed, session.sample_rate)
        backoff = Backoff(self._settings.retry_initial, self._settings.retry_limit)
        parameters = self._parameters(session)

        def said(text: str) -> None:
            self._events.publish_text(session, text)

        while not source.over:
            socket = ReceivedSocket(source, said, self._keepalive)
            try:
                await self._sessions.serve(socket, parameters, session.uid)
            except Refusal as refusal:
                if refusal.retry_after is None:
                    log.error("receiver.not_transcribed", session=session.id, reason=refusal.message)
                    return
                log.warning("receiver.transcription_waits", session=session.id, reason=refusal.message)
                await trio.sleep(refusal.retry_after + backoff.next())
                continue
            backoff.reset()
            if not source.over:
                log.warning("receiver.transcription_ended", session=session.id, ending=socket.ending)
                await trio.sleep(backoff.next())

    def _parameters(self, session: Began) -> ListenParameters:
        return ListenParameters(
            uid=session.uid,
            language=self._settings.language,
            codec="pcm16",
            sample_rate=session.sample_rate,
            source=SOURCE,
            idle_flush=session.interval + self._settings.jitter,
        )
