"""The published `omi-cli`, which nobody here wrote, against a server: every command that a server has a part in.

Real processes: a server without keys for anything, and `omi` as its users run it. Each command it has is either run
here or has a reason in `LEFT_OUT`; a release with new commands fails the test.
"""

from __future__ import annotations

import importlib
import json
import os
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import trio

from engine.store import Store
from tests.e2e.process import started
from tests.e2e.watching import ServerLog
from tests.forking import run
from tests.patience import PATIENCE

PROGRAM = "omi_cli.main"
"""What the script `omi` runs."""

LEFT_OUT = {
    ("auth", "login", "--browser"): "signs in with Google or Apple at the Omi company's own service",
    ("auth", "refresh"): "renews what `auth login --browser` got; with a key it only says so",
}

USAGE, AUTH, NOT_FOUND = 1, 2, 5
"""Exit statuses that `omi` promises."""

TALK = {
    "transcript_segments": [
        {"text": "Please send me the budget by Friday.", "speaker": "SPEAKER_01", "start": 0, "end": 3},
        {"text": "I will send you the budget on Friday.", "is_user": True, "start": 3, "end": 6},
    ]
}


README = Path(__file__).parents[2] / "README.md"


class Omi:
    """The command, with settings of its own. `ran` has what was run, without its arguments."""

    ran: set[tuple[str, ...]]

    def __init__(self, settings: Path, url: str, key: str = "") -> None:
        self._environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("OMI_")},
            "OMI_CONFIG": str(settings),
            "OMI_API_BASE": url,
            "NO_COLOR": "1",
        }
        if key:
            self._environ["OMI_API_KEY"] = key
        self.ran = set()

    async def __call__(self, *arguments: str, status: int = 0, stdin: str = "") -> Any:
        """What it prints, read as JSON; what it says went wrong when `status` is not 0."""
        self.ran.add(next(command for command in COMMANDS if arguments[: len(command)] == command))
        with trio.fail_after(PATIENCE):
            done = await run(PROGRAM, "--json", *arguments, environ=self._environ, stdin=stdin.encode())
        said = done.stderr.decode()
        assert done.returncode == status, f"omi {' '.join(arguments)}: {done.returncode} {said}"
        if status:
            return said
        return json.loads(done.stdout) if done.stdout.startswith((b"{", b"[")) else done.stdout.decode()


def commands() -> Iterator[tuple[str, ...]]:
    """Every command of the installed release."""
    from typer.main import get_command

    def leaves(command: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        inside = getattr(command, "commands", None)
        if inside is None:
            yield path
        for name, sub in (inside or {}).items():
            yield from leaves(sub, (*path, name))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what it is made with
        found = importlib.import_module("omi_cli.main")
    return leaves(get_command(found.app), ())


COMMANDS = sorted(commands(), key=len, reverse=True)


async def make_keys(data_dir: Path) -> tuple[str, str]:
    """A key of Ada's that may do everything, and one that may only read memories."""
    store = await Store.open(data_dir, trio.to_thread.run_sync)
    try:
        return await store.tokens.create("ada"), await store.tokens.create("ada", scopes=["memories:read"])
    finally:
        await store.close()


async def test_every_command_that_a_server_has_a_part_in_does_what_it_says(tmp_path: Path) -> None:
    async with started(tmp_path / "data", LISTEN_AUTH="token") as server:
        key, reader = await make_keys(tmp_path / "data")
        url = f"http://127.0.0.1:{server.port}"
        omi, alone = Omi(tmp_path / "key.toml", url, key), Omi(tmp_path / "omi.toml", url)
        async with trio.open_nursery() as nursery:
            for part in (_memories, _action_items, _goals):
                nursery.start_soon(part, omi)
            nursery.start_soon(_conversations, omi, server.log, tmp_path)
            nursery.start_soon(_settings, alone, key, reader)
        assert await server.terminate() == 0
    left_out = {command for command in COMMANDS if command in LEFT_OUT}
    assert omi.ran | alone.ran | left_out == set(COMMANDS)


async def _memories(omi: Omi) -> None:
    made = await omi("memory", "create", "Likes whales.", "--category", "hobbies", "--tag", "sea")
    assert (made["content"], made["category"], made["tags"]) == ("Likes whales.", "hobbies", ["sea"])
    assert await omi("memory", "list", "--categories", "hobbies") == [made]
    assert await omi("memory", "get", made["id"]) == made
    changed = await omi("memory", "update", made["id"], "--content", "Likes orcas.", "--visibility", "public")
    assert (changed["content"], changed["visibility"], changed["edited"]) == ("Likes orcas.", "public", True)
    await omi("memory", "delete", made["id"], "--yes")
    await omi("memory", "get", made["id"], status=NOT_FOUND)


async def _action_items(omi: Omi) -> None:
    made = await omi("action-item", "create", "Call Bob", "--due-at", "2026-11-25T09:00:00")
    assert (made["description"], made["due_at"]) == ("Call Bob", "2026-11-25T09:00:00Z")
    assert made in await omi("action-item", "list", "--open")
    assert made not in await omi("action-item", "list", "--completed")
    assert await omi("action-item", "get", made["id"]) == made
    changed = await omi("action-item", "update", made["id"], "--description", "Call Bob back")
    assert changed["description"] == "Call Bob back"
    assert (await omi("action-item", "complete", made["id"]))["completed"]
    await omi("action-item", "delete", made["id"], "--yes")


async def _goals(omi: Omi) -> None:
    made = await omi("goal", "create", "Run", "--target", "50", "--type", "numeric", "--max", "60")
    assert (made["title"], made["target_value"], made["is_active"]) == ("Run", 50, True)
    assert await omi("goal", "list") == [made]
    assert await omi("goal", "get", made["id"]) == made
    assert (await omi("goal", "update", made["id"], "--unit", "km"))["unit"] == "km"
    assert (await omi("goal", "progress", made["id"], "12.5"))["current_value"] == 12.5
    (day,) = await omi("goal", "history", made["id"], "--days", "7")
    assert day["value"] == 12.5
    await omi("goal", "delete", made["id"], "--yes")


async def _conversations(omi: Omi, log: ServerLog, folder: Path) -> None:
    text = "I have to renew my passport before the trip to Lisbon. Remember to book the hotel tomorrow."
    written = await omi("conversation", "create", "--text", "-", "--text-source", "message", stdin=text)
    file = folder / "talk.json"
    file.write_text(json.dumps(TALK))
    spoken = await omi("conversation", "from-segments", str(file), "--source", "phone")
    with trio.fail_after(PATIENCE):
        for made in (written, spoken):
            await log.until("conversation.completed", conversation=made["id"])
    found = await omi("conversation", "get", spoken["id"], "--include-transcript")
    assert [one["text"] for one in found["transcript_segments"]] == [
        segment["text"] for segment in TALK["transcript_segments"]
    ]
    assert found["source"] == "phone"
    assert found["structured"]["title"]
    changed = await omi("conversation", "update", spoken["id"], "--title", "The budget")
    assert changed["structured"]["title"] == "The budget"
    await omi("conversation", "update", spoken["id"], "--discarded")
    assert [one["id"] for one in await omi("conversation", "list")] == [written["id"]]
    await omi("conversation", "delete", written["id"], "--yes")
    await omi("conversation", "get", written["id"], status=NOT_FOUND)


async def _settings(omi: Omi, key: str, reader: str) -> None:
    assert await omi("version") == f"omi-cli {version('omi-cli')}\n"
    assert "Not authenticated" in await omi("memory", "list", status=AUTH)
    assert "Token rejected" not in await omi("auth", "login", "--api-key", f"{key[:-1]}!", status=AUTH)
    await omi("auth", "login", stdin=reader)
    assert (await omi("auth", "status"))["authenticated"]
    assert (await omi("auth", "whoami"))["owns_memories"]
    assert "memories:write" in await omi("memory", "create", "Likes whales.", status=AUTH)
    assert "goals:read" in await omi("goal", "list", status=AUTH)
    assert "Nothing to refresh" in await omi("auth", "refresh", status=USAGE)
    (profile,) = (await omi("config", "show"))["profiles"]
    assert profile["auth_method"] == "api_key"
    assert (await omi("config", "path"))["path"].endswith("omi.toml")
    await omi("config", "set", "api_base", "http://127.0.0.1:9")
    await omi("config", "profile", "use", "work")
    assert len(await omi("config", "profile", "list")) == 2
    await omi("config", "profile", "delete", "work", "--yes")
    assert (await omi("auth", "logout"))["logged_out"]


def test_what_is_left_out_is_named_in_the_readme_with_its_reason() -> None:
    text = README.read_text()
    for command, reason in LEFT_OUT.items():
        assert f"| `omi {' '.join(command)}` | {reason} |" in text
