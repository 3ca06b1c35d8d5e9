"""Killed at any transaction, a process leaves nothing stuck, nothing half done, and nothing done twice."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Every step of processing at which a process was killed; the first was not."""
    folder = tmp_path_factory.mktemp("killed")
    command = [sys.executable, "-m", "tests.conversation.killed", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return [step | end for step, end in zip(lines[::2], lines[1::2], strict=True)]


def test_every_transaction_from_the_end_of_a_conversation_to_its_result_is_walked(
    steps: list[dict[str, Any]],
) -> None:
    for committed, least in ((False, 12), (True, 4)):
        walked = [step["number"] for step in steps[1:] if step["committed"] is committed]
        assert walked == list(range(len(walked)))
        assert len(walked) > least


def test_undisturbed_all_of_it_is_there_once(steps: list[dict[str, Any]]) -> None:
    whole = steps[0]
    assert (whole["status"], whole["version"], whole["kept"]["usage"]) == ("completed", 1, ["1"])
    assert whole["title"]
    assert whole["told"] == ["MemoryProcessingStarted", "MemoryCreated"]
    assert whole["found"] == ["c1"]
    kept = whole["kept"]
    assert (len(kept["action_items"]), len(kept["memories"]), kept["jobs"]) == (2, 1, [])
    assert len(kept["vectors"]) == 1 + 2 + 1


def test_wherever_it_was_killed_the_end_is_the_same(steps: list[dict[str, Any]]) -> None:
    whole = steps[0]
    for step in steps[1:]:
        for what in ("status", "failure", "version", "title", "found", "kept"):
            assert step[what] == whole[what], (step["number"], step["committed"], what)


def test_no_event_is_told_twice(steps: list[dict[str, Any]]) -> None:
    for step in steps[1:]:
        assert step["told"] == ["MemoryProcessingStarted", "MemoryCreated"][: len(step["told"])]
