"""A client that stands still in the middle of a word, for longer than what waits is left untranscribed."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from engine.stt.vendor import SAMPLE_RATE
from tests.faults.setting import (
    KEY,
    PACKET,
    STANDINS,
    Client,
    Outcome,
    connected,
    everything_heard,
    script,
    setting,
    speech,
)

SECONDS = 16.0
WORD = 12
PAUSE = 1.5
"""Longer than `idle_flush`."""


async def talk(client: Client, began: float, stops: Sequence[int]) -> None:
    """Real time up to each of `stops`, a pause there; what was spoken meanwhile comes after it, at once."""
    pcm, behind, at = speech(SECONDS), 0.0, 0
    for stop in (*stops, len(pcm)):
        while at < stop:
            end = min(at + PACKET, stop)
            await trio.sleep_until(began + behind + end / SAMPLE_RATE)
            await client.say(pcm[at:end].tobytes())
            at = end
        behind += PAUSE


@pytest.mark.parametrize("share", [0.3, 0.7, 0.95])
@pytest.mark.parametrize("vendor", STANDINS)
async def test_a_word_in_which_the_client_pauses_is_neither_lost_nor_doubled(
    autojump_clock: MockClock, tmp_path: Path, vendor: str, share: float
) -> None:
    word = script(WORD)
    between = (script(WORD - 1).end + word.start) // 2
    stops = (between, word.start + int(share * (word.end - word.start)))
    standins = {vendor: STANDINS[vendor](script, key=None if vendor == "vosk" else KEY)}
    async with setting(tmp_path, standins) as (inside, vendors):
        async with connected(inside) as client:
            began = trio.current_time()
            await talk(client, began, stops)
            await everything_heard(client)
            (live,) = inside.service.live()
            await client.leave()
        await inside.idle()
    outcome = Outcome(client, vendors, live.pipeline.ledger, round(SECONDS * SAMPLE_RATE), began)
    outcome.check_words()
    outcome.check_books()
    assert outcome.told() == []
