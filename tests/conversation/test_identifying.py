"""Who speaks in live sessions: who is named, who is not, what is said of it, and what a fault does."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trio
from trio.testing import MockClock

from engine.audio.wav import encode_wav
from engine.speaker.encoding import Urgency
from engine.speaker.matching import Decision
from engine.store.edits import SegmentEdit, Speaker
from engine.store.errors import DatabaseUnavailable
from engine.stt.vendor import SAMPLE_RATE
from tests.conversation.identifying import Said, Site, listening, shown, voice

AGAIN = voice("austen-0890")
STRANGER = voice("voices/two-cities")[: 6 * SAMPLE_RATE]
MORE_OF_STRANGER = voice("voices/two-cities")[20 * SAMPLE_RATE : 26 * SAMPLE_RATE]
GRACE = voice("beckett")

Shown = list[dict[str, Any]]


def names(segments: Shown) -> list[tuple[bool, str | None]]:
    return [(one["is_user"], one["person_id"]) for one in segments]


async def test_the_owner_is_named_and_a_stranger_is_not(tmp_path: Path, autojump_clock: MockClock) -> None:
    said = Said().add(STRANGER, 0).add(AGAIN, 1).add(MORE_OF_STRANGER, 0)
    async with listening(tmp_path, said) as site:
        await site.enrol()
        segments = await site.over(await site.hear(said))
        assert names(segments) == [(False, None), (True, None), (False, None)]
        assert all(one["speech_profile_processed"] for one in segments)
        assert site.outcomes["named"] == 1
        ((_, kept),) = await site.server.conversations()
        assert [(one.is_user, one.speech_profile_processed) for one in kept] == [
            (False, True),
            (True, True),
            (False, True),
        ]


async def test_until_a_voice_was_compared_its_segments_say_so_and_then_no_more(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    said = Said().add(AGAIN, 0).add(voice("voices/austen-0920"), 0)
    async with listening(tmp_path, said) as site:
        await site.enrol()
        socket = await site.hear(said)
        revisions = [
            segment for message in socket.messages if isinstance(message, list) for segment in message
        ]
        first = [one for one in revisions if one["id"] == revisions[0]["id"]]
        second = [one for one in revisions if one["id"] != revisions[0]["id"]]
        assert [(one["speech_profile_processed"], one["is_user"]) for one in first] == [
            (False, False),
            (True, True),
        ]
        assert [(one["revision"], one["speech_profile_processed"], one["is_user"]) for one in second] == [
            (1, True, True)
        ], "whose voice is known is named at once"
        await site.over(socket)


async def test_who_says_too_little_is_not_compared_until_the_session_is_over(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    said = Said().add(AGAIN[: 2 * SAMPLE_RATE], 0)
    async with listening(tmp_path, said) as site:
        await site.enrol()
        socket = await site.hear(said)
        assert [one["speech_profile_processed"] for one in shown(socket)] == [False]
        (segment,) = await site.over(socket)
        ((row, (kept,)),) = await site.server.conversations()
        assert (kept.speech_profile_processed, kept.is_user) == (True, False)
        why = await site.server.store.voices.decision("ada", row.id, segment["id"])
        assert why is not None
        assert why["verdict"] == "too_short"


async def test_who_has_not_enrolled_is_not_listened_to_whomever_they_have_named(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    said = Said().add(GRACE, 0)
    async with listening(tmp_path, said) as site:
        person = await site.person("Grace")
        assert await site.voices.learn("ada", person, GRACE, {}) is None
        socket = await site.hear(said)
        ((row, (segment,)),) = await site.server.conversations()
        edit = SegmentEdit(ids=(segment.id,), speaker=Speaker(person_id=person))
        await site.edit("ada", row.id, edit)
        await socket.until(lambda socket: shown(socket)[0]["person_id"])
        segments = await site.over(socket)
        assert names(segments) == [(False, person)]
        assert segments[0]["speech_profile_processed"]
        assert site.encoding.asked == []
        assert await site.server.store.voices.known("ada", "") == []
        assert await site.server.store.profile_blobs.list("ada") == []


async def test_nobody_is_looked_for_where_the_client_does_not_want_it(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    said = Said().add(AGAIN, 0)
    async with listening(tmp_path, said) as site:
        await site.enrol()
        site.encoding.asked.clear()
        segments = await site.over(await site.hear(said, include_speech_profile=False))
        assert names(segments) == [(False, None)]
        assert segments[0]["speech_profile_processed"]
        assert site.encoding.asked == []


async def test_somebody_named_by_hand_is_known_by_voice_from_then_on_and_in_the_next_conversation(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    said = Said().add(GRACE[: 5 * SAMPLE_RATE], 1, pause=4)
    again = Said().add(STRANGER, 0).add(GRACE[5 * SAMPLE_RATE :], 1)
    async with listening(tmp_path, said) as site:
        await site.enrol()
        grace = await site.person("Grace")
        socket = await site.hear(said)
        ((row, (segment,)),) = await site.server.conversations()
        edit = SegmentEdit(ids=(segment.id,), speaker=Speaker(person_id=grace))
        await site.edit("ada", row.id, edit)
        await site.over(socket)
        (sample,) = await site.voices.recordings("ada", grace)
        assert sample.source == {"conversation_id": row.id, "segment_id": segment.id}
        assert sample.seconds == pytest.approx(5.0, abs=0.3)
    async with listening(tmp_path, again) as site:
        socket = await site.hear(again, speaker_auto_assign=True)
        segments = await site.over(socket)
        assert names(segments) == [(False, None), (False, grace)]
        (suggested,) = socket.events("speaker_label_suggestion")
        assert (suggested["person_id"], suggested["person_name"]) == (grace, "Grace")
        assert (suggested["speaker_id"], suggested["segment_id"]) == (1, segments[1]["id"])


async def test_what_was_said_by_hand_stays_whatever_the_voice_says(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    said = Said().add(AGAIN, 0).add(voice("voices/austen-0920"), 0)
    async with listening(tmp_path, said) as site:
        await site.enrol()
        grace = await site.person("Grace")
        socket = await site.hear(Said().add(AGAIN, 0))
        ((row, (segment,)),) = await site.server.conversations()
        assert segment.is_user
        edit = SegmentEdit(ids=(segment.id,), speaker=Speaker(person_id=grace), from_now_on=True)
        await site.edit("ada", row.id, edit)
        await site.say(socket, Said().add(voice("voices/austen-0920"), 0))
        assert names(await site.over(socket)) == [(False, grace), (False, grace)]


async def test_a_name_taken_away_by_hand_does_not_come_back(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    said = Said().add(AGAIN, 0).add(voice("voices/austen-0920"), 0)
    async with listening(tmp_path, said) as site:
        await site.enrol()
        socket = await site.hear(Said().add(AGAIN, 0))
        ((row, (segment,)),) = await site.server.conversations()
        await site.edit("ada", row.id, SegmentEdit(ids=(segment.id,), speaker=Speaker()))
        await site.say(socket, Said().add(voice("voices/austen-0920"), 0))
        assert names(await site.over(socket)) == [(False, None), (True, None)]


async def test_a_name_goes_to_the_speaker_whose_voice_is_more_alike_and_is_taken_back_from_the_first(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    said = Said().add(STRANGER, 0).add(AGAIN, 1).add(MORE_OF_STRANGER, 0)
    async with listening(tmp_path, said, threshold=0.5) as site:
        await site.enrol()
        socket = await site.hear(Said().add(STRANGER, 0), speaker_decisions=True)
        assert names(shown(socket)) == [(True, None)], "of those heard so far"
        await site.say(socket, Said().add(AGAIN, 1).add(MORE_OF_STRANGER, 0))
        segments = await site.over(socket)
        assert names(segments) == [(False, None), (True, None), (False, None)]
        ((row, kept),) = await site.server.conversations()
        assert [one.is_user for one in kept] == [False, True, False]
        first, taken, owner, again = socket.events("speaker_decision")
        assert (first["verdict"], first["segment_ids"]) == ("match", [segments[0]["id"]])
        assert (taken["verdict"], taken["better"], taken["person"]) == ("outdone", "SPEAKER_01", None)
        assert (taken["speaker_id"], taken["score"]) == (0, first["score"])
        assert (owner["verdict"], owner["person"], owner["speaker_id"]) == ("match", "user", 1)
        assert (again["verdict"], again["better"]) == ("outdone", "SPEAKER_01")
        for segment in (segments[0], segments[2]):
            why = await site.server.store.voices.decision("ada", row.id, segment["id"])
            assert why is not None
            assert (why["verdict"], why["better"]) == ("outdone", "SPEAKER_01")


async def test_of_two_women_on_one_telephone_line_only_the_one_who_has_enrolled_is_the_user(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    call = voice("phone-two-speakers")
    first, other, mine = (
        call[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)]
        for start, end in ((6.7, 14.1), (14.5, 18.0), (21.8, 28.5))
    )
    said = Said().add(first, 0).add(other, 1)
    async with listening(tmp_path, said) as site:
        await site.voices.enrol("ada", encode_wav(np.concatenate([other, mine]), SAMPLE_RATE))
        socket = await site.hear(said, speaker_decisions=True)
        assert names(await site.over(socket)) == [(False, None), (True, None)]
        hasty, taken, owner = socket.events("speaker_decision")
        assert (hasty["person"], taken["person"], owner["person"]) == ("user", None, "user")
        assert site.settings.threshold <= taken["score"] < owner["score"]


async def test_a_name_somebody_confirmed_by_hand_is_not_taken_back(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    said = Said().add(STRANGER, 0).add(AGAIN, 1)
    async with listening(tmp_path, said, threshold=0.5) as site:
        await site.enrol()
        socket = await site.hear(Said().add(STRANGER, 0))
        ((row, (segment,)),) = await site.server.conversations()
        why = {segment.id: Decision(person="user", verdict="assigned")}
        await site.server.store.voices.decided("ada", row.id, why, 1)
        await site.say(socket, Said().add(AGAIN, 1))
        assert names(await site.over(socket)) == [(True, None), (True, None)]


async def test_whom_somebody_names_is_no_other_speaker_by_voice_before_or_afterwards(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    before, after = AGAIN[: 4 * SAMPLE_RATE], voice("voices/austen-0920")[: 4 * SAMPLE_RATE]
    said = Said().add(before, 0).add(STRANGER, 1).add(after, 2)
    async with listening(tmp_path, said) as site:
        await site.enrol()
        socket = await site.hear(Said().add(before, 0).add(STRANGER, 1))
        assert names(shown(socket)) == [(True, None), (False, None)]
        ((row, kept),) = await site.server.conversations()
        await site.server.assigner.assign(
            "ada", row.id, [kept[1].id], Speaker(is_user=True), from_now_on=True
        )
        await site.say(socket, Said().add(after, 2))
        segments = await site.over(socket)
        assert names(segments) == [(False, None), (True, None), (False, None)]
        for segment in (segments[0], segments[2]):
            why = await site.server.store.voices.decision("ada", row.id, segment["id"])
            assert why is not None
            assert (why["verdict"], why["best"], why["better"]) == ("outdone", "user", "SPEAKER_01")


async def test_whom_somebody_takes_for_another_and_corrects_is_no_sample_of_the_first_ones_voice(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    said = Said().add(GRACE[: 5 * SAMPLE_RATE], 1)
    async with listening(tmp_path, said) as site:
        await site.enrol()
        grace, ida = await site.person("Grace"), await site.person("Ida")
        socket = await site.hear(said)
        ((row, (segment,)),) = await site.server.conversations()

        async def samples() -> list[int]:
            return [len(await site.voices.recordings("ada", one)) for one in (grace, ida)]

        for who, kept in (
            (Speaker(person_id=grace), [1, 0]),
            (Speaker(person_id=ida), [0, 1]),
            (Speaker(), [0, 0]),
        ):
            await site.server.assigner.assign("ada", row.id, [segment.id], who)
            await trio.sleep(1)  # of the virtual clock: what was said is looked at
            assert await samples() == kept
        assert names(await site.over(socket)) == [(False, None)]
        assert len(await site.server.store.profile_blobs.list("ada")) == 1


async def test_who_is_forgotten_while_they_speak_is_named_no_more(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    first, then = GRACE[: 5 * SAMPLE_RATE], GRACE[5 * SAMPLE_RATE :]
    said = Said().add(first, 1).add(then, 1)
    async with listening(tmp_path, said) as site:
        await site.enrol()
        grace = await site.person("Grace", first)
        socket = await site.hear(Said().add(first, 1))
        assert names(shown(socket)) == [(False, grace)]
        await site.server.store.people.delete("ada", grace)
        await site.voices.forget("ada", grace)
        await site.say(socket, Said().add(then, 1))
        assert names(await site.over(socket))[-1] == (False, None)


async def test_one_voice_that_was_taken_for_two_speakers_has_its_name_in_both(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    said = Said().add(AGAIN, 0).add(voice("voices/austen-0920"), 1)
    async with listening(tmp_path, said) as site:
        await site.enrol()
        assert names(await site.over(await site.hear(said))) == [(True, None), (True, None)]


async def test_why_is_told_to_a_client_that_asks_and_kept_for_each_segment(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    said = Said().add(STRANGER, 0).add(AGAIN, 1).add(voice("voices/austen-0930"), 1)
    async with listening(tmp_path, said) as site:
        await site.enrol()
        grace = await site.person("Grace", GRACE)
        socket = await site.hear(said, speaker_decisions=True)
        segments = await site.over(socket)
        stranger, owner = socket.events("speaker_decision")
        assert (stranger["person"], stranger["verdict"]) == (None, "too_different")
        assert stranger["segment_ids"] == [segments[0]["id"]]
        assert stranger["score"] < stranger["threshold"] == site.settings.threshold
        assert (owner["person"], owner["best"], owner["runner_up"]) == ("user", "user", grace)
        assert owner["score"] >= owner["threshold"]
        assert owner["score"] - owner["runner_up_score"] >= owner["margin"]
        ((row, _),) = await site.server.conversations()
        kept = [await site.server.store.voices.decision("ada", row.id, one["id"]) for one in segments]
        assert [one and one["person"] for one in kept] == [None, "user", "user"]
        assert kept[1] == {name: owner[name] for name in kept[1] or {}}


async def test_nobody_is_told_why_who_did_not_ask(tmp_path: Path, autojump_clock: MockClock) -> None:
    said = Said().add(AGAIN, 0)
    async with listening(tmp_path, said) as site:
        await site.enrol()
        socket = await site.hear(said)
        await site.over(socket)
        assert socket.events("speaker_decision") == []


async def test_names_that_are_said_are_suggested_and_so_is_who_somebody_was_before(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    said = Said().add(STRANGER, 0, "Hello, my name is Ida.").add(MORE_OF_STRANGER, 0, "Je m'appelle Grace.")
    async with listening(tmp_path, said) as site:
        await site.enrol()
        await site.person("Grace")
        socket = await site.hear(Said().add(STRANGER, 0))
        ((row, (first,)),) = await site.server.conversations()
        (told,) = socket.events("speaker_label_suggestion")
        assert (told["person_id"], told["person_name"], told["segment_id"]) == ("", "Ida", first.id)
        ida = await site.person("Ida")
        await site.edit("ada", row.id, SegmentEdit(ids=(first.id,), speaker=Speaker(person_id=ida)))
        await site.voices.forget("ada", ida)  # so that the voice says nothing
        await site.say(socket, Said().add(MORE_OF_STRANGER, 0))
        _, second = await site.over(socket)
        later = socket.events("speaker_label_suggestion")[1:]
        assert {one["person_name"] for one in later} >= {"Grace"}
        assert {one["person_id"] for one in later} == {""}  # which the client did not ask for
        assert {one["segment_id"] for one in later} == {second["id"]}


async def test_a_fault_ends_identification_of_its_session_and_nothing_else(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = Said().add(AGAIN, 0).add(voice("voices/austen-0920"), 0)

    async def broken(*args: object) -> None:
        raise ZeroDivisionError("a fault of ours")

    async with listening(tmp_path, said) as site:
        await site.enrol()
        with monkeypatch.context() as patched:
            patched.setattr(site.server.store.voices, "decided", broken)
            segments = await site.over(await site.hear(said))
        assert [one["text"] for one in segments] == ["Well.", "Well."]
        assert segments[1]["speech_profile_processed"], "nobody waits for what does not come"
        assert site.outcomes["failed"] == 1
        assert names(await site.over(await site.hear(said)))[-2:] == [(True, None), (True, None)]
        assert site.outcomes["failed"] == 1


async def test_a_database_that_is_away_costs_a_name_and_not_the_session(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = Said().add(AGAIN, 0)

    async def away(*args: object) -> None:
        raise DatabaseUnavailable("away")

    async with listening(tmp_path, said) as site:
        await site.enrol()
        monkeypatch.setattr(site.server.store.voices, "decided", away)
        (segment,) = await site.over(await site.hear(said))
        assert segment["text"] == "Well."
        assert site.outcomes["failed"] == 0


# What voices may use: counted, not timed.


def asked(site: Site) -> list[tuple[float, Urgency]]:
    return [(round(samples / SAMPLE_RATE, 1), urgency) for samples, urgency in site.encoding.asked]


async def test_of_an_utterance_ten_seconds_are_heard_and_who_is_known_is_heard_again_after_a_minute(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    long = voice("voices/two-cities")
    said = Said().add(long[: 25 * SAMPLE_RATE], 0)
    for _ in range(7):
        said.add(long[30 * SAMPLE_RATE : 39 * SAMPLE_RATE], 0)
    async with listening(tmp_path, said) as site:
        await site.enrol("voices/two-cities")
        site.encoding.asked.clear()
        segments = await site.over(await site.hear(said))
        assert [one["is_user"] for one in segments] == [True] * 8
        assert asked(site) == [(10.0, Urgency.NEW), (9.0, Urgency.LATER)]


async def test_of_a_stranger_half_a_minute_is_heard_and_they_are_named_once_they_are_known(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    long = voice("voices/two-cities")
    pieces = [long[start * SAMPLE_RATE : (start + 9) * SAMPLE_RATE] for start in (0, 9, 18, 27, 35)]
    said = Said()
    for piece in pieces:
        said.add(piece, 0)
    async with listening(tmp_path, said) as site:
        await site.enrol()
        site.encoding.asked.clear()
        first, last = Said(), Said().add(pieces[-1], 0)
        for piece in pieces[:-1]:
            first.add(piece, 0)
        socket = await site.hear(first, speaker_decisions=True)
        assert asked(site) == [(9.0, Urgency.NEW)] + [(9.0, Urgency.KNOWN)] * 3
        charles = await site.person("Charles", long[: 20 * SAMPLE_RATE])
        site.encoding.asked.clear()
        await site.say(socket, last)
        assert names(await site.over(socket)) == [(False, charles)] * 5
        assert asked(site) == [], "what was heard is enough to know them by"
        assert [one["person"] for one in socket.events("speaker_decision")] == [None] * 4 + [charles]


async def test_speakers_nobody_was_found_for_are_heard_before_those_who_are_known(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    said = Said().add(AGAIN, 0).add(STRANGER, 1).add(MORE_OF_STRANGER, 1)
    async with listening(tmp_path, said) as site:
        await site.enrol()
        site.encoding.asked.clear()
        await site.over(await site.hear(said))
        assert [urgency for _, urgency in asked(site)] == [Urgency.NEW, Urgency.NEW, Urgency.KNOWN]


async def test_what_there_was_no_time_for_is_counted_and_decided_when_there_is(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    said = Said().add(AGAIN, 0).add(STRANGER, 1)
    async with listening(tmp_path, said) as site:
        await site.enrol()
        site.encoding.full = True
        socket = await site.hear(Said().add(AGAIN, 0))
        assert site.outcomes["given_up"] == 1
        assert [one["speech_profile_processed"] for one in shown(socket)] == [False]
        site.encoding.full = False
        await site.say(socket, Said().add(STRANGER, 1))
        assert names(await site.over(socket)) == [(True, None), (False, None)]
