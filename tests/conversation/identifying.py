"""Sessions in which voices are listened to: real speech, scripted words, the real network, the virtual clock."""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import trio
from numpy.typing import NDArray

from engine._config_speaker import Speaker as Settings
from engine.audio.wav import encode_wav, read_wav
from engine.conversation.identification import Means
from engine.conversation.identifying import Identifier
from engine.conversation.voices import Voices
from engine.listen.ports import Follower
from engine.speaker.embedding import Floats, VoiceEncoder
from engine.speaker.encoding import Encoding, Urgency
from engine.speaker.matching import Rules
from engine.store import Store
from engine.store.edits import SegmentEdit
from engine.store.user_records import PersonRow
from engine.stt.vendor import SAMPLE_RATE
from engine.testing import ScriptedVendor, script_of
from engine.transcript.words import Word
from tests.listen.harness import MemorySocket, Server, frames, inline, parameters, server, wall_clock

AUDIO = Path(__file__).parents[1] / "audio"
Samples = NDArray[np.int16]


@cache
def voice(name: str) -> Samples:
    """16 kHz speech of one person."""
    return read_wav(AUDIO / f"{name}.wav")[0]


@cache
def encoder() -> VoiceEncoder:
    """The network, once for all tests."""
    return VoiceEncoder.load()


class Counted(Encoding):
    """The real one, and what it was asked for; `full`: it has no time."""

    def __init__(self) -> None:
        super().__init__(encoder=encoder(), off_loop=inline)
        self.asked: list[tuple[int, Urgency]] = []
        self.full = False

    async def vectors(self, pcm: Samples, urgency: Urgency, *, rate: float = 1.3) -> Floats | None:
        self.asked.append((len(pcm), urgency))
        return None if self.full else await super().vectors(pcm, urgency, rate=rate)


class Said:
    """A script of pieces of speech, one after the other, each a word or more of one speaker."""

    def __init__(self) -> None:
        self.pcm: list[Samples] = []
        self.words: list[Word] = []
        self.end = 0

    def add(self, speech: Samples, speaker: int, text: str = "Well.", pause: float = 4.0) -> "Said":
        """Speech and the pause after it, which no segment goes across."""
        self.words.append(Word(text=text, start=self.end, end=self.end + len(speech), speaker=speaker))
        silence = np.zeros(round(pause * SAMPLE_RATE), np.int16)
        self.pcm += [speech, silence]
        self.end += len(speech) + len(silence)
        return self


class Site:
    """A server inside with voices."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.encoding = Counted()
        self.outcomes: Counter[str] = Counter()
        self.server: Server
        self.voices: Voices
        self.identifier: Identifier

    def followers(self, store: Store) -> Sequence[Follower]:
        self.voices = Voices(
            kept=store.voices,
            blobs=store.profile_blobs,
            encoding=self.encoding,
            settings=self.settings,
            off_loop=inline,
            now=wall_clock,
        )
        settings = self.settings
        self.identifier = Identifier(
            Means(
                voices=self.voices,
                people=store.people,
                decisions=store.voices,
                encoding=self.encoding,
                edit=self.edit,
                now=wall_clock,
                rules=Rules(
                    threshold=settings.threshold, margin=settings.margin, least_seconds=settings.least_speech
                ),
                names_age=settings.known_age,
                outcomes=self.outcomes,
            )
        )
        return [self.identifier]

    async def edit(self, uid: str, id: str, edit: SegmentEdit) -> Sequence[str]:
        gone = await self.server.lifecycle.edit_live(uid, id, edit)
        return await self.server.store.edits.edit_segments(uid, id, edit) if gone is None else gone

    async def enrol(self, name: str = "austen-0870") -> None:
        await self.voices.enrol("ada", encode_wav(voice(name), SAMPLE_RATE))

    async def person(self, name: str, speech: Samples | None = None) -> str:
        """Somebody Ada knows, by voice if there is `speech`."""
        row = PersonRow(uid="ada", id=str(uuid4()), name=name, created_at=1, updated_at=1)
        await self.server.store.people.put(row)
        if speech is not None:
            assert await self.voices.learn("ada", row.id, speech, {})
        return row.id

    async def hear(self, said: Said, **changes: Any) -> MemorySocket:
        """A session in which all of it is said, in real time; it goes on."""
        socket = await self.server.connect(parameters(**changes))
        await self.say(socket, said)
        return socket

    async def say(self, socket: MemorySocket, said: Said) -> None:
        """All of it, in real time, and what it takes to look at it."""
        began = trio.current_time()
        for n, frame in enumerate(frames(np.concatenate(said.pcm).tobytes(), 1600)):
            await trio.sleep_until(began + n * 0.1)
            await socket.say(frame)
        await trio.sleep(1)

    async def over(self, socket: MemorySocket) -> list[dict[str, Any]]:
        """End the session; what its client shows, in order."""
        await socket.leave()
        await self.server.idle()
        await self.identifier.tasks.idle()
        return shown(socket)


def shown(socket: MemorySocket) -> list[dict[str, Any]]:
    """What a client shows, in order."""
    return sorted(socket.segments().values(), key=lambda segment: float(segment["start"]))


@asynccontextmanager
async def listening(tmp_path: Path, said: Said, **settings: Any) -> AsyncIterator[Site]:
    """A server whose vendor hears just these words."""
    site = Site(Settings(**settings))
    vendor = ScriptedVendor(script_of(said.words))
    async with server(tmp_path, vendor, followers=site.followers) as running, trio.open_nursery() as nursery:
        site.server = running
        await nursery.start(site.identifier.tasks.run)
        yield site
        nursery.cancel_scope.cancel()
