"""Users' own voices and those of people they know: enrolled, extended, learnt, compared with, forgotten.

Operations: `enrol` and `extend` take a recording of the user's own, `learn` a piece of a conversation in which
somebody they named speaks, `unlearn` takes it back; `known` is whom a voice can be compared with; `link`, `recordings`,
`samples`, `forget`, `forget_one`; `run` lets go of what is too old.
Invariants: nothing is kept of anybody, and nobody is compared with anybody, before their user has enrolled; of other
people what their user named them by. The row of a
recording goes before its blob, so that nobody is recognised by what was to be forgotten; a blob without a row is erased
with its user at the latest.
Bounded: the owner has `MOST_OWN` recordings, a person `speaker.samples_per_person`; a recording is 120 s.
Cancellation: what was begun may have taken effect; calling again does no harm.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol
from uuid import uuid4

import msgspec
import numpy as np
import trio
from numpy.typing import NDArray

from engine._config_speaker import Speaker
from engine.audio.resample import Resampler
from engine.audio.wav import decode_wav, encode_wav
from engine.log import get_logger
from engine.moments import DAY
from engine.off_loop import OffLoop
from engine.remembered import Remembered
from engine.speaker.embedding import ENCODER, Floats, mean_direction
from engine.speaker.encoding import Encoding, Urgency
from engine.speaker.matching import OWNER, Known
from engine.speaker.profile import BadProfile, check_length, check_one_voice, speech_of
from engine.store.errors import BlobsUnavailable, DatabaseUnavailable
from engine.store.user_records import VoiceRow
from engine.stt.activity import speech_probabilities
from engine.transcript.timeline import SAMPLE_RATE

__all__ = ["MOST_OWN", "PROFILE", "Voices"]

log = get_logger(__name__)

PROFILE = "profile"
"""The id of the recording that a user enrolled with; what they added later has drawn ids."""

MOST_OWN = 20
FOLDER = "voices"
LOWEST_RATE, HIGHEST_RATE = 8000, 48000
REMEMBERED = 1000
"""Users whose known voices are held in memory."""
SWEEP_SECONDS = 3600.0

Samples = NDArray[np.int16]


class Kept(Protocol):
    """Where the rows are; `engine.store.voices` implements it. Every call names the owner."""

    async def get(self, uid: str, id: str) -> VoiceRow | None:
        """A recording's row, or None."""
        ...

    async def of_person(self, uid: str, person_id: str) -> Sequence[VoiceRow]:
        """What there is of a person, oldest first."""
        ...

    async def known(self, uid: str, encoder: str) -> Sequence[VoiceRow]:
        """All that one encoder made of a user's and their people's voices."""
        ...

    async def put(self, *rows: VoiceRow) -> None:
        """Keep `rows`, in the place of those with their uids and ids."""
        ...

    async def add_sample(self, row: VoiceRow, limit: int) -> Sequence[VoiceRow]:
        """Keep a sample of a person, who has at most `limit`; the oldest, which had to go for it."""
        ...

    async def forget_person(self, uid: str, person_id: str) -> Sequence[VoiceRow]:
        """Remove a person's samples; what they were."""
        ...

    async def delete(self, uid: str, id: str) -> bool:
        """Remove a row; False when there was none."""
        ...

    async def expired(self, before: int) -> Sequence[VoiceRow]:
        """Recordings, of anybody, made before `before` (µs since the epoch), the oldest first."""
        ...


class Blobs(Protocol):
    """Where the recordings are; `engine.store.blobs` implements it."""

    async def put(self, uid: str, name: str, data: bytes) -> None:
        """Keep `data` under `name`, in the place of what is there."""
        ...

    async def get(self, uid: str, name: str) -> bytes:
        """All of it. Raises `BlobMissing`."""
        ...

    async def delete(self, uid: str, *names: str) -> None:
        """Remove those that are there."""
        ...

    async def link(self, uid: str, name: str, seconds: float) -> str:
        """An address from which whoever has it may read the blob for `seconds`."""
        ...


class Clock(Protocol):
    """Microseconds since the epoch, UTC."""

    def __call__(self) -> int: ...


class _Heard(msgspec.Struct, frozen=True):
    """The speech of a recording, and what it sounds like."""

    speech: Samples
    vector: Floats


class Voices:
    """All voices of one store."""

    def __init__(
        self,
        *,
        kept: Kept,
        blobs: Blobs,
        encoding: Encoding,
        settings: Speaker,
        off_loop: OffLoop,
        now: Clock,
        vendors: Sequence[str] = (),
    ) -> None:
        """`vendors`: those to whom a profile can be played before a session."""
        self._kept = kept
        self._blobs = blobs
        self._encoding = encoding
        self._settings = settings
        self._off_loop = off_loop
        self._now = now
        self._vendors = list(vendors)
        self._remembered: Remembered[Sequence[Known]] = Remembered(
            settings.known_age, REMEMBERED, trio.current_time
        )

    async def enrol(self, uid: str, recording: bytes) -> VoiceRow:
        """Take a WAV file as the user's profile, in the place of the one before. Raises `BadProfile`, `WavError`."""
        heard = await self._hear(recording)
        return await self._keep(uid, PROFILE, OWNER, heard, None)

    async def extend(self, uid: str, recording: bytes) -> VoiceRow:
        """Add a recording to the user's profile, of which there is one. Raises `BadProfile`, `WavError`."""
        heard = await self._hear(recording)
        if len(await self._kept.of_person(uid, OWNER)) >= MOST_OWN:
            raise BadProfile(f"there are {MOST_OWN} recordings of the voice already: delete one first")
        return await self._keep(uid, str(uuid4()), OWNER, heard, None)

    async def learn(
        self, uid: str, person_id: str, pcm: Samples, source: Mapping[str, str]
    ) -> VoiceRow | None:
        """Add speech (16 kHz) of somebody the user named.

        None, with nothing kept, where people's voices are not to be kept or the user has not enrolled.
        """
        limit = self._settings.samples_per_person if await self.known(uid) else 0
        vectors = await self._encoding.vectors(pcm, Urgency.LATER) if limit else None
        if vectors is None:
            return None
        heard = _Heard(pcm, mean_direction(vectors))
        row = await self._keep(uid, str(uuid4()), person_id, heard, dict(source))
        log.info("voices.learnt", seconds=row.seconds)
        return row

    async def unlearn(self, uid: str, segment_ids: Collection[str], person_id: str | None) -> None:
        """Forget samples of others that were taken from these segments: it is `person_id` who speaks there.

        Raises `DatabaseUnavailable`, `BlobsUnavailable`.
        """
        for row in await self._kept.known(uid, ENCODER):
            taken_from = (row.source or {}).get("segment_id")
            if taken_from in segment_ids and row.person_id != person_id:
                await self.forget_one(row)

    async def known(self, uid: str) -> Sequence[Known]:
        """The user and the people whose voices are known; nobody unless the user has enrolled.

        A few seconds old where they changed elsewhere.

        Raises `DatabaseUnavailable`.
        """
        return await self._remembered.get(uid, self._read_known)

    async def _read_known(self, uid: str) -> Sequence[Known]:
        return _known(await self._kept.known(uid, ENCODER))

    async def recordings(self, uid: str, person_id: str = OWNER) -> Sequence[VoiceRow]:
        """What there is of a person, oldest first: a recording's index is its place here."""
        return await self._kept.of_person(uid, person_id)

    async def samples(self, uid: str) -> Mapping[str, Sequence[VoiceRow]]:
        """What there is of everybody a user knows, by person, oldest first."""
        found: dict[str, list[VoiceRow]] = {}
        for row in reversed(await self._kept.known(uid, ENCODER)):
            found.setdefault(row.person_id, []).append(row)
        return found

    async def link(self, row: VoiceRow) -> str:
        """An address from which a recording can be read for a time. Raises `BlobsUnavailable`."""
        return await self._blobs.link(row.uid, row.name, self._settings.link_seconds)

    async def forget(self, uid: str, person_id: str = OWNER) -> int:
        """Forget all of a person; how many recordings there were."""
        rows = await self._kept.forget_person(uid, person_id)
        await self._remove(uid, rows)
        return len(rows)

    async def forget_one(self, row: VoiceRow) -> bool:
        """Forget one recording; False when it was gone."""
        there = await self._kept.delete(row.uid, row.id)
        await self._remove(row.uid, [row])
        return there

    async def run(self) -> None:
        """Forget what is older than `speaker.profile_days`, every hour."""
        while self._settings.profile_days:
            try:
                await self._sweep()
            except (DatabaseUnavailable, BlobsUnavailable) as error:
                log.warning("voices.sweep_failed", error=str(error))
            await trio.sleep(SWEEP_SECONDS)

    async def _sweep(self) -> None:
        before = self._now() - self._settings.profile_days * DAY
        while rows := await self._kept.expired(before):
            for row in rows:
                await self.forget_one(row)

    async def _keep(
        self, uid: str, id: str, person_id: str, heard: _Heard, source: dict[str, str] | None
    ) -> VoiceRow:
        before = await self._kept.get(uid, id)
        row = VoiceRow(
            uid=uid,
            id=id,
            person_id=person_id,
            name=f"{FOLDER}/{uuid4()}.wav",
            seconds=round(len(heard.speech) / SAMPLE_RATE, 3),
            vector=heard.vector.astype("<f4").tobytes(),
            encoder=ENCODER,
            vendors=self._vendors if id == PROFILE else [],
            source=source,
            created_at=self._now(),
        )
        await self._blobs.put(uid, row.name, await self._off_loop(encode_wav, heard.speech, SAMPLE_RATE))
        if person_id == OWNER:
            await self._kept.put(row)
            gone: Sequence[VoiceRow] = [] if before is None else [before]
        else:
            gone = await self._kept.add_sample(row, self._settings.samples_per_person)
        await self._remove(uid, gone)
        return row

    async def _remove(self, uid: str, rows: Sequence[VoiceRow]) -> None:
        self._remembered.forget(uid)
        if rows:
            await self._blobs.delete(uid, *(row.name for row in rows))

    async def _hear(self, recording: bytes) -> _Heard:
        speech = await self._off_loop(_speech, recording)
        vectors = await self._encoding.vectors(speech, Urgency.NEW)
        if vectors is None:
            raise BadProfile("too many voices wait to be heard: try again in a minute")
        whole = mean_direction(vectors)
        check_one_voice(vectors, whole)
        return _Heard(speech, whole)


def _speech(recording: bytes) -> Samples:
    """In a thread."""
    samples, rate = decode_wav(recording)
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise BadProfile(f"recorded at {rate} Hz, {LOWEST_RATE} to {HIGHEST_RATE} accepted")
    mono: Samples = samples if samples.ndim == 1 else samples.mean(axis=1).astype(np.int16)
    if rate != SAMPLE_RATE:
        resampler = Resampler(rate, SAMPLE_RATE)
        mono = np.concatenate([resampler.process(mono), resampler.flush()])
    check_length(len(mono))
    return speech_of(mono, speech_probabilities(mono))


def _known(rows: Sequence[VoiceRow]) -> list[Known]:
    """One direction for each person, of what is known of them, by its length."""
    people: dict[str, list[VoiceRow]] = {}
    for row in rows:
        people.setdefault(row.person_id, []).append(row)
    if OWNER not in people:
        return []
    return [
        Known(
            person_id,
            mean_direction(
                np.stack([np.frombuffer(row.vector, "<f4") for row in theirs]),
                np.array([row.seconds for row in theirs], np.float32),
            ),
        )
        for person_id, theirs in people.items()
    ]
