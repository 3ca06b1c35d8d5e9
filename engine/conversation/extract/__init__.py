"""The extractor that needs no key and no model: rules over sentences. `lifecycle` and `chat` may come in."""

from engine.conversation.extract._english import FUNCTION_WORDS
from engine.conversation.extract.embedded import EmbeddedExtractor, extract

__all__ = ["FUNCTION_WORDS", "EmbeddedExtractor", "extract"]
