"""Tests of the language tables."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.stt.languages import (
    DG_NOVA_2,
    DG_NOVA_3,
    ENGLISH,
    KNOWN,
    SONIOX,
    SPEECHMATICS,
    TABLES,
    WHISPER,
    LanguageTable,
)


@pytest.mark.parametrize(
    ("table", "language", "code"),
    [
        (DG_NOVA_3, "en", "en"),
        (DG_NOVA_3, "pt-BR", "pt-BR"),
        (DG_NOVA_3, "pt-br", "pt-BR"),
        (DG_NOVA_3, "de-DE", "de"),
        (DG_NOVA_3, "zh-Hant-TW", "zh-Hant"),
        (DG_NOVA_3, "el", "el"),
        (DG_NOVA_3, "hi", "hi"),
        (DG_NOVA_3, "sw", None),
        (DG_NOVA_2, "ar", None),
        (SONIOX, "en-US", "en"),
        (SONIOX, "fil", "tl"),
        (SPEECHMATICS, "zh", "cmn"),
        (SPEECHMATICS, "zh-TW", "cmn"),
        (SPEECHMATICS, "zh-HK", "yue"),
        (SPEECHMATICS, "nb-NO", "no"),
        (WHISPER, "nn", "nn"),
        (WHISPER, "jv", "jw"),
        (ENGLISH, "en-GB", "en"),
        (ENGLISH, "de", None),
    ],
)
def test_a_tag_is_matched_to_the_vendors_own_code(
    table: LanguageTable, language: str, code: str | None
) -> None:
    assert table.match(language) == code


def test_several_languages_are_served_by_those_who_detect_them() -> None:
    serving = {name for name, table in TABLES.items() if table.match("multi")}
    assert serving == {"dg-nova-3", "dg-nova-2", "soniox-stt-rt", "local-whisper"}
    assert all(table.match("auto") == table.match("multi") for table in TABLES.values())
    assert ENGLISH.match("multi") is None


def test_the_tables_have_the_published_numbers_of_languages() -> None:
    assert len(SONIOX.codes) == 60 + 1
    assert len(WHISPER.codes) == 99 + 1


@given(st.sampled_from(KNOWN), st.sampled_from(sorted(TABLES)))
def test_english_is_never_what_another_language_is_served_as(tag: str, name: str) -> None:
    code = TABLES[name].match(tag)
    if code is not None and code.lower().split("-")[0] == "en":
        assert tag.split("-")[0] == "en"


@given(st.text(max_size=12))
def test_any_text_is_matched_or_not_without_failing(text: str) -> None:
    for table in TABLES.values():
        code = table.match(text)
        assert code is None or code in table.codes.values()
