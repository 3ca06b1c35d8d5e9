"""What recognising voices costs live sessions, and how late it comes.

    python -m bench speaker_sessions [--streams N] [--seconds S] [--rounds R] [--keep FILE]

One server and the stand-in vendor, whose people talk a fifth of the time. In turns, round after round, the same load
(`listen load`) by users who have enrolled no voice, and by users who have: theirs is played to a second stream of the
vendor, and whoever speaks is compared with it. Printed: the time from a word to its segment with and without, the
ratio of the two in each round, CPU per second of speech, and how long after the end of a segment it was decided who
speaks in it. `--keep` adds the rounds to those in a file, for machines that are not quiet for long.
Exit status 1 when a figure must not be believed.
"""

import argparse
import math
import re
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import median

import httpx2
import msgspec

from bench.endtoend import RECORDING, plan_of
from bench.load.stacks import KERNELS, ROOT
from bench.machine import machine
from engine.cli.load_figures import LoadFigures
from engine.cli.load_process import Running, own_server, process
from engine.cli.load_run import LoadPlan, run_load
from engine.cli.status import Failure
from engine.cli.token import with_store
from engine.speaker.matching import OWNER
from engine.store import Store

__all__ = ["Arm", "Round", "main", "rank", "report"]

SPOKEN, PERIOD = 3, 15
"""Seconds."""
TAIL = 3.0
"""Seconds after the measured ones, for decisions that come late."""
MOST = 1.25
"""What the 99th percentile may be with voices, over that without."""

LATENESS = """
SELECT (d.decided_at - c.started_at) / 1e6 - s."end" FROM speaker_decisions d
JOIN conversations c ON c.uid = d.uid AND c.id = d.conversation_id
JOIN segments s ON s.uid = d.uid AND s.conversation_id = d.conversation_id AND s.id = d.segment_id
WHERE d.uid LIKE ? AND s."end" - s.start >= ?
"""


class Arm(msgspec.Struct, frozen=True, kw_only=True):
    """One run. `late`: seconds from the end of each segment to its decision; CPU and speech of voices in seconds."""

    figures: LoadFigures
    late: list[float] = []
    voices_cpu: float = 0.0
    voices_speech: float = 0.0
    given_up: float = 0.0
    segments: int = 0


class Round(msgspec.Struct, frozen=True):
    """The same load without voices and with."""

    without: Arm
    with_voices: Arm

    @property
    def ratio(self) -> float:
        """Of the 99th percentiles."""
        before, after = self.without.figures.segment, self.with_voices.figures.segment
        assert before is not None, "segments came"
        assert after is not None, "segments came"
        return after.p99 / before.p99


def _plan(streams: int, seconds: float, server: Running, vendor: Running, users: str) -> LoadPlan:
    return msgspec.structs.replace(
        plan_of(streams, seconds),
        url=server.url,
        pid=server.pid,
        vendor_pid=vendor.pid,
        uid=users,
        ramp=float(PERIOD),
        tail=TAIL,
    )


@contextmanager
def _running() -> Iterator[tuple[Running, Running, Path]]:
    """A server, its vendor, and the server's database."""
    command = [sys.executable, "-m", "engine.cli.load_vendor", str(SPOKEN), str(PERIOD)]
    with tempfile.TemporaryDirectory() as name, process("vendor", command, folder=ROOT) as vendor:
        data = Path(name)
        serve, environ = own_server(vendor.url, data, KERNELS, "on")
        environ |= {"LISTEN_WEB_REQUESTS_PER_MINUTE": "100000"}
        with process("server", serve, environ, ROOT) as server:
            yield server, vendor, data / "listen.db"


def _enrol(server: Running, data: Path, users: Sequence[str]) -> None:
    """The first as users do, the others with what is kept of the first: to hear all takes a minute of the budget."""
    with httpx2.Client(base_url=server.url.replace("ws", "http", 1), timeout=60) as http:
        voice = {"file": ("voice.wav", RECORDING.read_bytes())}
        http.post("/v3/upload-audio", params={"uid": users[0]}, files=voice).raise_for_status()

    async def copy(store: Store) -> None:
        (row,) = await store.voices.of_person(users[0], OWNER)
        recording = await store.profile_blobs.get(row.uid, row.name)
        for uid in users[1:]:
            await store.profile_blobs.put(uid, row.name, recording)
            await store.voices.put(msgspec.structs.replace(row, uid=uid))

    with_store(None, data, copy)


def _counted(server: Running) -> dict[str, float]:
    """The metrics of voices."""
    text = httpx2.get(server.url.replace("ws", "http", 1) + "/metrics", timeout=60).text
    return {
        name: float(value) for name, value in re.findall(r"^listen_voices_(\w+) (\S+)$", text, re.MULTILINE)
    }


def _lateness(database: Path, users: str) -> list[float]:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return sorted(row[0] for row in connection.execute(LATENESS, (f"{users}-%", SPOKEN - 0.5)))


def _round(streams: int, seconds: float, server: Running, vendor: Running, database: Path) -> Round:
    """The enrolled first every other time."""
    unique = time.time_ns() // 1_000_000
    known, unknown = f"known-{unique}", f"unknown-{unique}"
    _enrol(server, database.parent, [f"{known}-{number}" for number in range(streams)])
    arms: dict[str, Arm] = {}
    for users in (known, unknown) if unique % 2 else (unknown, known):
        before = _counted(server)
        figures = run_load(_plan(streams, seconds, server, vendor, users))
        after = _counted(server)
        late = _lateness(database, users)
        arms[users] = Arm(
            figures=figures,
            late=late,
            voices_cpu=after["cpu_seconds_total"] - before["cpu_seconds_total"],
            voices_speech=after["speech_seconds_total"] - before["speech_seconds_total"],
            given_up=after["given_up_total"] - before["given_up_total"],
            segments=figures.segments,
        )
    return Round(arms[unknown], arms[known])


def rank(ordered: Sequence[float], share: float) -> float:
    """The nearest-rank percentile of values in order; NaN of none."""
    return ordered[math.ceil(share * len(ordered)) - 1] if ordered else math.nan


def report(rounds: Sequence[Round]) -> str:
    """What came of all rounds."""
    lines = []
    for name, arms in (
        ("no voices", [one.without for one in rounds]),
        ("voices", [one.with_voices for one in rounds]),
    ):
        segment = [arm.figures.segment for arm in arms if arm.figures.segment is not None]
        servers = [arm.figures.server for arm in arms if arm.figures.server is not None]
        cpu = median(one.us_per_stream_second for one in servers) if servers else math.nan
        lines.append(
            f"{name:10} p50 {median(one.p50 for one in segment):.1f} ms, "
            f"p99 {median(one.p99 for one in segment):.1f} ms ({', '.join(f'{one.p99:.1f}' for one in segment)}), "
            f"{cpu:.0f} us CPU a stream-second"
        )
    ratios = [one.ratio for one in rounds]
    lines.append(
        f"p99 with voices over p99 without: median {median(ratios):.2f} of {len(ratios)} rounds "
        f"({', '.join(f'{one:.2f}' for one in ratios)}); at most {MOST:g} is wanted"
    )
    heard = [one.with_voices for one in rounds]
    late = sorted(value for arm in heard for value in arm.late)
    given_up = sum(arm.given_up for arm in heard)
    cpu, speech = sum(arm.voices_cpu for arm in heard), sum(arm.voices_speech for arm in heard)
    lines.append(
        f"decisions come {rank(late, 0.5):.1f} s after the end of their segment (median), "
        f"p95 {rank(late, 0.95):.1f} s, of {len(late)}; {given_up:.0f} utterances were given up"
    )
    lines.append(
        f"voices: {1e3 * cpu / speech if speech else math.nan:.1f} ms of CPU per second of speech heard "
        f"({speech:.0f} s heard)"
    )
    return "\n".join(lines)


def main(given: Sequence[str] = ()) -> int:
    """Measure and print. Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m bench speaker_sessions", description="See the module's documentation."
    )
    parser.add_argument("--streams", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--keep", type=Path)
    arguments = parser.parse_args(given)
    rounds: list[Round] = []
    if arguments.keep is not None and arguments.keep.exists():
        rounds = msgspec.json.decode(arguments.keep.read_bytes(), type=list[Round])
    with _running() as (server, vendor, database):
        first = msgspec.structs.replace(_plan(2, 1.0, server, vendor, "warm"), ramp=1.0, tail=1.0)
        run_load(first)  # what the first sessions load is not the others'
        for _ in range(arguments.rounds):
            rounds.append(_round(arguments.streams, arguments.seconds, server, vendor, database))
    if arguments.keep is not None:
        arguments.keep.write_bytes(msgspec.json.encode(rounds))
    print("\n".join(machine()))
    print(f"{arguments.streams} sessions, {arguments.seconds:g} s measured of each, {len(rounds)} rounds")
    print(report(rounds))
    return int(any(_doubtful(arm.figures) for one in rounds for arm in (one.without, one.with_voices)))


def _doubtful(figures: LoadFigures) -> bool:
    try:
        figures.believe()
    except Failure as failure:
        print(failure, file=sys.stderr)
        return True
    return bool(figures.failed)
