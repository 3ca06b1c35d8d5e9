"""Which language a text is in."""

import pytest
import trio

from engine.conversation.language import CACHED, Languages, base_language

TEXTS = {
    "The boat leaves on Saturday at nine.": "en",
    "Das Boot fährt am Samstag um neun Uhr ab.": "de",
    "Je ne sais pas, peut-être demain.": "fr",
    "¿Dónde está la estación de trenes?": "es",
    "我们明天去吧": "zh",
}


async def test_sentences_are_detected_and_words_alone_are_not_certain() -> None:
    languages = Languages(trio.to_thread.run_sync)
    assert await languages.detect(list(TEXTS)) == list(TEXTS.values())
    assert await languages.detect(["Yes.", "Oui.", ""]) == [None, None, None]


async def test_what_was_detected_is_known_and_no_text_is_kept() -> None:
    languages = Languages(trio.to_thread.run_sync)
    for _ in range(3):
        await languages.detect(["The boat leaves on Saturday.", "The boat leaves on Saturday."])
    statistics = languages.statistics()
    assert (statistics.asked, statistics.known) == (6, 5)
    assert "Saturday" not in repr(vars(languages))


async def test_the_cache_is_bounded() -> None:
    languages = Languages(trio.to_thread.run_sync)
    languages._cache.update((bytes([n % 256, n // 256]), "en") for n in range(CACHED))
    assert await languages.detect(["The boat leaves on Saturday."]) == ["en"]
    assert len(languages._cache) == CACHED


@pytest.mark.parametrize(("tag", "base"), [("pt-BR", "pt"), ("EN", "en"), ("de", "de")])
def test_the_base_of_a_tag(tag: str, base: str) -> None:
    assert base_language(tag) == base
