"""Every vendor is down for minutes: the audio waits on disk, and nobody storms those who come back."""

import functools
from collections import Counter
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from engine.testing import FaultPlan, StandIn
from tests.faults.setting import (
    KEY,
    STANDINS,
    Client,
    Outcome,
    connected,
    everything_heard,
    script,
    setting,
    speech,
)
from tests.listen.harness import Server

DOWN_FROM = 10.0
OUTAGE = 180.0


def two() -> dict[str, StandIn]:
    """A preferred vendor and the next."""
    return {name: STANDINS[name](script, key=KEY) for name in ("soniox-stt-rt", "speechmatics-rt")}


async def outage(standins: dict[str, StandIn], began: float, seconds: float) -> None:
    """All go down together: connections are cut, new ones do not come about."""
    await trio.sleep_until(began + DOWN_FROM)
    for standin in standins.values():
        standin.follow(FaultPlan(unreachable_for=seconds))
        await standin.drop_all()


async def test_every_word_spoken_in_an_outage_of_three_minutes_arrives(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    standins = two()
    pcm = speech(DOWN_FROM + OUTAGE + 20)
    async with setting(tmp_path, standins, session={"stt_exhausted_timeout": 600.0}) as (inside, vendors):
        async with connected(inside) as client:
            began = trio.current_time()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(outage, standins, began, OUTAGE)
                await client.talk(pcm, began)
            (live,) = inside.service.live()
            assert live.pipeline.spill.total > 60 * 16_000, "more was spoken than the ring holds"
            await everything_heard(client)
            (live,) = inside.service.live()
            await client.leave()
        await inside.idle()
    outcome = Outcome(client, vendors, live.pipeline.ledger, len(pcm), began)
    outcome.check_words()
    outcome.check_books()
    assert outcome.told() == ["stt_degraded", "stt_recovered"]
    assert client.when("stt_recovered") - began <= DOWN_FROM + OUTAGE + 20


async def test_a_session_ends_with_its_reason_when_nobody_comes_back_in_time(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    standins = two()
    patience = {"stt_exhausted_timeout": 60.0}
    async with setting(tmp_path, standins, session=patience) as (inside, _), connected(inside) as client:
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(outage, standins, began, OUTAGE)
            nursery.start_soon(client.talk, speech(200), began)
            await client.until(lambda socket: socket.closed)
            ended = trio.current_time() - began
            nursery.cancel_scope.cancel()
    assert client.closed == (1011, "transcription_service_unavailable")
    [failed] = client.statuses("stt_failed")
    assert failed["reason"] == "transcription_service_unavailable"
    assert failed["retry_after"] > 0
    assert DOWN_FROM + 60 <= ended < DOWN_FROM + 65


@pytest.mark.campaign
async def test_a_hundred_sessions_do_not_storm_vendors_that_are_down(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    sessions, seconds, down = 100, 40, 25.0
    standins = two()
    tries: dict[str, list[float]] = {name: [] for name in standins}
    for name, standin in standins.items():
        _note_attempts(standin, tries[name])
    clients: list[Client] = []
    many = {"sessions": 200, "sessions_per_user": 200, "connects_per_minute": 10_000}

    async def session(inside: Server, number: int, began: float) -> None:
        pcm = speech(seconds, stream=number)
        async with connected(inside, uid=f"user{number}") as client:
            clients.append(client)
            for second in range(seconds):
                await trio.sleep_until(began + second + 1)
                await client.say(pcm[second * 16_000 : (second + 1) * 16_000].tobytes())
            await everything_heard(client)
            await client.leave()

    async with setting(tmp_path, standins, limits=many) as (inside, vendors):
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(outage, standins, began, down)
            for number in range(sessions):
                nursery.start_soon(session, inside, number, began)
        await inside.idle()
    for name, times in tries.items():
        busiest = max(sum(t <= other < t + 1 for other in times) for t in times)
        assert busiest <= 21, name
        while_down = [t for t in times if DOWN_FROM + 5 <= t - began < DOWN_FROM + down]
        assert len(while_down) <= 40, name
    for number, client in enumerate(clients):
        texts = Counter(text for s in client.segments().values() for text in s["text"].split())
        assert texts == Counter(script(n).text for n in range(seconds * 2))
        assert len(client.statuses("stt_degraded")) == len(client.statuses("stt_recovered")) == 1
        assert vendors.received(number).total() >= seconds * 16_000


def _note_attempts(standin: StandIn, times: list[float]) -> None:
    """Write down when somebody tries to connect."""
    connect = standin.open_stream

    @functools.wraps(connect)
    async def noted(host: str, port: int, tls: bool) -> trio.abc.Stream:
        times.append(trio.current_time())
        return await connect(host, port, tls)

    standin.open_stream = noted  # type: ignore[method-assign]
