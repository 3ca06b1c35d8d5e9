"""One session through one fault, and what it took to get over it."""

from pathlib import Path

import msgspec
import trio

from engine.stt.vendor import SAMPLE_RATE
from engine.testing import FaultPlan, Line, StandIn
from tests.faults.plans import DOWN, FOLLOWS, Fault
from tests.faults.setting import KEY, STANDINS, Outcome, connected, everything_heard, script, setting, speech

SECONDS = 24.0
SECOND_CHOICE = {
    "dg-nova-3": "soniox-stt-rt",
    "soniox-stt-rt": "speechmatics-rt",
    "speechmatics-rt": "dg-nova-3",
    "vosk": "dg-nova-3",
}
PROVIDERS = {
    "dg-nova-3": "deepgram",
    "soniox-stt-rt": "soniox",
    "speechmatics-rt": "speechmatics",
    "vosk": "vosk",
}
LONGEST = 10.0
"""Seconds from a fault to the next vendor's stream, at most."""

SLOWEST = 4.0
"""Seconds after which a word may come while nothing is wrong: Deepgram's window, and what follows it."""


def standins(preferred: str, fault: Fault) -> dict[str, StandIn]:
    """The preferred vendor, which goes wrong, and the next."""
    second = SECOND_CHOICE[preferred]
    return {
        preferred: STANDINS[preferred](script, plan=fault.plan_for(preferred), key=_key(preferred)),
        second: STANDINS[second](script, key=_key(second)),
    }


def _key(name: str) -> str | None:
    return None if name == "vosk" else KEY


async def run(
    tmp_path: Path,
    preferred: str,
    fault: Fault,
    *,
    seconds: float = SECONDS,
    sockets: bool = False,
    lane: bool = False,
) -> Outcome:
    """A session of `seconds` through the fault, in memory on the virtual clock, or over sockets, also in the lane."""
    pcm = speech(seconds)
    async with setting(tmp_path, standins(preferred, fault), sockets=sockets, lane=lane) as (inside, vendors):
        async with connected(inside) as client:
            began = trio.current_time()

            async def turn() -> None:
                await trio.sleep_until(began + FOLLOWS)
                vendors.preferred.follow(fault.then)
                await trio.sleep_until(began + FOLLOWS + DOWN)
                vendors.preferred.follow(FaultPlan())

            async with trio.open_nursery() as nursery:
                nursery.start_soon(turn)
                await client.talk(pcm, began)
            await everything_heard(client)
            (live,) = inside.service.live()
            await client.leave()
        await inside.idle()
    return Outcome(client, vendors, live.pipeline.ledger, len(pcm), began)


def check(outcome: Outcome, preferred: str, fault: Fault) -> None:
    """Nothing lost or doubled, the client told once of each, the next vendor soon there, the preferred one back."""
    outcome.check_words()
    outcome.check_books()
    outcome.check_one_at_a_time()
    assert outcome.told() == (["stt_degraded", "stt_recovered"] if fault.noticed else [])
    assert last_provider(outcome) == PROVIDERS[preferred], "the preferred vendor is back"
    for line in outcome.vendors.preferred.connections:
        if line.struck is not None:
            assert interruption(outcome, line) <= LONGEST


def interruption(outcome: Outcome, struck: Line) -> float:
    """Seconds from when a connection was struck until the next one that was given audio."""
    assert struck.struck is not None
    lines = outcome.vendors.lines()
    following = [
        line.attempt.time for line in lines if line is not struck and line.attempt.time >= struck.struck
    ]
    return min(following) - struck.struck


def last_provider(outcome: Outcome) -> str:
    """Who said the last word."""
    segments = sorted(outcome.client.segments().values(), key=lambda segment: float(segment["start"]))
    return str(segments[-1]["stt_provider"])


class Recovery(msgspec.Struct, frozen=True):
    """Seconds: until the client was told, of audio given to vendors again, until words came as soon as before."""

    detected: float
    replayed: float
    caught_up: float


def recovery(outcome: Outcome) -> Recovery | None:
    """How a session got over its fault; None when nobody noticed."""
    if not outcome.told():
        return None
    told = outcome.client.when("stt_degraded")
    struck = [line.struck for line in outcome.vendors.preferred.connections if line.struck is not None]
    latencies = outcome.client.latencies(outcome.began)
    usual = max((late for time, late in latencies if time < told), default=SLOWEST)
    behind = [time for time, late in latencies if time >= told and late > max(usual, SLOWEST)]
    return Recovery(
        detected=told - min(struck, default=told),
        replayed=(outcome.vendors.samples() - outcome.total) / SAMPLE_RATE,
        caught_up=max(behind, default=told) - told,
    )
