"""What recognising voices costs live sessions, and how late it comes.

    python -m bench speaker_sessions [--streams N] [--seconds S] [--rounds R] [--keep FILE] [--tasks]

One server and the stand-in vendor, whose people talk a fifth of the time. In turns, round after round, the same load
(`listen load`) by users who have enrolled no voice, and by users who have: theirs is played to a second stream of the
vendor, and whoever speaks is compared with it; the one first in every other round. Printed: the time from a word's end
to its segment without and with, the part of it that lies behind the vendor's answer, the ratio of the two in each
round, CPU per stream-second and where it goes, and how long after the end of a segment it was decided who speaks in it.
`--keep` adds the rounds to those in a file, for machines that are not quiet for long. `--tasks` has the server count
what its tasks use (`bench.costs`), which costs some itself.
Exit status 1 when a figure must not be believed.
"""

import argparse
import math
import re
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import median

import httpx2
import msgspec

from bench.costs import Counted, table
from bench.endtoend import RECORDING, plan_of
from bench.load.stacks import KERNELS, ROOT
from bench.machine import machine
from engine.cli.load_figures import Latency, LoadFigures
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
STILL = 30.0
"""Seconds a server has to be done with what a run left behind."""

LATENESS = """
SELECT (d.decided_at - c.started_at) / 1e6 - s."end" FROM speaker_decisions d
JOIN conversations c ON c.uid = d.uid AND c.id = d.conversation_id
JOIN segments s ON s.uid = d.uid AND s.conversation_id = d.conversation_id AND s.id = d.segment_id
WHERE d.uid LIKE ? AND s."end" - s.start >= ?
"""


class Arm(msgspec.Struct, frozen=True, kw_only=True):
    """One run. `late`: seconds from the end of each segment to its decision; CPU and speech of voices in seconds.

    `measured_cpu`: that of voices in the measured time.
    """

    figures: LoadFigures
    late: list[float] = []
    voices_cpu: float = 0.0
    voices_speech: float = 0.0
    measured_cpu: float = 0.0
    given_up: float = 0.0


class Round(msgspec.Struct, frozen=True):
    """The same load without voices and with."""

    without: Arm
    with_voices: Arm

    @property
    def ratio(self) -> float:
        """Of the 99th percentiles from a word's end to its segment."""
        return _ratio(self.without.figures.segment, self.with_voices.figures.segment)

    @property
    def behind(self) -> float:
        """The same of the part behind the vendor's answer."""
        return _ratio(self.without.figures.to_client, self.with_voices.figures.to_client)


def _ratio(before: Latency | None, after: Latency | None) -> float:
    assert before is not None, "segments came"
    assert after is not None, "segments came"
    return after.p99 / before.p99


class Bench:
    """A server and its vendor, on which runs are made."""

    def __init__(self, server: Running, vendor: Running, data: Path, *, tasks: bool) -> None:
        self._server = server
        self._vendor = vendor
        self._data = data
        self._tasks = tasks
        self._http = server.url.replace("ws", "http", 1)
        self.costs: list[str] = []

    def warm(self) -> None:
        """What the first sessions load is not the others'."""
        for users in ("warm", "known"):
            if users == "known":
                self._enrol(["known-0", "known-1"])
            plan = self._plan(2, 2.0 * SPOKEN, users)
            run_load(msgspec.structs.replace(plan, ramp=1.0))
        self._still()

    def round(self, streams: int, seconds: float, *, known_first: bool) -> Round:
        """The same load twice."""
        unique = time.time_ns() // 1_000_000
        known, unknown = f"known-{unique}", f"unknown-{unique}"
        self._enrol([f"{known}-{number}" for number in range(streams)])
        self._still()
        arms = {
            users: self._arm(self._plan(streams, seconds, users), users)
            for users in ((known, unknown) if known_first else (unknown, known))
        }
        return Round(arms[unknown], arms[known])

    def _plan(self, streams: int, seconds: float, users: str) -> LoadPlan:
        return msgspec.structs.replace(
            plan_of(streams, seconds),
            url=self._server.url,
            pid=self._server.pid,
            vendor_pid=self._vendor.pid,
            uid=users,
            ramp=float(PERIOD),
            tail=TAIL,
        )

    def _arm(self, plan: LoadPlan, users: str) -> Arm:
        edges: list[dict[str, float]] = []
        counted: list[Counted] = []
        readers: list[threading.Thread] = []

        def read() -> None:
            edges.append(self._counted())
            if self._tasks:
                counted.append(msgspec.json.decode(self._server.ask(), type=Counted))

        def at_edges() -> None:
            """In a thread: who sends must not wait."""
            readers.append(threading.Thread(target=read))
            readers[-1].start()

        before = self._counted()
        figures = run_load(plan, at_edges)
        for reader in readers:
            reader.join()
        after = self._still()
        if self._tasks:
            name = users.partition("-")[0]
            self.costs += [f"{name} users", *table(counted[1].since(counted[0]), figures, math.inf)]
        name = "cpu_seconds_total"
        return Arm(
            figures=figures,
            late=_lateness(self._data / "listen.db", users),
            voices_cpu=after[name] - before[name],
            voices_speech=after["speech_seconds_total"] - before["speech_seconds_total"],
            measured_cpu=edges[1][name] - edges[0][name],
            given_up=after["given_up_total"] - before["given_up_total"],
        )

    def _enrol(self, users: Sequence[str]) -> None:
        """The first as users do, the others with what is kept of the first: to hear all takes long."""
        with httpx2.Client(base_url=self._http, timeout=60) as http:
            voice = {"file": ("voice.wav", RECORDING.read_bytes())}
            http.post("/v3/upload-audio", params={"uid": users[0]}, files=voice).raise_for_status()

        async def copy(store: Store) -> None:
            (row,) = await store.voices.of_person(users[0], OWNER)
            recording = await store.profile_blobs.get(row.uid, row.name)
            for uid in users[1:]:
                await store.profile_blobs.put(uid, row.name, recording)
                await store.voices.put(msgspec.structs.replace(row, uid=uid))

        with_store(None, self._data, copy)

    def _counted(self) -> dict[str, float]:
        """The metrics of voices, and how many sessions there are."""
        text = httpx2.get(self._http + "/metrics", timeout=60).text
        found = re.findall(r"^listen_(?:voices_)?(\w+) (\S+)$", text, re.MULTILINE)
        return {name: float(value) for name, value in found}

    def _still(self) -> dict[str, float]:
        """Return when no session is left and no voice waits."""
        until = time.monotonic() + STILL
        while (counted := self._counted())["connections_active"] or counted["waiting"]:
            if time.monotonic() > until:
                raise Failure(f"the server was not done with the sessions before within {STILL:g} s")
            time.sleep(0.5)
        return counted


@contextmanager
def _running(*, tasks: bool) -> Iterator[Bench]:
    command = [sys.executable, "-m", "engine.cli.load_vendor", str(SPOKEN), str(PERIOD)]
    with tempfile.TemporaryDirectory() as name, process("vendor", command, folder=ROOT) as vendor:
        data = Path(name)
        serve, environ = own_server(vendor.url, data, KERNELS, "on")
        environ |= {"LISTEN_WEB_REQUESTS_PER_MINUTE": "100000"}
        if tasks:
            serve = [sys.executable, "-m", "bench.costs"]
        with process("server", serve, environ, ROOT) as server:
            yield Bench(server, vendor, data, tasks=tasks)


def _lateness(database: Path, users: str) -> list[float]:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return sorted(row[0] for row in connection.execute(LATENESS, (f"{users}-%", SPOKEN - 0.5)))


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
        lines += [f"{name:10} {line}" for line in _described(arms)]
    for what, ratios in (
        ("p99 with voices over p99 without", [one.ratio for one in rounds]),
        ("the same, behind the vendor", [one.behind for one in rounds]),
    ):
        lines.append(f"{what}: median {median(ratios):.2f} of {_listed(ratios)}; at most {MOST:g} is wanted")
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


def _described(arms: Sequence[Arm]) -> Iterator[str]:
    """What one kind of users had in all rounds."""
    for what, parts in (
        ("word to segment", [arm.figures.segment for arm in arms]),
        ("vendor to client", [arm.figures.to_client for arm in arms]),
    ):
        found = [part for part in parts if part is not None]
        if found:
            yield (
                f"{what}: p50 {median(one.p50 for one in found):.1f} ms, p99 {median(one.p99 for one in found):.1f} ms "
                f"of {sum(one.count for one in found)} words ({', '.join(f'{one.p99:.1f}' for one in found)})"
            )
    whole = [arm.figures.server.us_per_stream_second for arm in arms if arm.figures.server is not None]
    voices = [1e6 * arm.measured_cpu / arm.figures.stream_seconds for arm in arms]
    others = [arm.figures.others_core_share for arm in arms]
    yield (
        f"{median(whole) if whole else math.nan:.0f} us CPU a stream-second "
        f"({', '.join(f'{one:.0f}' for one in whole)}), of which the voice encoder {median(voices):.0f}; "
        f"others on this machine used {max(others):.2f} cores at most"
    )


def _listed(ratios: Sequence[float]) -> str:
    return f"{len(ratios)} rounds ({', '.join(f'{one:.2f}' for one in ratios)})"


def main(given: Sequence[str] = ()) -> int:
    """Measure and print. Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m bench speaker_sessions", description="See the module's documentation."
    )
    parser.add_argument("--streams", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--tasks", action="store_true")
    arguments = parser.parse_args(given)
    rounds: list[Round] = []
    if arguments.keep is not None and arguments.keep.exists():
        rounds = msgspec.json.decode(arguments.keep.read_bytes(), type=list[Round])
    with _running(tasks=arguments.tasks) as bench:
        bench.warm()
        for _ in range(arguments.rounds):
            known_first = len(rounds) % 2 == 1
            rounds.append(bench.round(arguments.streams, arguments.seconds, known_first=known_first))
            if arguments.keep is not None:
                arguments.keep.write_bytes(msgspec.json.encode(rounds))
    print("\n".join(machine()))
    print(f"{arguments.streams} sessions, {arguments.seconds:g} s measured of each, {len(rounds)} rounds")
    print("\n".join([*bench.costs, report(rounds)]))
    return int(any(_doubtful(arm.figures) for one in rounds for arm in (one.without, one.with_voices)))


def _doubtful(figures: LoadFigures) -> bool:
    try:
        figures.believe()
    except Failure as failure:
        print(failure, file=sys.stderr)
        return True
    return bool(figures.failed)
