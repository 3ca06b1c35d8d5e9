"""Live streams whose users have a dead and a slow webhook each, against the same streams without; `bench.webhooks`."""

import os
from collections.abc import Callable
from statistics import median

import pytest

from bench.webhooks import measure_pair

pytestmark = pytest.mark.campaign

STREAMS = min(200, 50 * (os.cpu_count() or 1))
"""What leaves room for the generator, the vendor and the receiver, which are on the same machine."""
SECONDS = 20.0
ROUNDS = 5
UNCHANGED = 1.1
"""Times p99: what it differs by from round to round without webhooks, too."""
COST = 1.6
"""Times the CPU without webhooks, for two of them: a budget that it must not outgrow; 1.41 to 1.57 were measured."""
CHUNKS_KIB = 2048
"""A stream's chunks in the making: 5 s and 4 s of PCM, and as much again while they are written."""

Record = Callable[[str, object], None]


def test_live_streams_do_not_notice_webhooks_that_are_dead_or_slow(record_property: Record) -> None:
    pairs = [measure_pair(STREAMS, SECONDS, number) for number in range(ROUNDS)]
    for number, pair in enumerate(pairs):
        print(pair)
        record_property(f"round {number + 1}", str(pair))
        for arm in (pair.without, pair.bad):
            arm.figures.believe()
            assert not arm.figures.failed
            assert (arm.figures.missing, arm.lost) == (0, 0.0)
    assert all(pair.bad.chunks > 0 and pair.bad.requests > 0 for pair in pairs)
    assert median(pair.p99 for pair in pairs) <= UNCHANGED
    assert median(pair.cpu for pair in pairs) <= COST
    assert median(pair.kib for pair in pairs) <= CHUNKS_KIB
