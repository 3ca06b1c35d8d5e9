"""Killed at any transaction, a process leaves nothing stuck, nothing half done, and nothing done twice."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

ROOT = Path(__file__).parents[2]


class Walked(msgspec.Struct, frozen=True):
    """What was there after each step at which a process was killed, `every` so many; the first step was not."""

    every: int
    steps: list[dict[str, Any]]


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(("sqlite", 1), id="sqlite"),
        pytest.param(("postgresql", 8), id="postgresql-some"),
        pytest.param(("postgresql", 1), id="postgresql", marks=pytest.mark.campaign),
    ],
)
def walked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Walked:
    database, every = request.param
    folder = tmp_path_factory.mktemp("killed")
    command = [sys.executable, "-m", "tests.conversation.killed", str(folder), str(every)]
    if database == "postgresql":
        emptied: Callable[[], str] = request.getfixturevalue("emptied_postgres")
        command.append(emptied())
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return Walked(every, [step | end for step, end in zip(lines[::2], lines[1::2], strict=True)])


@pytest.fixture
def steps(walked: Walked) -> list[dict[str, Any]]:
    return walked.steps


def test_every_transaction_from_the_end_of_a_conversation_to_its_result_is_walked(
    walked: Walked, record_property: Callable[[str, object], None]
) -> None:
    for committed, least in ((False, 12), (True, 4)):
        numbers = [step["number"] for step in walked.steps[1:] if step["committed"] is committed]
        assert numbers == [walked.every * place for place in range(len(numbers))]
        assert walked.every * len(numbers) > least
        record_property("writes" if committed else "transactions", len(numbers))


def test_undisturbed_all_of_it_is_there_once(steps: list[dict[str, Any]]) -> None:
    whole = steps[0]
    assert (whole["status"], whole["version"], whole["kept"]["usage"]) == ("completed", 1, ["1"])
    assert whole["title"]
    assert whole["told"] == ["MemoryProcessingStarted", "MemoryCreated"]
    assert whole["found"] == ["c1"]
    kept = whole["kept"]
    assert (len(kept["action_items"]), len(kept["memories"])) == (2, 1)
    assert kept["jobs"] == ["tell/c1"]  # webhooks hear of it under one id; nobody delivers here
    assert len(kept["vectors"]) == 1 + 2 + 1


def test_wherever_it_was_killed_the_end_is_the_same(steps: list[dict[str, Any]]) -> None:
    whole = steps[0]
    for step in steps[1:]:
        for what in ("status", "failure", "version", "title", "found", "kept"):
            assert step[what] == whole[what], (step["number"], step["committed"], what)


def test_no_event_is_told_twice(steps: list[dict[str, Any]]) -> None:
    for step in steps[1:]:
        assert step["told"] == ["MemoryProcessingStarted", "MemoryCreated"][: len(step["told"])]
