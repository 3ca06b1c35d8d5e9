"""The user's voice is played to a second stream of a vendor, which takes over from the one that transcribes.

The recording is marked as samples 0 to `PREROLL` of the script, the session begins at sample `LIVE` of it: so the
stand-ins hear both, and know them apart. Whoever speaks first on a connection is its first speaker: in the recording
the user, in the session somebody else.
"""

from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import trio
from trio.testing import MockClock

from engine.stt.prerolls import TRIES, Preroll
from engine.stt.vendor import SAMPLE_RATE
from engine.testing import Action, FaultPlan, Line, Mishap, mark
from engine.transcript.words import Word
from tests.faults.setting import (
    KEY,
    STANDINS,
    TOLERANCE,
    Client,
    Vendors,
    connected,
    everything_heard,
    setting,
)
from tests.stt.streams import load

PREROLL = 8 * SAMPLE_RATE
LIVE = 20 * SAMPLE_RATE
WORD = SAMPLE_RATE // 2
USER, OTHER = 0, 1
SECONDS = 40.0
VENDORS = ("dg-nova-3", "soniox-stt-rt", "speechmatics-rt")
PROVIDERS = {"dg-nova-3": "deepgram", "soniox-stt-rt": "soniox", "speechmatics-rt": "speechmatics"}


def script(number: int) -> Word:
    """Two words a second; in the session the user says every second pair."""
    begin = number * WORD
    speaker = USER if begin < PREROLL or number % 4 >= 2 else OTHER
    return Word(f"w{number}.", begin + WORD // 4, begin + 3 * WORD // 4, speaker=speaker)


class Voice:
    """Where the user's voice is."""

    def __init__(self, *vendors: str, delay: float = 0.0) -> None:
        self._vendors = frozenset(vendors or VENDORS)
        self._delay = delay

    async def preroll(self, uid: str) -> Preroll | None:
        await trio.sleep(self._delay)
        pcm = mark(np.resize(load("austen-0870"), PREROLL))
        return Preroll(pcm.tobytes(), self._vendors) if uid == "ada" else None


class Talk(msgspec.Struct, frozen=True):
    """What came of a session."""

    client: Client
    vendors: Vendors
    ledger: Any
    began: float

    @property
    def segments(self) -> list[dict[str, Any]]:
        return sorted(self.client.segments().values(), key=lambda segment: float(segment["start"]))

    def check_words(self) -> None:
        """Each word once, in order, at its time; nothing of the recording."""
        first = LIVE // WORD
        expected = [f"w{n}." for n in range(first, first + int(SECONDS * SAMPLE_RATE) // WORD)]
        said = [text for segment in self.segments for text in segment["text"].split()]
        assert sorted(set(expected) - set(said)) == []
        assert [text for text, count in Counter(said).items() if count > 1] == []
        assert said == expected
        for segment in self.segments:
            words = [script(int(text[1:-1])) for text in segment["text"].split()]
            assert abs(segment["start"] - (words[0].start - LIVE) / SAMPLE_RATE) <= TOLERANCE
            assert abs(segment["end"] - (words[-1].end - LIVE) / SAMPLE_RATE) <= TOLERANCE

    def check_books(self) -> None:
        total = int(SECONDS * SAMPLE_RATE)
        self.ledger.check()
        assert (self.ledger.decoded, self.ledger.lost, self.ledger.pending) == (total, 0, 0)
        assert self.ledger.final + self.ledger.silent == total

    def users(self) -> list[bool]:
        """Of each word whether it is the user's, as it came to be told."""
        return [bool(segment["is_user"]) for segment in self.segments for _ in segment["text"].split()]

    def truth(self) -> list[bool]:
        return [
            script(int(text[1:-1])).speaker == USER
            for segment in self.segments
            for text in segment["text"].split()
        ]

    def switched(self) -> int | None:
        """The word from which on the stream that knows the voice transcribed; None: it never did."""
        processed = [s["speech_profile_processed"] for s in self.segments for _ in s["text"].split()]
        assert processed == sorted(processed), "once known, always known"
        return processed.index(True) if True in processed else None

    def slowest(self) -> float:
        """Seconds from a segment's last sample to the segment, at most."""
        return max(late for _, late in self.client.latencies(self.began))


async def talk(
    tmp_path: Path,
    *names: str,
    voice: Voice | None = None,
    plans: dict[str, FaultPlan] | None = None,
    uid: str = "ada",
    **stt: Any,
) -> Talk:
    standins = {
        name: STANDINS[name](script, key=KEY, plan=(plans or {}).get(name, FaultPlan())) for name in names
    }
    for standin in standins.values():
        standin.own_numbers = True
    pcm = mark(np.resize(load("beckett"), int(SECONDS * SAMPLE_RATE)), LIVE)
    async with setting(tmp_path, standins, own_voices=voice, stt=stt) as (inside, vendors):
        async with connected(inside, uid) as client:
            began = trio.current_time()
            await client.talk(pcm, began)
            await everything_heard(client)
            (live,) = inside.service.live()
            await client.leave()
        await inside.idle()
    return Talk(client, vendors, live.pipeline.ledger, began)


def played(line: Line) -> bool:
    """Whether a connection was given the recording."""
    return line.hearing.received.spans()[0][0] < PREROLL


@pytest.mark.parametrize("name", VENDORS)
async def test_the_stream_that_heard_the_user_takes_over_without_a_word_lost_doubled_late_or_out_of_place(
    name: str, tmp_path: Path, autojump_clock: MockClock
) -> None:
    plain = await talk(tmp_path / "plain", name, voice=Voice(), uid="bob")
    said = await talk(tmp_path / "dual", name, voice=Voice())
    said.check_words()
    said.check_books()
    live, profile = said.vendors.lines()
    assert (played(live), played(profile)) == (False, True)
    switched = said.switched()
    assert switched is not None
    assert 6 / 0.5 < switched < 25 / 0.5
    assert said.users()[:switched] == [False] * switched, "nobody knew"
    assert said.users()[switched:] == said.truth()[switched:]
    assert said.slowest() <= plain.slowest() + 0.5
    assert plain.switched() == 0
    assert len(plain.vendors.lines()) == 1


FAILURES = {
    "refused": FaultPlan(refuse_for=60.0),
    "refused for one more stream": FaultPlan(refuse_for=60.0, refuse_status=429),
    "never answered": FaultPlan(handshake_delay=60.0),
    "closed while it listens": FaultPlan(mishap=Mishap(action=Action.CLOSE, frame=30), mishaps=None),
    "silent while it listens": FaultPlan(mishap=Mishap(action=Action.SILENCE, frame=30), mishaps=None),
    "stuck while it listens": FaultPlan(mishap=Mishap(action=Action.STOP_READING, frame=30), mishaps=None),
}
"""What becomes of the connection to which the voice is to be played."""


@pytest.mark.parametrize("failure", FAILURES)
async def test_where_the_voice_cannot_be_played_the_stream_that_transcribes_goes_on(
    failure: str, tmp_path: Path, autojump_clock: MockClock
) -> None:
    standins = {"dg-nova-3": STANDINS["dg-nova-3"](script, key=KEY)}
    pcm = mark(np.resize(load("beckett"), int(SECONDS * SAMPLE_RATE)), LIVE)
    async with setting(tmp_path, standins, own_voices=Voice(delay=2.0)) as (inside, vendors):
        async with connected(inside) as client:
            began = trio.current_time()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(client.talk, pcm, began)
                await client.until_status("ready")
                vendors.preferred.follow(FAILURES[failure])
            await everything_heard(client)
            (live,) = inside.service.live()
            await client.leave()
        await inside.idle()
    said = Talk(client, vendors, live.pipeline.ledger, began)
    said.check_words()
    said.check_books()
    assert not any(said.users()), "nobody knows the voice"
    plain = [line for line in vendors.lines() if not played(line)]
    assert len(plain) == 1, "the stream that transcribed did so to the end"
    tries = vendors.preferred.statistics().attempts - 1
    assert 1 <= tries <= TRIES
    assert not client.statuses("stt_degraded")


@pytest.mark.parametrize(
    "second",
    [6.0, 12.0, 16.0, 22.0],
    ids=["while it listens", "while it waits for a pause", "then", "long after it took over"],
)
@pytest.mark.parametrize("name", VENDORS)
async def test_a_vendor_that_fails_around_the_switch_loses_nothing_and_the_user_is_known_again(
    name: str, second: float, tmp_path: Path, autojump_clock: MockClock
) -> None:
    mishap = Mishap(action=Action.DROP, second=LIVE / SAMPLE_RATE + second)
    said = await talk(tmp_path, name, voice=Voice(), plans={name: FaultPlan(mishap=mishap)})
    said.check_words()
    said.check_books()
    switched = said.switched()
    assert switched is not None
    assert said.users()[-8:] == said.truth()[-8:], "a stream that heard the user transcribes at the end"
    assert not any(user and not true for user, true in zip(said.users(), said.truth(), strict=True))


async def test_the_next_vendor_is_played_the_voice_too(tmp_path: Path, autojump_clock: MockClock) -> None:
    mishap = Mishap(action=Action.DROP, second=LIVE / SAMPLE_RATE + 18.0)
    plans = {"soniox-stt-rt": FaultPlan(mishap=mishap, refuse_for=0.0)}
    said = await talk(tmp_path, "soniox-stt-rt", "dg-nova-3", voice=Voice(), plans=plans)
    said.check_words()
    said.check_books()
    owners = {segment["speaker"] for segment in said.segments if segment["is_user"]}
    assert len(owners) == 1, "one voice, one number"
    assert said.users()[-8:] == said.truth()[-8:]


async def test_only_vendors_that_the_profile_serves_are_played_it(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    said = await talk(tmp_path, "dg-nova-3", voice=Voice("soniox-stt-rt"))
    said.check_words()
    assert len(said.vendors.lines()) == 1
    assert said.switched() == 0


async def test_the_second_connection_keeps_to_the_rate_of_connects(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    said = await talk(tmp_path, "dg-nova-3", voice=Voice(), connects_per_second=0.25)
    said.check_words()
    live, profile = said.vendors.lines()
    assert profile.attempt.time - live.attempt.time >= 4.0
    assert said.switched() is not None
