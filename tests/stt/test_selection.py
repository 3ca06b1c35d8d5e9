"""Tests of choosing vendors for a session."""

import msgspec
import pytest

from engine.stt.languages import ENGLISH, TABLES
from engine.stt.selection import Selection, UnsupportedLanguage, accepted_languages, choose

PROVIDERS = {
    "dg-nova-3": "deepgram",
    "dg-nova-2": "deepgram",
    "soniox-stt-rt": "soniox",
    "speechmatics-rt": "speechmatics",
    "local-whisper": "local",
}
ORDER = ("dg-nova-3", "soniox-stt-rt", "speechmatics-rt", "dg-nova-2", "local-whisper")


class Speaker(msgspec.Struct, frozen=True):
    """A vendor as selection sees it."""

    name: str
    english_only: bool = False

    @property
    def provider(self) -> str:
        return PROVIDERS[self.name]

    def speaks(self, language: str) -> bool:
        table = ENGLISH if self.english_only else TABLES[self.name]
        return table.match(language) is not None


ALL = tuple(Speaker(name) for name in reversed(ORDER))
TINY = Speaker("local-whisper", english_only=True)


def test_the_operators_order_decides() -> None:
    assert choose(ORDER, ALL, "en") == Selection(ORDER)
    assert choose(("local-whisper", "dg-nova-3"), ALL, "en").vendors == ("local-whisper", "dg-nova-3")


def test_vendors_that_the_order_does_not_name_are_not_used() -> None:
    assert choose(("local-whisper",), ALL, "en").vendors == ("local-whisper",)


def test_several_languages_prefer_soniox() -> None:
    for language in ("multi", "auto"):
        assert choose(ORDER, ALL, language).vendors[0] == "soniox-stt-rt"


def test_the_service_asked_for_comes_first_even_for_several_languages() -> None:
    assert choose(ORDER, ALL, "en", "speechmatics").vendors[0] == "speechmatics-rt"
    assert choose(ORDER, ALL, "multi", "deepgram").vendors[:3] == ("dg-nova-3", "dg-nova-2", "soniox-stt-rt")
    assert choose(ORDER, ALL, "en", "local").notice is None


def test_a_service_without_a_key_gives_a_notice_and_the_normal_order() -> None:
    selection = choose(ORDER, [TINY], "en", "deepgram")
    assert selection.vendors == ("local-whisper",)
    assert selection.notice == "stt_service 'deepgram' is not configured here; using 'local-whisper'"


def test_a_service_that_does_not_speak_the_language_gives_a_notice_too() -> None:
    selection = choose(ORDER, ALL, "sw", "deepgram")
    assert selection.vendors[0] == "soniox-stt-rt" or selection.vendors[0] == "speechmatics-rt"
    assert selection.notice is not None
    assert "'deepgram' does not speak 'sw'" in selection.notice


def test_vendors_that_do_not_speak_the_language_are_passed_over() -> None:
    assert "speechmatics-rt" not in choose(ORDER, ALL, "multi").vendors
    assert "dg-nova-2" not in choose(ORDER, ALL, "ar").vendors


def test_a_language_nobody_speaks_is_refused_naming_what_is_accepted() -> None:
    with pytest.raises(
        UnsupportedLanguage, match=r"'de' is not spoken .* accepted: en; the operator"
    ) as refusal:
        choose(ORDER, [TINY], "de")
    assert refusal.value.language == "de"
    assert refusal.value.accepted == ("en",)


@pytest.mark.parametrize("language", ["multi", "auto"])
def test_an_english_model_does_not_take_several_languages(language: str) -> None:
    with pytest.raises(UnsupportedLanguage, match=r"local.model = 'base'"):
        choose(ORDER, [TINY], language)


def test_no_vendor_at_all_is_said_plainly() -> None:
    with pytest.raises(UnsupportedLanguage, match="no vendor is configured"):
        choose(ORDER, [], "en")


def test_accepted_languages_leave_out_regions_their_base_covers() -> None:
    accepted = accepted_languages([Speaker("dg-nova-3")])
    assert "en" in accepted
    assert "en-us" not in accepted
    assert "multi" in accepted
