"""What a server process does with conversations: keeps, processes, translates, searches and talks about them."""

from engine.config import Config
from engine.conversation import Lifecycle
from engine.conversation.blob_jobs import BlobJobs
from engine.conversation.chat.answering import Chat
from engine.conversation.chat.ports import EnabledApps
from engine.conversation.chat.search import StoreSearch
from engine.conversation.day_summary import Summarizer
from engine.conversation.facts import Facts
from engine.conversation.language import Languages
from engine.conversation.llm.metrics import LlmMetrics
from engine.conversation.models import Models
from engine.conversation.photos import Album
from engine.conversation.ports import Ownership
from engine.conversation.preferences import SpeechPreferences
from engine.conversation.processor import Processor
from engine.conversation.quota import Quota
from engine.conversation.requests import Requests
from engine.conversation.search import Search
from engine.conversation.translate import Translator
from engine.conversation.translate_metrics import TranslatorCollector
from engine.metrics import Metrics
from engine.off_loop import worker_threads
from engine.store import DatabaseWriter, Store
from engine.store.blob_erasures import ERASE_BLOBS
from engine.store.database import wall_clock
from engine.store.photos import MOVE

__all__ = ["Conversing"]

EXTRACTION_THREADS = 1
"""Threads that read conversations by rules: Python code, of which no more than one runs at a time anyway."""

ANSWER_SHARE = 2 / 3
"""Of `web.request_timeout`, the most that a request waits for a conversation to be processed."""


class Conversing:
    """The parts of one process that have to do with conversations, put together; `Serving` runs them."""

    def __init__(
        self,
        config: Config,
        store: Store,
        writer: DatabaseWriter,
        metrics: Metrics,
        ownership: Ownership | None,
        apps: EnabledApps,
    ) -> None:
        meter = LlmMetrics(metrics.registry)
        extraction = worker_threads(EXTRACTION_THREADS)
        self.models = Models(config.llm, config.embedding, extraction, meter)
        self.chat_search = StoreSearch(store, self.models)
        self.chat = Chat(
            messages=store.messages,
            users=store.users,
            search=self.chat_search,
            models=self.models,
            settings=config.chat,
            now=wall_clock,
            asks=config.llm.asks,
            small=config.llm.small_model,
            apps=apps,
            meter=meter,
        )
        self.translator = Translator(
            models=self.models,
            users=store.users,
            kept=store.translations,
            languages=Languages(worker_threads(1)),
            settings=config.translation,
            asks=config.llm.asks,
            meter=meter,
        )
        metrics.registry.register(TranslatorCollector(self.translator))
        quota = Quota(config.quota, store.usage, wall_clock)
        self.preferences = SpeechPreferences(store.users, quota)
        self.processor = Processor(store, self.models, config.conversation, wall_clock, metrics, quota, apps)
        jobs = self.processor.jobs
        jobs.add(ERASE_BLOBS, BlobJobs(store.jobs, store.blob_erasures.erase, "erased"))
        jobs.add(MOVE, BlobJobs(store.jobs, store.photos.move, "moved"))
        for table in (store.memories, store.action_items):
            table.when_text_changes(self.processor.wake)
        answer_wait = min(config.conversation.answer_wait, config.web.request_timeout * ANSWER_SHARE)
        self.requests = Requests(store, self.processor, wall_clock, answer_wait)
        self.summarizer = Summarizer(
            store, self.models, config.llm, wall_clock, meter, extraction, answer_wait
        )
        self.lifecycle = Lifecycle(
            store.conversations,
            store.wholes,
            writer,
            wall_clock,
            self.processor,
            answer_wait=answer_wait,
            erase_delay=config.conversation.erase_delay,
            ownership=ownership,
        )
        self.processor.describer.tell = self.lifecycle.notify
        self.album = Album(store.photos, self.models, writer.flush, self.processor.wake, wall_clock)
        self.search = Search(store, lambda: self.models.embedder)
        self.facts = Facts(self.models, wall_clock)
