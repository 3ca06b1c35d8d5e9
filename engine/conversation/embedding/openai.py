"""Embeddings from a server of OpenAI's protocol (`/embeddings`), checked before they are believed."""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine._config_models import Embedding
from engine.conversation.llm.failures import failure_inside
from engine.conversation.llm.model_server import ModelServer
from engine.conversation.llm.port import LlmUnavailable

__all__ = ["OpenAiEmbedder"]

LONGEST = 8000
"""Characters of a text that are sent: about the 8,191 tokens that OpenAI's models take in any script."""


class _Vector(msgspec.Struct):
    index: int
    embedding: list[float]


class _Usage(msgspec.Struct):
    prompt_tokens: int = 0


class _Answer(msgspec.Struct):
    data: list[_Vector]
    usage: _Usage | None = None


class OpenAiEmbedder:
    """Implements `Embedder` on a `ModelServer`."""

    def __init__(self, server: ModelServer, settings: Embedding) -> None:
        self.server = server
        self._settings = settings

    @property
    def model(self) -> str:
        """Its name, which is kept with each vector."""
        return self._settings.model

    @property
    def dimensions(self) -> int:
        """Of its vectors."""
        return self._settings.dimensions

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See `Embedder.embed`. Asks for at most `batch_limit` texts at a time."""
        size = self._settings.batch_limit
        vectors = np.empty((len(texts), self.dimensions), np.float32)
        for start in range(0, len(texts), size):
            vectors[start : start + size] = await self._batch(texts[start : start + size])
        return vectors

    async def _batch(self, texts: Sequence[str]) -> NDArray[np.float32]:
        # An empty text is refused by OpenAI and would make the whole batch fail.
        body = {
            "model": self.model,
            "input": [text[:LONGEST] or " " for text in texts],
            "encoding_format": "float",
        }
        return await self.server.post(
            "embeddings", "/embeddings", body, lambda answer: self._vectors(answer, len(texts))
        )

    def _vectors(self, body: bytes, count: int) -> NDArray[np.float32]:
        """The rows of an answer in the order of the texts, brought to length 1."""
        try:
            answer = msgspec.json.decode(body, type=_Answer)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            said = failure_inside(body)
            raise said or LlmUnavailable("an answer that is no list of embeddings", "broken") from error
        if sorted(vector.index for vector in answer.data) != list(range(count)):
            raise LlmUnavailable(f"{len(answer.data)} embeddings for {count} texts, or of others", "broken")
        lengths = {len(vector.embedding) for vector in answer.data}
        if lengths != {self.dimensions}:
            text = f"embeddings of {sorted(lengths)} numbers; embedding.dimensions is {self.dimensions}"
            raise LlmUnavailable(text, "broken")
        vectors = np.empty((count, self.dimensions), np.float32)
        with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused below
            for vector in answer.data:
                vectors[vector.index] = vector.embedding
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not np.isfinite(norms).all() or not norms.all():
            raise LlmUnavailable("an embedding that is zero or not finite", "broken")
        self.server.meter.tokens(answer.usage.prompt_tokens if answer.usage else 0, 0)
        unit: NDArray[np.float32] = vectors / norms
        return unit
