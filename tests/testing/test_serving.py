"""A stand-in is served with the configuration pointed at it; scripts are read or refused by name."""

from pathlib import Path

import pytest

from engine.config import Config
from engine.stt.vendors import configured_vendors
from engine.testing.scripted import counted_words
from engine.testing.serving import STAND_INS, read_script, stand_in
from engine.transcript.words import Word


@pytest.mark.parametrize("name", STAND_INS)
async def test_the_stand_in_is_the_only_vendor(name: str) -> None:
    async with stand_in(name, counted_words(), Config()) as config:
        [vendor] = configured_vendors(config)
    assert vendor.provider == name


def test_a_script_is_read_in_seconds(tmp_path: Path) -> None:
    path = tmp_path / "script.json"
    path.write_text('[{"text": "Hi.", "start": 0.5, "end": 1, "speaker": 1}]')
    script = read_script(path)
    assert script(0) == Word("Hi.", 8000, 16_000, 1)
    assert script(1) is None
    assert read_script(None)(3) == counted_words()(3)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        '{"text": "a"}',
        '[{"text": "a", "start": 1, "end": 1}]',
        '[{"text": "", "start": 0, "end": 1}]',
        '[{"text": "a", "start": 1, "end": 2}, {"text": "b", "start": 1.5, "end": 3}]',
    ],
)
def test_a_script_that_is_none_is_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "script.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"script\.json: "):
        read_script(path)
