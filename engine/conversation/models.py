"""Opens the models that the configuration names, for as long as a process runs.

`Models` is what others hold of them; until its `run` has started, and without a configuration for more, conversations
are read by rules and nothing is searched by meaning.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import trio
from msgspec.structs import replace

from engine._config_models import Embedding, Llm
from engine.conversation.embedding.minilm import MiniLm
from engine.conversation.embedding.openai import OpenAiEmbedder
from engine.conversation.embedding.port import Embedder, EmbedderUnavailable
from engine.conversation.extract import EmbeddedExtractor
from engine.conversation.llm.extract import LlmExtractor
from engine.conversation.llm.metrics import LlmMeter
from engine.conversation.llm.model_server import open_model_server
from engine.conversation.llm.openai import OpenAiLlm, is_configured
from engine.conversation.llm.port import Llm as LlmPort
from engine.conversation.llm.short import ShortExtractor
from engine.conversation.structured import Extractor
from engine.log import get_logger
from engine.off_loop import OffLoop, worker_threads

__all__ = ["Models", "extractor_for", "open_embedder", "open_llm"]

log = get_logger(__name__)


class Models:
    """The models of one process.

    `llm`, `vision` (which sees) and `embedder` are None when there is none; `plain` extracts without any, `extractor`
    as well as can be.
    """

    def __init__(self, llm: Llm, embedding: Embedding, off_loop: OffLoop, meter: LlmMeter) -> None:
        """`off_loop`: where conversations are read by rules."""
        self._llm_settings = llm
        self._embedding = embedding
        self._off_loop = off_loop
        self._meter = meter
        self.llm: LlmPort | None = None
        self.vision: LlmPort | None = None
        self.embedder: Embedder | None = None
        self.plain: Extractor = EmbeddedExtractor(off_loop)

    @property
    def extractor(self) -> Extractor:
        """That which asks the language model, or else the plain one."""
        if self.llm is None:
            return self.plain
        return extractor_for(self.llm, self._llm_settings, self._off_loop, self._meter)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Open them, then keep them open until cancelled."""
        settings = self._llm_settings
        async with open_llm(settings, self._meter) as self.llm, AsyncExitStack() as stack:
            if settings.vision_model:
                seeing = replace(settings, model=settings.vision_model)
                self.vision = await stack.enter_async_context(open_llm(seeing, self._meter))
            opening = open_embedder(self._embedding, self._llm_settings, self._meter)
            try:
                self.embedder = await stack.enter_async_context(opening)
            except EmbedderUnavailable as error:
                log.warning("embedding.unavailable", error=str(error), loss="no search by meaning")
            task_status.started()
            try:
                await trio.sleep_forever()
            finally:  # a hundred megabytes, which else wait for the garbage collector
                self.llm = self.vision = self.embedder = None


@asynccontextmanager
async def open_llm(settings: Llm, meter: LlmMeter) -> AsyncIterator[LlmPort | None]:
    """The language model of [llm]; None when none is configured. Nothing is asked of it yet."""
    if not is_configured(settings):
        yield None
        return
    async with open_model_server(settings, meter=meter) as server:
        yield OpenAiLlm(server, settings)


def extractor_for(llm: LlmPort | None, settings: Llm, off_loop: OffLoop, meter: LlmMeter) -> Extractor:
    """The extractor that asks `llm`; without one, that which needs neither key nor model."""
    if llm is None:
        return EmbeddedExtractor(off_loop)
    if settings.small_model:
        return ShortExtractor(llm, EmbeddedExtractor(off_loop), meter=meter)
    return LlmExtractor(llm, asks=settings.asks, answer_tokens=settings.answer_tokens, meter=meter)


@asynccontextmanager
async def open_embedder(settings: Embedding, llm: Llm, meter: LlmMeter) -> AsyncIterator[Embedder | None]:
    """The embedding model of [embedding]; None when it is off.

    Raises `EmbedderUnavailable` when the local one is wanted and cannot be loaded.
    """
    match settings.provider:
        case "off":
            yield None
        case "local":
            yield await MiniLm.open(worker_threads(settings.threads))
        case "openai":
            # The key of [llm] is for its server alone.
            url = settings.base_url
            key = settings.api_key or (llm.api_key if url in ("", llm.base_url) else "")
            async with open_model_server(llm, api_key=key, base_url=url, meter=meter) as server:
                yield OpenAiEmbedder(server, settings)
