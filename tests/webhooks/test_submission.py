"""What an app says of itself: what goes together, and the addresses that a user is shown."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.webhooks.submission import (
    AuthStep,
    NewApp,
    absolute_tools,
    asked_at,
    linked,
    opened,
    text_for,
    wrong_with,
)

INTEGRATION = {"triggers_on": "memory_creation", "webhook_url": "https://app.example/hook"}
TOOL = {"name": "post", "description": "Posts.", "endpoint": "https://app.example/post"}


def app(**said: Any) -> NewApp:
    whole = {"name": "Notes", "description": "Takes notes.", "capabilities": ["external_integration"], **said}
    return msgspec.convert({"external_integration": INTEGRATION, **whole}, NewApp)


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"external_integration": {}},
        {"external_integration": {"setup_completed_url": "", "auth_steps": None, "actions": []}},
        {"capabilities": ["memories"], "memory_prompt": "Sum it up.", "external_integration": None},
        {"capabilities": ["chat", "external_integration"], "chat_prompt": "Be kind.", "chat_tools": [TOOL]},
        {"capabilities": ["proactive_notification"], "proactive_notification": {"scopes": ["user_name"]}},
    ],
)
def test_what_goes_together_is_taken(said: dict[str, Any]) -> None:
    assert wrong_with(app(**said)) is None


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"capabilities": ["memories"]}, "memory_prompt"),
        ({"capabilities": ["memories"], "memory_prompt": " "}, "memory_prompt"),
        ({"capabilities": ["chat"], "chat_prompt": ""}, "chat_prompt"),
        ({"external_integration": None}, "external_integration"),
        ({"external_integration": {"triggers_on": "audio_bytes"}}, "webhook_url"),
        ({"external_integration": {"webhook_url": "ftp://app.example"}}, "webhook_url"),
        ({"external_integration": {"setup_completed_url": "app.example"}}, "setup_completed_url"),
        (
            {"external_integration": {"auth_steps": [{"name": "Sign in", "url": "javascript:x"}]}},
            "auth_steps",
        ),
        ({"capabilities": ["proactive_notification"], "chat_tools": [TOOL]}, "chat_tools"),
        ({"chat_tools": [TOOL, TOOL]}, "chat_tools"),
        ({"chat_tools": [{**TOOL, "endpoint": "/post"}]}, "endpoint"),
        ({"chat_tools": [{**TOOL, "parameters": {"x": "y" * 9000}}]}, "parameters"),
        ({"image": "data:text/html,x"}, "image"),
    ],
)
def test_what_does_not_is_refused_by_its_name(said: dict[str, Any], field: str) -> None:
    assert field in (wrong_with(app(**said)) or "")


@pytest.mark.parametrize(
    "said",
    [
        {"capabilities": []},
        {"capabilities": ["fly"]},
        {"name": " "},
        {"external_integration": {"triggers_on": "day_summary"}},
        {"chat_tools": [{**TOOL, "name": "two words"}]},
        {"chat_tools": [{**TOOL, "method": "DELETE"}]},
    ],
)
def test_what_is_none_of_it_cannot_even_be_read(said: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        app(**said)


def test_a_tool_at_a_path_is_under_the_apps_home() -> None:
    said = app(
        external_integration={"app_home_url": "https://app.example/home/"},
        chat_tools=[
            {**TOOL, "endpoint": "/post"},
            {**TOOL, "name": "b"},
            {**TOOL, "name": "c", "endpoint": "//x"},
        ],
    )
    endpoints = [tool.endpoint for tool in absolute_tools(said).chat_tools]
    assert endpoints == ["https://app.example/home/post", "https://app.example/post", "//x"]


def test_what_the_server_itself_asks_is_known() -> None:
    said = app(external_integration={**INTEGRATION, "setup_completed_url": ""}, chat_tools=[TOOL])
    assert asked_at(said) == ["https://app.example/hook", "https://app.example/post"]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://a.example/x", "https://a.example/x?uid=me"),
        ("https://a.example/x?a=1&b=%20", "https://a.example/x?a=1&b=%20&uid=me"),
        ("https://a.example/x?uid=other&a=1", "https://a.example/x?a=1&uid=me"),
        ("https://a.example/x#top", "https://a.example/x?uid=me#top"),
    ],
)
def test_a_users_id_is_merged_into_a_query(url: str, expected: str) -> None:
    assert opened(url, "me") == expected
    assert linked([AuthStep("Sign in", url)], "me") == [AuthStep("Sign in", expected)]


@given(st.text(min_size=1, max_size=50))
def test_any_id_comes_back_from_the_query_as_it_was(uid: str) -> None:
    query = parse_qs(urlsplit(opened("https://a.example/?a=1", uid)).query, keep_blank_values=True)
    assert query == {"a": ["1"], "uid": [uid]}


def test_every_link_of_a_text_carries_the_id_and_nothing_else_changes() -> None:
    text = (
        "1. Open [this](https://a.example/in?x=1), then <https://b.example>.\n2. See `http://c.example/#d`!"
    )
    assert text_for(text, "me") == (
        "1. Open [this](https://a.example/in?x=1&uid=me), then <https://b.example?uid=me>.\n"
        "2. See `http://c.example/?uid=me#d`!"
    )


@given(st.text(max_size=200))
def test_any_text_can_be_shown(text: str) -> None:
    shown = text_for(text, "me")
    assert shown == text or "uid=me" in shown
