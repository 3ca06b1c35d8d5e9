"""Every fault of every vendor as the preferred one, with another behind it, on the virtual clock."""

from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from tests.faults.plans import FAULTS, Fault
from tests.faults.running import check, run
from tests.faults.setting import STANDINS


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
@pytest.mark.parametrize("preferred", STANDINS)
async def test_nothing_is_lost_or_doubled(
    autojump_clock: MockClock, tmp_path: Path, preferred: str, fault: Fault
) -> None:
    outcome = await run(tmp_path, preferred, fault)
    check(outcome, preferred, fault)


SAMPLE = {
    "dg-nova-3": "refused with 503",
    "soniox-stt-rt": "503 mid-stream",
    "speechmatics-rt": "cut mid-word",
    "vosk": "duplicate finals",
}


async def test_nothing_is_lost_or_doubled_over_sockets_in_real_time(tmp_path: Path) -> None:
    async def case(preferred: str, fault: Fault, lane: bool) -> None:
        folder = tmp_path / f"{preferred} {lane}"
        folder.mkdir()
        outcome = await run(folder, preferred, fault, seconds=18.0, sockets=True, lane=lane)
        check(outcome, preferred, fault)

    async with trio.open_nursery() as nursery:
        for lane in (False, True):
            for preferred, name in SAMPLE.items():
                fault = next(fault for fault in FAULTS if fault.name == name)
                nursery.start_soon(case, preferred, fault, lane)
