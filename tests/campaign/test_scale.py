"""Ten thousand conversations of one user: what reading and searching them costs, and does to live audio; to `scale.md`.

SCALE_CONVERSATIONS and SCALE_CLIENTS make it smaller, for a look whether it works. SCALE_FOLDER: where the
conversations are kept, which takes minutes to make, for a second look. The server may use all cores, and its crowd all
but the first: held to one, the threads in which it reads would take it from the loop. The user's program gives way to
the crowd: it would not be on the server's machine, nor keep clients from seeing when a word comes.
"""

import os
import platform
import shutil
import statistics
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import msgspec
import pytest
import trio

from engine.conversation.embedding.minilm import DIMENSIONS, MODEL, MiniLm
from engine.off_loop import worker_threads
from engine.server.parts import OFF_LOOP_THREADS
from engine.store import Store
from tests.campaign.crowd import Crowd
from tests.campaign.scale import (
    PAGE,
    QUESTION,
    SEGMENTS,
    Compared,
    Reader,
    as_served,
    compare,
    filled,
)
from tests.campaign.test_neighbours import (
    BUSY,
    OTHERS,
    SCRIPT,
    UNCHANGED,
    Pair,
    Window,
    beside,
    measured,
    output,
    percentiles,
)
from tests.campaign.user import KINDS, PAUSE
from tests.e2e.process import Process, started_anew
from tests.patience import PATIENCE

pytestmark = pytest.mark.campaign

TABLE = Path(__file__).with_name("scale.md")
MANY = int(os.environ.get("SCALE_CONVERSATIONS", "10000"))
FEW = MANY // 10
CLIENTS = int(os.environ.get("SCALE_CLIENTS", "200"))
ROUNDS = {"page": 40, "one": 200, "search": 40}
READ, SEARCH, GROWTH = 3.0, 1.5, 1.25
"""Most times bare SQL, most times embedding and scan, and most times what it was with a tenth of the conversations."""
RUNS = 7
WINDOW = 30.0
"""Seconds, in which 200 clients say 1,500 words: of 250 the 99th percentile is the third from the end, and on a still
machine ratios of two such were from 0.4 to 7, of two of a thousand from 0.9 to 1.5.
"""
QUERIES = {"a question": QUESTION, "words in most of them": "harbour sails", "a word in none": "submarine"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the conversations are."""
    return Path(os.environ.get("SCALE_FOLDER") or tmp_path / "scale")


async def figures(few: Reader, many: Reader) -> dict[str, Compared]:
    """Of a page, one conversation and searches."""
    found = {
        f"a page of {PAGE}": await compare(Reader.page, Reader.bare_page, few, many, ROUNDS["page"]),
        "one conversation": await compare(Reader.one, Reader.bare_one, few, many, ROUNDS["one"]),
    }
    for name, query in QUERIES.items():
        ours, bare = partial(Reader.search, question=query), partial(Reader.bare_search, question=query)
        found[f"search: {name}"] = await compare(ours, bare, few, many, ROUNDS["search"])
    return found


async def test_reading_and_searching_cost_little_more_than_sql_and_do_not_grow(folder: Path) -> None:
    for number in (FEW, MANY):
        await filled(folder, number, DIMENSIONS, MODEL)
    with as_served():
        embedder = await MiniLm.open(worker_threads(1))
        readers = [
            Reader(await Store.open(folder / str(number), worker_threads(OFF_LOOP_THREADS)), number, embedder)
            for number in (FEW, MANY)
        ]
        found = await figures(*readers)
        for reader in readers:
            await reader.close()
    write("Cost", costs(found))
    for name, compared in found.items():
        limit = SEARCH if name.startswith("search") else READ
        assert compared.many.ratio <= limit, (name, compared)
        if limit == READ:
            assert compared.growth <= GROWTH, (name, compared)


@pytest.mark.parametrize("kind", list(KINDS))
async def test_live_audio_is_as_prompt_while_a_user(kind: str, folder: Path, tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    shutil.copytree(await filled(folder, MANY, DIMENSIONS, MODEL), data_dir)
    settings = {"LISTEN_EMBEDDING_PROVIDER": "local", "LISTEN_WEB_REQUESTS_PER_MINUTE": 100_000}
    async with started_anew(data_dir, **SCRIPT, **settings, LISTEN_LIMITS_SESSIONS=2 * CLIENTS) as server:
        windows, crowd, done = await beside_a_crowd(server, kind)
        assert server.log.troubles() == []
        assert await server.terminate() == 0
    pairs = [
        Pair(percentiles(alone.late(crowd)), percentiles(beside.late(crowd))) for alone, beside in windows
    ]
    write(f"Live audio while a user {kind}", live(pairs, kind, done))
    others = statistics.median(alone.busy - alone.cpu for alone, _ in windows) - crowd.cpu / crowd.seconds
    assert others < OTHERS, f"other programs use {others:.1f} cores: the figures would be theirs"
    assert crowd.cpu / crowd.seconds < BUSY, "the crowd is too busy for its figures to be the server's"
    assert done > 0
    assert statistics.median(pair.ratio for pair in pairs) <= UNCHANGED


async def beside_a_crowd(server: Process, kind: str) -> tuple[list[tuple[Window, Window]], Crowd, int]:
    """Windows without and with the user's work, in turn; what the crowd saw, and how much work was done."""
    windows: list[tuple[Window, Window]] = []
    done = 0
    async with beside("tests.campaign.crowd", str(server.port), str(CLIENTS), "scale") as crowding:
        with trio.fail_after(2 * PATIENCE):
            await output(crowding, b"ready\n")
        for _ in range(RUNS):
            alone = await measured(server, WINDOW)
            busy, more = await measured_beside_a_user(server, kind)
            windows.append((alone, busy))
            done += more
        crowd = msgspec.json.decode(await ended(crowding), type=Crowd)
    return windows, crowd, done


async def measured_beside_a_user(server: Process, kind: str) -> tuple[Window, int]:
    """A window in which a user does what `kind` says, and how often."""
    async with beside("tests.campaign.user", str(server.port), kind, str(MANY), nice=19) as user:
        with trio.fail_after(PATIENCE):
            await output(user, b"ready\n")
        window = await measured(server, WINDOW)
        return window, int(await ended(user))


async def ended(process: trio.Process) -> bytes:
    """What it prints once its input is closed."""
    assert process.stdin is not None
    await process.stdin.aclose()
    with trio.fail_after(PATIENCE):
        return await output(process)


def costs(found: Mapping[str, Compared]) -> list[str]:
    """A line for each thing."""
    lines = [
        f"{MANY * SEGMENTS} segments in {MANY} conversations of one user; in brackets with {FEW} conversations. Median",
        "ms of interleaved rounds, behind HTTP; bare is the same rows by `sqlite3` alone, for a search the query's",
        "embedding and one numpy scan; ratio and growth (from few to many) are medians of the rounds'.",
        "",
        "| what | ours | bare | ratio | limit | growth |",
        "|---|---|---|---|---|---|",
    ]
    for name, compared in found.items():
        many, few = compared.many, compared.few
        limit = SEARCH if name.startswith("search") else READ
        cells = [
            f"{here:.2f} ({there:.2f})"
            for here, there in ((many.ours, few.ours), (many.bare, few.bare), (many.ratio, few.ratio))
        ]
        lines.append(f"| {name} | {' | '.join(cells)} | {limit:g} | {compared.growth:.2f} |")
    return lines


def live(pairs: Sequence[Pair], kind: str, done: int) -> list[str]:
    """How late words came."""
    middle = [
        [statistics.median(getattr(pair, arm)[which] for pair in pairs) for arm in ("without", "beside")]
        for which in (0, 1)
    ]
    ratios = sorted(pair.ratio for pair in pairs)
    return [
        f"{CLIENTS} clients speak, each hearing a word every 4 s; in every second window one user with {MANY}",
        f"conversations {kind}, one thing {PAUSE:g} s after the other ({done} in all).",
        "Reading is a page, a conversation, a search by meaning; what is processed are minutes of speech, without a",
        "language model. ms from when the packet that ends a word was due to the word.",
        "",
        "| p50 without / beside | p99 without / beside | ratio of p99 (least to most) |",
        "|---|---|---|",
        f"| {middle[0][0]:.1f} / {middle[0][1]:.1f} | {middle[1][0]:.1f} / {middle[1][1]:.1f} "
        f"| {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}) |",
    ]


def write(section: str, lines: Sequence[str]) -> None:
    """Put a section into `scale.md`, in the place of the one of that name."""
    when = time.strftime("%Y-%m-%d %H:%M", time.gmtime())
    where = f"{when} UTC, {os.cpu_count()} cores, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}."
    kept = TABLE.read_text() if TABLE.exists() else "# Scale\n"
    sections = dict(part.split("\n", 1) for part in kept.split("\n## ")[1:])
    sections[section] = "\n".join(["", where, *lines, ""])
    TABLE.write_text("# Scale\n" + "".join(f"\n## {name}\n{body}" for name, body in sorted(sections.items())))
