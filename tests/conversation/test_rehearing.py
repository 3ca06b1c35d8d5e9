"""Who spoke, heard again over the recording: named, left alone, learnt from, and what that may cost."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trio
from numpy.typing import NDArray
from trio.testing import MockClock

from engine._config_speaker import Speaker as Settings
from engine.audio.flac import encode_flac
from engine.audio.wav import encode_wav
from engine.conversation.given import Given, transcript_row
from engine.conversation.identification import speaker_of
from engine.conversation.learning import Learner
from engine.conversation.rehearing import Rehearing
from engine.conversation.voices import Voices
from engine.speaker.encoding import Urgency
from engine.speaker.matching import Decision
from engine.store import ConversationRow
from engine.store.edits import SegmentEdit
from engine.store.errors import BlobsUnavailable
from engine.store.jobs import LEARN
from engine.store.recordings import blob_of
from engine.store.user_records import PersonRow, RecordingRow
from engine.stt.vendor import SAMPLE_RATE
from engine.wire.messages import Segment
from tests.conversation.identifying import Counted, voice
from tests.conversation.processing import Site
from tests.conversation.processing import site as processing
from tests.listen.harness import inline, wall_clock

Samples = NDArray[np.int16]

OWNER = voice("austen-0890")
STRANGER = voice("voices/two-cities")[: 6 * SAMPLE_RATE]
GRACE = voice("beckett")
PIECE = 4 * SAMPLE_RATE
SILENCE = np.zeros(SAMPLE_RATE, np.int16)


class Desk:
    """Conversations with recordings, and who hears them again."""

    def __init__(self, it: Site, **settings: Any) -> None:
        self.it = it
        self.store = it.store
        self.encoding = Counted()
        self.settings = Settings(**settings)
        self.voices = Voices(
            kept=it.store.voices,
            blobs=it.store.profile_blobs,
            encoding=self.encoding,
            settings=self.settings,
            off_loop=inline,
            now=wall_clock,
        )
        self.rehearing = Rehearing(it.store, self.voices, self.encoding, self.settings, inline, wall_clock)
        it.processor.before_reading(self.rehearing.decide)
        it.processor.jobs.add(LEARN, Learner(it.store.jobs, self.rehearing))

    async def enrol(self) -> None:
        await self.voices.enrol("ada", encode_wav(voice("austen-0870"), SAMPLE_RATE))
        self.encoding.asked.clear()

    async def person(self, id: str) -> None:
        await self.store.people.put(PersonRow(uid="ada", id=id, name=id, created_at=1, updated_at=1))

    async def recorded(
        self, *said: Samples, looked_at: bool = False, speakers: tuple[int, ...] = (), keep: bool = True
    ) -> ConversationRow:
        """A conversation of these, a second apart, each another speaker's; `looked_at`: its session knew voices."""
        segments, at = [], 0
        for n, speech in enumerate(said):
            label = speakers[n] if speakers else n
            segments.append(
                Segment(
                    id=f"s{n}",
                    text="I have to call the caterer tomorrow.",
                    speaker=f"SPEAKER_{label:02}",
                    start=at / SAMPLE_RATE,
                    end=(at + len(speech)) / SAMPLE_RATE,
                    speech_profile_processed=not looked_at,
                )
            )
            at += len(speech) + len(SILENCE)
        row = transcript_row(wall_clock(), "ada", segments, Given())
        assert await self.store.processing.begin(row, segments, {})
        sound = np.concatenate([part for speech in said for part in (speech, SILENCE)])
        for start in range(0, len(sound) if keep else 0, PIECE):
            await self._keep(row, start, sound[start : start + PIECE])
        return row

    async def _keep(self, row: ConversationRow, start: int, samples: Samples) -> None:
        data = encode_flac(samples, SAMPLE_RATE)
        piece = RecordingRow(
            uid="ada",
            id=f"{row.id}-{start}",
            conversation_id=row.id,
            base_at=row.started_at,
            start=start,
            samples=len(samples),
            bytes=len(data),
            created_at=1,
        )
        assert await self.store.recordings.add(piece, quota=0)
        await self.store.blobs.put("ada", blob_of(piece.id), data)

    async def processed(self, row: ConversationRow) -> None:
        assert (await self.it.finished(row)).status == "completed"

    async def again(self, row: ConversationRow) -> None:
        assert (await self.it.requests.reprocess("ada", row.id)).status == "completed"

    async def names(self, row: ConversationRow) -> list[tuple[bool, str | None]]:
        segments = await self.store.conversations.segments("ada", row.id)
        return [(one.is_user, one.person_id) for one in segments]

    async def say(self, row: ConversationRow, id: str, person: str | None, verdict: Any = "assigned") -> None:
        """It is known of the segment whose it is."""
        decision = Decision(person=person, verdict=verdict)
        edit = SegmentEdit(ids=(id,), speaker=speaker_of(decision))
        assert await self.store.edits.edit_segments("ada", row.id, edit) == []
        await self.store.voices.decided("ada", row.id, {id: decision}, 1)


@asynccontextmanager
async def desk(folder: Path, **settings: Any) -> AsyncIterator[Desk]:
    async with processing(folder) as it:
        yield Desk(it, **settings)


async def test_who_enrols_today_is_named_in_yesterdays_conversation(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with desk(tmp_path) as it:
        row = await it.recorded(STRANGER, OWNER)
        await it.processed(row)
        assert await it.names(row) == [(False, None)] * 2
        assert it.encoding.asked == []
        await it.enrol()
        await it.again(row)
        assert await it.names(row) == [(False, None), (True, None)]
        why = await it.store.voices.decisions("ada", row.id)
        assert (why["s0"]["verdict"], why["s1"]["person"]) == ("too_different", "user")
        assert why["s1"]["score"] >= why["s1"]["threshold"]
        assert {urgency for _, urgency in it.encoding.asked} == {Urgency.LATER}


async def test_what_live_had_no_time_for_is_decided_when_the_conversation_is_first_processed(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with desk(tmp_path) as it:
        await it.enrol()
        row = await it.recorded(STRANGER, OWNER, looked_at=True)
        await it.processed(row)
        assert await it.names(row) == [(False, None), (True, None)]
        segments = await it.store.conversations.segments("ada", row.id)
        assert all(one.speech_profile_processed for one in segments)


async def test_a_session_that_wanted_nobody_to_be_looked_for_is_not_heard_behind_its_back(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with desk(tmp_path) as it:
        await it.enrol()
        row = await it.recorded(OWNER)
        await it.processed(row)
        assert it.encoding.asked == []
        assert await it.names(row) == [(False, None)]


async def test_short_turns_of_one_speaker_add_up_and_long_talk_is_heard_in_part(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    long = voice("voices/two-cities")[: 40 * SAMPLE_RATE]
    async with desk(tmp_path) as it:
        await it.enrol()
        halves = OWNER[: 2 * SAMPLE_RATE], OWNER[2 * SAMPLE_RATE : 4 * SAMPLE_RATE]
        row = await it.recorded(*halves, *np.split(long, 2), long, speakers=(0, 0, 1, 1, 1), looked_at=True)
        await it.processed(row)
        assert await it.names(row) == [(True, None)] * 2 + [(False, None)] * 3
        heard = sorted(round(samples / SAMPLE_RATE) for samples, _ in it.encoding.asked)
        assert heard == [2, 2, 10, 10, 10]


async def test_what_was_said_by_hand_stays_and_what_only_a_voice_said_may_change(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with desk(tmp_path, samples_per_person=0) as it:
        await it.enrol()
        await it.person("ida")
        row = await it.recorded(OWNER, OWNER, OWNER, OWNER, STRANGER)
        await it.processed(row)
        await it.say(row, "s0", "ida")
        await it.say(row, "s1", None)
        await it.say(row, "s2", "ida", verdict="match")
        channel = SegmentEdit(ids=("s4",), speaker=speaker_of(Decision(person="user", verdict="match")))
        await it.store.edits.edit_segments("ada", row.id, channel)  # not by voice: no reason is kept
        await it.again(row)
        assert await it.names(row) == [
            (False, "ida"),
            (False, None),
            (True, None),
            (True, None),
            (True, None),
        ]


async def test_of_the_speakers_who_pass_for_one_person_processing_leaves_the_name_to_the_most_alike(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with desk(tmp_path, threshold=0.5) as it:
        await it.enrol()
        row = await it.recorded(STRANGER, OWNER, OWNER, looked_at=True)
        await it.say(row, "s0", "user", verdict="match")
        await it.processed(row)
        assert await it.names(row) == [(False, None), (True, None), (True, None)]
        why = await it.store.voices.decisions("ada", row.id)
        assert (why["s0"]["verdict"], why["s0"]["best"]) == ("outdone", "user")
        assert why["s0"]["better"] in ("SPEAKER_01", "SPEAKER_02")
        assert why["s0"]["score"] >= why["s0"]["threshold"]
        await it.say(row, "s0", "user")
        await it.again(row)
        assert await it.names(row) == [(True, None)] * 3, "by hand two may be one, if their voices may"


async def test_whom_somebody_has_named_no_other_voice_is_that_said_less(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with desk(tmp_path) as it:
        await it.enrol()
        row = await it.recorded(STRANGER, OWNER, STRANGER[: 3 * SAMPLE_RATE], speakers=(0, 1, 2))
        await it.processed(row)
        await it.say(row, "s2", "user")
        await it.again(row)
        assert await it.names(row) == [(False, None), (True, None), (True, None)], "the user, too"
        await it.say(row, "s0", "user")
        await it.again(row)
        assert await it.names(row) == [(True, None), (False, None), (True, None)]
        why = (await it.store.voices.decisions("ada", row.id))["s1"]
        assert (why["verdict"], why["best"], why["better"]) == ("outdone", "user", "SPEAKER_00")


async def test_a_speaker_there_was_no_time_to_hear_again_is_weighed_by_what_was_heard_live(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk(tmp_path, threshold=0.5, again_timeout=7.0) as it:
        await it.enrol()
        row = await it.recorded(STRANGER, OWNER, looked_at=True)
        for id, score in ("s0", 0.6), ("s1", 0.9):
            live = Decision(person="user", verdict="match", best="user", score=score)
            edit = SegmentEdit(ids=(id,), speaker=speaker_of(live))
            assert await it.store.edits.edit_segments("ada", row.id, edit) == []
            await it.store.voices.decided("ada", row.id, {id: live}, 1)

        async def never(*args: object, **options: object) -> None:
            await trio.sleep_forever()

        monkeypatch.setattr(it.encoding, "vectors", never)
        await it.processed(row)
        assert await it.names(row) == [(False, None), (True, None)]


async def test_who_was_named_afterwards_is_learnt_from_the_recording_once(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with desk(tmp_path) as it:
        await it.enrol()
        await it.person("grace")
        row = await it.recorded(GRACE[: 5 * SAMPLE_RATE], STRANGER, GRACE[5 * SAMPLE_RATE :])
        await it.processed(row)
        await it.say(row, "s0", "grace")
        for _ in range(2):
            await it.store.jobs.add("ada", LEARN, row.id)
            it.it.processor.wake()
            await it.it.processor.jobs.wait("ada", LEARN, row.id, 1000)
        (sample,) = await it.voices.recordings("ada", "grace")
        assert sample.source == {"conversation_id": row.id, "segment_id": "s0"}
        assert sample.seconds == pytest.approx(5.0)
        await it.again(row)
        assert await it.names(row) == [(False, "grace"), (False, None), (False, "grace")]


async def test_nothing_is_learnt_by_voice_from_a_voice(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with desk(tmp_path) as it:
        await it.enrol()
        await it.person("grace")
        row = await it.recorded(GRACE)
        await it.processed(row)
        await it.say(row, "s0", "grace", verdict="match")
        await it.rehearing.learn("ada", row.id)
        assert await it.voices.recordings("ada", "grace") == []


async def test_without_a_recording_without_enrolling_and_for_somebody_else_nothing_happens(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with desk(tmp_path) as it:
        await it.person("grace")
        row = await it.recorded(GRACE, looked_at=True)
        await it.processed(row)
        await it.say(row, "s0", "grace")
        await it.rehearing.learn("ada", row.id)
        assert await it.voices.recordings("ada", "grace") == [], "the user has not enrolled"
        await it.enrol()
        unrecorded = await it.recorded(OWNER, looked_at=True, keep=False)
        await it.processed(unrecorded)
        await it.rehearing.learn("ada", "gone")
        await it.rehearing.learn("bob", row.id)
        assert it.encoding.asked == []


async def test_a_blob_store_that_is_away_costs_names_and_not_the_conversation(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*args: object) -> bytes:
        raise BlobsUnavailable("the bucket is away")

    async with desk(tmp_path) as it:
        await it.enrol()
        row = await it.recorded(OWNER, looked_at=True)
        with monkeypatch.context() as patched:
            patched.setattr(it.store.blobs, "get", away)
            await it.processed(row)
        assert await it.names(row) == [(False, None)]
        await it.again(row)
        assert await it.names(row) == [(True, None)]


async def test_processing_does_not_wait_for_voices_longer_than_it_may(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*args: object, **options: object) -> None:
        await trio.sleep_forever()

    async with desk(tmp_path, again_timeout=7.0) as it:
        await it.enrol()
        row = await it.recorded(OWNER, looked_at=True)
        monkeypatch.setattr(it.encoding, "vectors", never)
        began = trio.current_time()
        await it.processed(row)
        assert 7.0 <= trio.current_time() - began < 20.0
        assert await it.names(row) == [(False, None)]
