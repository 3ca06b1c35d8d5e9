"""Tests of `listen profile`: over a real store, with real speech."""

import json
from pathlib import Path

import pytest

from engine.cli.app import run as listen

AUDIO = Path(__file__).parent.parent / "audio"


def run(*arguments: str, data_dir: Path) -> int:
    return listen(["profile", *arguments, "--data-dir", str(data_dir)])


def test_a_voice_is_enrolled_shown_and_forgotten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("enroll", str(AUDIO / "austen-0870.wav"), "--uid", "ada", data_dir=tmp_path) == 0
    assert "s of speech" in capsys.readouterr().out
    assert run("show", "--uid", "ada", "--json", data_dir=tmp_path) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["id"] == "profile"
    assert run("enroll", str(AUDIO / "austen-0890.wav"), "--uid", "ada", "--add", data_dir=tmp_path) == 0
    capsys.readouterr()
    assert run("show", "--uid", "ada", "--json", data_dir=tmp_path) == 0
    assert [one["id"] == "profile" for one in json.loads(capsys.readouterr().out)] == [True, False]
    assert run("delete", "--uid", "ada", data_dir=tmp_path) == 0
    assert "Forgot 2" in capsys.readouterr().out
    assert run("show", "--uid", "ada", data_dir=tmp_path) == 0
    assert "has not enrolled" in capsys.readouterr().out


@pytest.mark.parametrize("file", ["austen-0880.wav", "phone-two-speakers.rttm", "nothing.wav"])
def test_what_will_not_do_is_refused_in_words(
    file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("enroll", str(AUDIO / file), "--uid", "ada", data_dir=tmp_path) == 2
    assert file in capsys.readouterr().err
