"""URLs as users write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.webhooks.urls import split_seconds, with_query


@pytest.mark.parametrize(
    ("setting", "parts"),
    [
        ("https://a.example/audio,10", ("https://a.example/audio", 10)),
        ("https://a.example/audio", ("https://a.example/audio", 5)),
        ("https://a.example/audio,", ("https://a.example/audio", 5)),
        ("https://a.example/audio, 7 ", ("https://a.example/audio", 7)),
        ("https://a.example/audio,0", ("https://a.example/audio", 1)),
        ("https://a.example/audio,100000", ("https://a.example/audio", 300)),
        ("https://a.example/audio,ten", ("https://a.example/audio,ten", 5)),
        ("https://a.example/a,b,3", ("https://a.example/a,b,3", 5)),
        (",", ("", 5)),
        ("", ("", 5)),
    ],
)
def test_seconds_stand_behind_the_only_comma(setting: str, parts: tuple[str, int]) -> None:
    assert split_seconds(setting) == parts


@pytest.mark.parametrize(
    ("url", "merged"),
    [
        ("https://a.example/hook", "https://a.example/hook?sample_rate=16000&uid=u+1"),
        ("https://a.example/hook?", "https://a.example/hook?sample_rate=16000&uid=u+1"),
        (
            "https://a.example/hook?token=x%2By",
            "https://a.example/hook?token=x%2By&sample_rate=16000&uid=u+1",
        ),
        ("https://a.example/hook?uid=other&a=1", "https://a.example/hook?a=1&sample_rate=16000&uid=u+1"),
        ("https://a.example/hook?a=1#part", "https://a.example/hook?a=1&sample_rate=16000&uid=u+1"),
        ("https://a.example", "https://a.example?sample_rate=16000&uid=u+1"),
    ],
)
def test_a_query_is_merged_not_appended(url: str, merged: str) -> None:
    assert with_query(url, {"sample_rate": "16000", "uid": "u 1"}) == merged


@given(st.text())
def test_no_setting_breaks_it(setting: str) -> None:
    url, seconds = split_seconds(setting)
    assert 1 <= seconds <= 300
    assert url in setting
