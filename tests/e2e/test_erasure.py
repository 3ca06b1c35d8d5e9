"""A user is erased beside a running server, and does not come back. A real process, real time."""

import json
import subprocess
import sys
from pathlib import Path

import trio

from tests.e2e.process import ROOT, Process, started
from tests.e2e.running import hear_all, talking
from tests.e2e.test_restart import SHORT, completed, frames
from tests.patience import PATIENCE

UID, NAME, SAID = "zaphod-8f31", "Trillian-77c2", "gargleblaster"
"""What must be found nowhere afterwards."""


async def listen_user(data_dir: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """`listen user`, on the data directory of a server that runs."""
    main = "from engine.cli import main; main()"
    command = [sys.executable, "-c", main, "user", *arguments, "--data-dir", str(data_dir)]
    with trio.fail_after(PATIENCE):
        return await trio.run_process(
            command, cwd=ROOT, capture_stdout=True, capture_stderr=True, check=False
        )


def places(folder: Path) -> list[str]:
    """The files in which something of the user's is, in capitals or not."""
    wanted = [word.lower().encode() for word in (UID, NAME, SAID, UID.encode().hex())]
    return [
        str(path)
        for path in folder.rglob("*")
        if path.is_file() and any(word in path.read_bytes().lower() for word in wanted)
    ]


async def live(server: Process) -> None:
    """Leave something of every kind behind that a server makes by itself."""
    http = server._http
    as_user = {"Authorization": f"Bearer dev:{UID}"}
    for method, path, body in [
        ("PATCH", "/v1/users/profile", {"name": NAME}),
        ("POST", "/v1/dev/user/memories", {"content": f"Drinks a {SAID}."}),
        ("POST", "/v1/action-items", {"description": f"Mix a {SAID}."}),
        ("POST", "/v1/dev/keys", {"name": f"{NAME}'s"}),
        (
            "POST",
            "/v1/dev/user/conversations",
            {"text": f"I promise to bring a {SAID} tomorrow. {NAME} asked me for one."},
        ),
    ]:
        answer = await http.request(method, path, json=body, headers=as_user)
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text}"
    async with talking(server.url, UID, conversation_timeout=2) as (client, shown):
        await hear_all(client, shown, frames(2.0))
    await completed(server, UID, count=2)
    await server.log.until("session.ended")  # who has a live session is not erased


async def test_an_erased_user_is_nowhere_and_stays_away(tmp_path: Path) -> None:
    async with started(tmp_path, **SHORT) as server:
        async with talking(server.url, "ben") as (client, shown):
            await hear_all(client, shown, frames(2.0))
            await live(server)
            assert places(tmp_path)
            told = json.loads((await listen_user(tmp_path, "export", UID)).stdout)
            assert len(told["conversations"]) == 2
            done = await listen_user(tmp_path, "delete", UID, "--yes")
            assert done.returncode == 0, done.stderr
            assert places(tmp_path) == []
        async with talking(server.url, UID) as (client, shown):
            await hear_all(client, shown, frames(1.0))
            refused = await listen_user(tmp_path, "delete", UID, "--yes")
            assert refused.returncode == 1
            assert f"{UID} has a live session" in refused.stderr.decode()
        assert await server.terminate() == 0
    assert places(tmp_path)
    done = await listen_user(tmp_path, "delete", UID, "--yes")
    assert done.returncode == 0, done.stderr
    async with started(tmp_path, **SHORT) as server:
        assert len(await server.conversations("ben")) == 1
        assert await server.conversations(UID) == []
        assert await server.terminate() == 0
    assert places(tmp_path) == []
