"""`listen user`."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
import trio

from engine.cli.status import FAILED
from engine.server.machine import hold_data_dir
from engine.store import COMPLETED, IN_PROGRESS, ConversationRow, Store
from tests.cli.conftest import Listen
from tests.store.making import changed, conversation, segment


def keep(data_dir: Path, *rows: ConversationRow) -> None:
    async def add() -> None:
        store = await Store.open(data_dir, trio.to_thread.run_sync)
        for row in rows:
            await store.conversations.create(row)
            said = segment(text=f"{row.uid} likes whales.")
            await store.conversations.apply([changed(said, id=row.id, uid=row.uid)])
        await store.close()

    trio.run(add)


@pytest.fixture
def kept(data_dir: Path) -> None:
    keep(data_dir, conversation("c1", "ada", status=COMPLETED), conversation("c2", "ben", status=COMPLETED))


@pytest.mark.usefixtures("kept")
def test_what_is_kept_of_a_user_is_shown_by_kind(listen: Listen) -> None:
    assert json.loads(listen("user", "show", "ada", "--json").out) == {"conversations": 1, "segments": 1}
    lines = listen("user", "show", "ada").out.splitlines()
    assert [line.split() for line in lines[1:]] == [["conversations", "1"], ["segments", "1"]]
    assert "Nothing is kept of 'eve'" in listen("user", "show", "eve").out


@pytest.mark.usefixtures("kept")
def test_all_of_a_user_is_written_to_a_file_for_the_operator_alone(listen: Listen, tmp_path: Path) -> None:
    out = tmp_path / "ada.json"
    assert listen("user", "export", "ada", "--out", out).status == 0
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    told = json.loads(out.read_text())
    assert told["conversations"][0]["transcript_segments"][0]["text"] == "ada likes whales."
    assert "ben" not in out.read_text()


@pytest.mark.usefixtures("kept")
def test_of_an_unknown_user_nothing_is_exported(listen: Listen, tmp_path: Path) -> None:
    outcome = listen("user", "export", "eve", "--out", tmp_path / "eve.json")
    assert outcome.status == FAILED
    assert "nothing is kept of 'eve'" in outcome.err
    assert not (tmp_path / "eve.json").exists()


def test_what_is_locked_of_a_user_is_unlocked(listen: Listen, data_dir: Path) -> None:
    keep(data_dir, conversation("c1", "ada", status=COMPLETED, is_locked=True))
    assert "Unlocked 1 conversation of 'ada'." in listen("user", "unlock", "ada").out
    assert "Unlocked 0 conversations of 'ada'." in listen("user", "unlock", "ada").out


@pytest.mark.usefixtures("kept")
def test_a_deleted_user_is_in_no_file_of_the_data_directory(listen: Listen, data_dir: Path) -> None:
    outcome = listen("user", "delete", "ada", "--yes")
    assert outcome.out.strip() == "Deleted 2 rows, 0 journals and 0 files of 'ada'."
    files = [path.read_bytes() for path in data_dir.rglob("*") if path.is_file()]
    assert not [data for data in files if b"ada" in data]
    assert [data for data in files if b"ben likes whales." in data]
    assert "Nothing was kept of 'ada'" in listen("user", "delete", "ada", "--yes").out


@pytest.mark.usefixtures("kept")
def test_without_yes_nothing_is_deleted_unasked(listen: Listen) -> None:
    assert listen("user", "delete", "ada").status == FAILED
    assert json.loads(listen("user", "show", "ada", "--json").out)


def test_beside_a_server_a_user_in_a_conversation_is_left_alone(listen: Listen, data_dir: Path) -> None:
    keep(data_dir, conversation("c1", "ada", status=IN_PROGRESS))
    with hold_data_dir(data_dir):
        outcome = listen("user", "delete", "ada", "--yes")
    assert outcome.status == FAILED
    assert "ada is in a conversation that has not ended" in outcome.err
    assert listen("user", "delete", "ada", "--yes").status == 0


def test_damaged_journals_are_named_to_be_looked_at(listen: Listen, data_dir: Path) -> None:
    damaged = data_dir / "journal" / "x.journal.corrupt"
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"ada")
    outcome = listen("user", "delete", "ada", "--yes")
    assert outcome.status == FAILED
    assert str(damaged) in outcome.err
