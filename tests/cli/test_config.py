"""`listen config`."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from engine.cli.status import USAGE
from engine.config import config_keys, load_config
from tests.cli.conftest import Listen


def test_the_example_names_every_key_with_default_and_meaning_and_changes_nothing(
    listen: Listen, tmp_path: Path
) -> None:
    text = listen("config", "example").out
    for key in config_keys().values():
        assert f"#{key.name.rpartition('.')[2]} = " in text
        assert key.doc in text
        assert key.environment in text
    path = tmp_path / "listen.toml"
    path.write_text(text)
    assert load_config(path, {}) == load_config(None, {})


def test_the_example_uncommented_is_read_back_as_the_defaults(listen: Listen, tmp_path: Path) -> None:
    path = tmp_path / "listen.toml"
    path.write_text(re.sub(r"(?m)^#(\w+ = )", r"\1", listen("config", "example").out))
    assert load_config(path, {}) == load_config(None, {})


def test_show_tells_where_each_value_came_from(
    listen: Listen, tmp_path: Path, environment: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "listen.toml"
    path.write_text("port = 9000\n[local]\nvocabulary = ['Omi']")
    environment.setenv("LISTEN_LIMITS_SESSIONS", "7")
    shown = json.loads(listen("config", "show", "--config", path, "--json").out)
    assert shown.keys() == config_keys().keys()
    assert shown["port"] == {"value": 9000, "source": f"file {path}"}
    assert shown["local.vocabulary"] == {"value": ["Omi"], "source": f"file {path}"}
    assert shown["limits.sessions"] == {"value": 7, "source": "environment LISTEN_LIMITS_SESSIONS"}
    assert shown["log_level"] == {"value": "info", "source": "default"}
    line = next(
        line for line in listen("config", "show", "--config", path).out.splitlines() if line[:5] == "port "
    )
    assert line.split(None, 2) == ["port", "9000", f"file {path}"]


def test_check_says_that_all_is_right(listen: Listen, tmp_path: Path) -> None:
    path = tmp_path / "listen.toml"
    path.write_text("port = 9000")
    outcome = listen("config", "check", path)
    assert outcome.status == 0
    assert outcome.out == f"The configuration is right: 2 values given by {path} and the environment.\n"


def test_check_lists_every_mistake_and_is_status_2(listen: Listen, tmp_path: Path) -> None:
    path = tmp_path / "listen.toml"
    path.write_text("prt = 9000\nlog_level = 'loud'")
    outcome = listen("config", "check", path)
    assert outcome.status == USAGE
    assert "did you mean port?" in outcome.err
    assert "log_level = 'loud'" in outcome.err
    assert "Traceback" not in outcome.err
