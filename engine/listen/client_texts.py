"""What a client says beside its audio: asks for a flush, brings words or a picture, tells who spoke.

Operations: `take` each text message as it comes.
Invariants: a message that is none we know changes nothing but a count.
Bounded by the pace: who sends more texts a second than configured is made to wait.
Cancellation: the message under way has no effect.
"""

from collections.abc import Callable

from engine.config import Session as SessionSettings
from engine.listen.pacing import Pace
from engine.listen.photos import BadPhoto
from engine.listen.pictures import Pictures
from engine.listen.ports import Assignments, Followed
from engine.listen.record import Record
from engine.log import get_logger
from engine.wire.client_messages import (
    BadImage,
    Flush,
    Ignored,
    ImageChunk,
    SpeakerAssigned,
    SuggestedTranscript,
    decode_client,
)
from engine.wire.messages import Event, ServiceStatus

log = get_logger(__name__)


class ClientTexts:
    """Of one session."""

    def __init__(
        self,
        session: Followed,
        record: Record,
        settings: SessionSettings,
        *,
        flush: Callable[[], None],
        notify: Callable[[Event], None],
        send_away: Callable[[str], None],
        pictures: Pictures | None,
        assignments: Assignments | None,
    ) -> None:
        """`send_away` is given the reason. Without `pictures` none are taken, without `assignments` nobody is named."""
        self.ignored = 0
        self._session = session
        self._record = record
        self._pace = Pace(settings.texts_per_second, settings.texts_at_once)
        self._flush = flush
        self._notify = notify
        self._send_away = send_away
        self._pictures = pictures
        self._assignments = assignments

    async def take(self, text: str) -> None:
        """Do what a message asks for. Waits for the pace, and for the session to have joined its conversation."""
        await self._pace.take()
        message = decode_client(text)
        match message:
            case Flush():
                self._flush()
            case SuggestedTranscript() if self._session.parameters.custom_stt:
                await self._record.joined.wait()
                self._record.suggested(message)
            case SuggestedTranscript():
                notice = "suggested_transcript needs custom_stt=enabled; it was ignored"
                self._notify(ServiceStatus(status="notice", status_text=notice))
            case SpeakerAssigned() if self._assignments is not None:
                await self._record.joined.wait()
                assert self._record.conversation is not None, "the session has joined"
                self._assignments.offer(self._session, self._record.conversation, message)
            case ImageChunk() if self._pictures is not None:
                self._take_picture(self._pictures, message)
            case BadImage() if self._pictures is not None:
                self._send_away(message.reason)
            case Ignored():
                self._ignore(message)
            case _:
                log.debug("client message without effect yet", type=type(message).__name__)

    def _take_picture(self, pictures: Pictures, chunk: ImageChunk) -> None:
        try:
            pictures.take(chunk)
        except BadPhoto as error:
            self._send_away(str(error))

    def _ignore(self, message: Ignored) -> None:
        self.ignored += 1
        if self.ignored == 1:  # the log is not the client's to fill; how many there were is said at the end
            log.info("client message ignored", reason=message.reason)
