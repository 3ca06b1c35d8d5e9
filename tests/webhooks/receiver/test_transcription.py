"""Received audio is given to live sessions to its last sample, whatever these do."""

from collections.abc import Awaitable, Callable

import trio

from engine._config_receiver import Receiver
from engine.listen.ports import ClientGone, ClientSocket
from engine.webhooks.receiver.events import Events
from engine.webhooks.receiver.feed import Feed
from engine.webhooks.receiver.joining import Audio, Began, Silence
from engine.webhooks.receiver.transcription import Transcription
from engine.wire import CloseCode, ListenParameters, Refusal
from tests.webhooks.receiver.chunks import RATE, audio, events_in_memory, published, tone

SESSION = Began(id="s1", uid="ann", sample_rate=RATE, began_at=0, interval=2.0)


class Sessions:
    """Each session does what `behaviour` says; what all of them heard is `heard`."""

    def __init__(self, behaviour: Callable[["Sessions", ClientSocket], Awaitable[None]]) -> None:
        self.heard = b""
        self.served: list[ListenParameters] = []
        self.keepalives = 0
        self.codes: list[int] = []
        self._behaviour = behaviour

    async def serve(self, socket: ClientSocket, parameters: ListenParameters, uid: str) -> None:
        assert uid == "ann"
        self.served.append(parameters)
        await self._behaviour(self, socket)

    async def hear(self, socket: ClientSocket) -> bool:
        """One message; False when there is no other."""
        try:
            message = await socket.receive()
        except ClientGone as gone:
            self.codes.append(gone.code)
            return False
        assert isinstance(message, bytes)
        self.heard += message
        self.keepalives += not message
        return True


async def hear_all(sessions: Sessions, socket: ClientSocket) -> None:
    while await sessions.hear(socket):
        pass


def transcription(sessions: Sessions, events: Events | None = None) -> Transcription:
    settings = Receiver(language="de", jitter=4.0, retry_initial=0.1)
    return Transcription(sessions, settings, events or events_in_memory(), keepalive=30.0)


async def feed(*pieces: Audio | Silence) -> Feed:
    made = Feed(10**9, lossless=True)
    for piece in pieces:
        await made.put(piece)
    return made


async def test_a_session_hears_all_of_it_with_silence_for_gaps(
    autojump_clock: trio.testing.MockClock,
) -> None:
    sessions = Sessions(hear_all)
    pieces = await feed(
        audio(0, tone(3 * RATE)),
        Silence(position=3 * RATE, samples=100),
        audio(3 * RATE + 100, tone(50)),
    )
    pieces.finish()
    await transcription(sessions).consume(SESSION, pieces)
    assert sessions.heard == tone(3 * RATE) + bytes(200) + tone(50)
    (parameters,) = sessions.served
    assert (parameters.codec, parameters.sample_rate, parameters.language) == ("pcm16", RATE, "de")
    assert parameters.idle_flush == 6.0
    assert sessions.codes == [CloseCode.NORMAL]


async def test_between_bursts_it_says_that_it_is_there(autojump_clock: trio.testing.MockClock) -> None:
    sessions = Sessions(hear_all)
    pieces = await feed(audio(0, tone(50)))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(transcription(sessions).consume, SESSION, pieces)
        await trio.sleep(65)
        assert sessions.keepalives == 2
        pieces.finish()


async def test_a_session_that_ends_by_itself_is_followed_by_another(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def hear_one(sessions: Sessions, socket: ClientSocket) -> None:
        await sessions.hear(socket)
        await socket.close(CloseCode.GOING_AWAY, "moved")

    sessions = Sessions(hear_one)
    pieces = await feed(audio(0, tone(3 * RATE)))
    pieces.finish()
    await transcription(sessions).consume(SESSION, pieces)
    assert len(sessions.served) == 3
    assert sessions.heard == tone(3 * RATE)


async def test_a_refusal_for_now_is_waited_out_and_nothing_is_lost(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def refuse_twice(sessions: Sessions, socket: ClientSocket) -> None:
        if len(sessions.served) <= 2:
            raise Refusal(CloseCode.TRY_AGAIN_LATER, "capacity", message="full", retry_after=5.0)
        await hear_all(sessions, socket)

    sessions = Sessions(refuse_twice)
    pieces = await feed(audio(0, tone(50)))
    pieces.finish()
    began = trio.current_time()
    await transcription(sessions).consume(SESSION, pieces)
    assert sessions.heard == tone(50)
    assert trio.current_time() - began >= 10


async def test_a_refusal_for_good_gives_up_and_leaves_the_audio_to_be_counted(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def refuse(sessions: Sessions, socket: ClientSocket) -> None:
        raise Refusal(CloseCode.POLICY_VIOLATION, "language", "xx", "en")

    sessions = Sessions(refuse)
    pieces = await feed(audio(0, tone(50)))
    await transcription(sessions).consume(SESSION, pieces)
    pieces.abandon()
    assert len(sessions.served) == 1
    assert pieces.dropped == 50


async def test_what_the_session_says_becomes_events_but_for_pings(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def talk(sessions: Sessions, socket: ClientSocket) -> None:
        await socket.send("ping")
        await socket.send('[{"text":"hello"}]')
        await hear_all(sessions, socket)

    events = events_in_memory()
    pieces = await feed(audio(0, tone(50)))
    pieces.finish()
    await transcription(Sessions(talk), events).consume(SESSION, pieces)
    assert await published(events, "ann") == [
        b'{"type":"transcript","session_id":"s1","message":[{"text":"hello"}]}'
    ]
    assert await published(events, "bob") == []
