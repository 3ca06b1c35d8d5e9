"""The extractor that needs no key and no model: rules over sentences. `lifecycle` may come in."""

from engine.conversation.extract.embedded import EmbeddedExtractor, extract

__all__ = ["EmbeddedExtractor", "extract"]
