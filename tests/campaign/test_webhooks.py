"""Live streams whose users have a dead and a slow webhook each, against the same streams without; `bench.webhooks`."""

from collections.abc import Callable
from statistics import median

import pytest

from bench.webhooks import Arm, measure

pytestmark = pytest.mark.campaign

STREAMS = 200
SECONDS = 20.0
ROUNDS = 3
UNCHANGED = 1.15
"""Of p99: what it differs by from round to round without webhooks, too."""
CHUNKS_KIB = 2048
"""A stream's chunks in the making: 5 s and 4 s of PCM, and as much again while they are written."""

Record = Callable[[str, object], None]


def test_live_streams_do_not_notice_webhooks_that_are_dead_or_slow(record_property: Record) -> None:
    arms: dict[bool, list[Arm]] = {True: [], False: []}
    for number in range(ROUNDS):
        for webhooks in (False, True) if number % 2 else (True, False):
            arms[webhooks].append(measure(STREAMS, SECONDS, webhooks=webhooks))
    without, bad = arms[False], arms[True]
    for arm in (*without, *bad):
        arm.figures.believe()
        assert not arm.figures.failed
    p99 = {name: median(arm.p99 for arm in several) for name, several in arms.items()}
    memory = {name: median(_memory(arm) for arm in several) for name, several in arms.items()}
    record_property("p99 without", f"{p99[False]:.1f} ms")
    record_property("p99 with", f"{p99[True]:.1f} ms")
    record_property("KiB a stream", f"{memory[False]:.0f} and {memory[True]:.0f}")
    assert all(arm.chunks > 0 and arm.requests > 0 for arm in bad)
    assert p99[True] <= UNCHANGED * p99[False]
    assert memory[True] - memory[False] <= CHUNKS_KIB


def _memory(arm: Arm) -> float:
    assert arm.figures.server is not None
    return arm.figures.server.kib_per_stream
