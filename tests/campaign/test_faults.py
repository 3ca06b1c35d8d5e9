"""The fault matrix over sockets in real time, every fault of every vendor, over both transports.

Its tables go to `faults.md` and `faults-lane.md`.
"""

import os
import platform
import time
from pathlib import Path

import pytest
import trio

from tests.faults.plans import FAULTS, Fault
from tests.faults.running import Recovery, check, recovery, run
from tests.faults.setting import STANDINS

pytestmark = pytest.mark.campaign

TABLE = Path(__file__).with_name("faults.md")
LANE_TABLE = Path(__file__).with_name("faults-lane.md")
SIDE_BY_SIDE = 8
"""Sessions at a time: real time is mostly waiting."""

Rows = dict[tuple[str, str], Recovery | str | None]


@pytest.mark.parametrize("lane", [False, True], ids=["trio-websocket", "lane"])
async def test_the_fault_matrix_in_real_time(tmp_path: Path, lane: bool) -> None:
    cases = [(preferred, fault) for fault in FAULTS for preferred in STANDINS]
    rows: Rows = {}
    room = trio.Semaphore(SIDE_BY_SIDE)

    async def case(number: int, preferred: str, fault: Fault) -> None:
        async with room:
            outcome = await run(tmp_path / str(number), preferred, fault, sockets=True, lane=lane)
        try:
            check(outcome, preferred, fault)
        except AssertionError as error:
            rows[fault.name, preferred] = f"failed: {error}".splitlines()[0]
        else:
            rows[fault.name, preferred] = recovery(outcome)

    async with trio.open_nursery() as nursery:
        for number, (preferred, fault) in enumerate(cases):
            (tmp_path / str(number)).mkdir()
            nursery.start_soon(case, number, preferred, fault)
    path = LANE_TABLE if lane else TABLE
    path.write_text(table(rows, lane))
    print(f"\n{table(rows, lane)}")
    assert [key for key, row in rows.items() if isinstance(row, str)] == []


def table(rows: Rows, lane: bool) -> str:
    """One line a fault, one column a vendor."""
    when = time.strftime("%Y-%m-%d %H:%M", time.gmtime())
    cores = len(os.sched_getaffinity(0))
    lines = [
        "# Faults",
        "",
        f"{when} UTC, {cores} cores, Python {platform.python_version()}, sockets on loopback, "
        f"vendors {'in the lane' if lane else 'over trio-websocket'}, real time.",
        "",
        "Seconds to detect / seconds replayed / seconds to catch up. Words lost or doubled would fail the run.",
        "",
        f"| fault | {' | '.join(STANDINS)} |",
        f"|---|{'---|' * len(STANDINS)}",
    ]
    for fault in FAULTS:
        cells = [_cell(rows.get((fault.name, preferred))) for preferred in STANDINS]
        lines.append(f"| {fault.name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(row: Recovery | str | None) -> str:
    if isinstance(row, str):
        return row
    return "unnoticed" if row is None else f"{row.detected:.1f} / {row.replayed:.1f} / {row.caught_up:.1f}"
