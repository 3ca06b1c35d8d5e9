"""Log lines."""

import io
import json
import logging
from typing import Any

import pytest
import structlog

from engine.log import WITHHELD, configure_logging, get_logger, session_context

SECRET = "the words somebody said"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_off_a_terminal_each_line_is_a_json_object() -> None:
    stream = io.StringIO()
    configure_logging("auto", "info", stream)
    get_logger("engine.test").info("session.began", codec="opus")
    (line,) = lines(stream)
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "session.began", "codec": "opus", "level": "info", "logger": "engine.test"}


@pytest.mark.parametrize(("format", "stream"), [("auto", Terminal()), ("console", io.StringIO())])
def test_on_a_terminal_lines_are_for_people(format: Any, stream: io.StringIO) -> None:
    configure_logging(format, "info", stream)
    get_logger("engine.test").info("session.began", codec="opus")
    assert "session.began" in stream.getvalue()
    with pytest.raises(json.JSONDecodeError):
        json.loads(stream.getvalue())


def test_lines_of_libraries_and_of_bare_structlog_look_the_same() -> None:
    stream = io.StringIO()
    configure_logging("json", "info", stream)
    logging.getLogger("hypercorn.error").warning("odd %s", "request")
    structlog.get_logger("engine.test").info("bare")
    assert [line["event"] for line in lines(stream)] == ["odd request", "bare"]


def test_the_level_decides_what_is_written() -> None:
    stream = io.StringIO()
    configure_logging("json", "warning", stream)
    logger = get_logger("engine.test")
    logger.info("quiet")
    logger.warning("loud")
    assert [line["event"] for line in lines(stream)] == ["loud"]


def test_setting_it_up_again_replaces_what_was() -> None:
    first, second = io.StringIO(), io.StringIO()
    configure_logging("json", "info", first)
    logger = get_logger("engine.test")
    logger.info("one")
    configure_logging("json", "info", second)
    logger.info("two")
    assert [line["event"] for line in lines(first)] == ["one"]
    assert [line["event"] for line in lines(second)] == ["two"]


def test_every_line_inside_a_session_carries_its_id() -> None:
    stream = io.StringIO()
    configure_logging("json", "info", stream)
    with session_context("abc"):
        get_logger("engine.test").info("inside")
        logging.getLogger("library").warning("inside too")
    get_logger("engine.test").info("outside")
    assert [line.get("session") for line in lines(stream)] == ["abc", "abc", None]


@pytest.mark.parametrize("format", ["json", "console"])
def test_what_was_said_and_who_may_say_it_is_not_logged(format: Any) -> None:
    stream = io.StringIO()
    configure_logging(format, "debug", stream)
    logger = get_logger("engine.test")
    for key in WITHHELD:
        logger.info("event", **{key: SECRET})
    _fail(logger, SECRET)
    logger.info("with a key", detail="refused omi_dev_abcDEF-123_x yesterday")
    written = stream.getvalue()
    assert SECRET not in written
    assert "abcDEF" not in written
    assert "ValueError" in written
    assert "refused omi_dev_[withheld] yesterday" in written


def _fail(logger: Any, heard: str) -> None:
    try:
        raise ValueError(len(heard))
    except ValueError:
        logger.exception("failed")


def test_what_cannot_be_encoded_is_written_as_text() -> None:
    stream = io.StringIO()
    configure_logging("json", "info", stream)
    get_logger("engine.test").info("odd", value=object)
    (line,) = lines(stream)
    assert line["value"] == "<class 'object'>"
