"""Which class a processor's name stands for."""

from collections.abc import Callable, Sequence
from importlib import import_module
from types import MappingProxyType

from engine.config import ConfigError, Problem
from engine.webhooks.receiver.processors.ports import Processor

__all__ = ["BUILT_IN", "load_processors"]

BUILT_IN = MappingProxyType(
    {
        "vad": "engine.webhooks.receiver.processors.vad:VoiceActivity",
        "level": "engine.webhooks.receiver.processors.level:Level",
        "spectrogram": "engine.webhooks.receiver.processors.spectrogram:Spectrogram",
        "embedding": "engine.webhooks.receiver.processors.embedding:VoiceEmbedding",
        "tone": "engine.webhooks.receiver.processors.tone:Tone",
    }
)
KEY = "receiver.processors"


def load_processors(names: Sequence[str]) -> dict[str, Callable[[], Processor]]:
    """What makes each of them, in their order. Blocks: modules are imported, and one of each is made.

    Raises `ConfigError` naming each that cannot be had, and why.
    """
    found: dict[str, Callable[[], Processor]] = {}
    problems = []
    for name in names:
        try:
            if name in found:
                raise ValueError("is named twice")
            found[name] = _load(name)
        except Exception as error:  # noqa: BLE001 - an operator's module may raise anything
            problems.append(Problem(KEY, repr(name), f"{_accepted(error)}", "configuration"))
    if problems:
        raise ConfigError(problems)
    return found


def _load(name: str) -> Callable[[], Processor]:
    module, colon, attribute = BUILT_IN.get(name, name).partition(":")
    if not colon:
        raise ValueError(f"must be one of {', '.join(BUILT_IN)}, or package.module:Class")
    made: Callable[[], Processor] = getattr(import_module(module), attribute)
    if not callable(getattr(made(), "process", None)):
        raise TypeError(f"{name} must have a method process(piece, earlier)")
    return made


def _accepted(error: Exception) -> str:
    return str(error) if isinstance(error, ValueError) else f"cannot be used: {type(error).__name__}: {error}"
