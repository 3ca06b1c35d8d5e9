"""Translates what is said, beside the live path: segments come back to their client with `translations` filled in.

Operations: sessions `offer` segments that are new or changed; `run` translates them; `statistics`.
Invariants: `offer` never waits. A translation is of the segment as it is: when that has changed meanwhile, the
translation is dropped, for the changed one was offered too. What is told to the client has been kept, under a new
revision, and nothing that came later is lost by it.
Bounded: `translation.queue_limit` segments wait; when more come the oldest are dropped and counted. A segment waits
`translation.settle` seconds after its last change, so that one that still grows is not translated again and again.
Off for users in single-language mode, without a language to translate to, and where there is no language model.
Cost: one question to the model for up to `AT_ONCE` segments of one conversation.
Cancellation: what waits is forgotten; the segments stay without translations.
"""

from collections import Counter, OrderedDict
from collections.abc import Sequence
from typing import Protocol

import msgspec
import trio
from msgspec.structs import replace

from engine._config_models import Translation as Settings
from engine.conversation.chat.ports import ChatModels, Users
from engine.conversation.language import Languages, base_language
from engine.conversation.llm.metrics import LlmMeter, NoMeter
from engine.conversation.llm.port import Llm, LlmError
from engine.conversation.translate_lines import translate_lines
from engine.listen.ports import OpenConversation, Participant
from engine.log import get_logger
from engine.store.errors import DatabaseUnavailable, WriterFull
from engine.wire.messages import Segment, Translating, Translation

__all__ = ["OUTCOMES", "Translator", "TranslatorStatistics"]

log = get_logger(__name__)

AT_ONCE = 8
ANY_LANGUAGE = ("multi", "auto", "")
"""What clients ask for that leaves it to the user's settings which language they read."""

OUTCOMES = ("translated", "same_language", "no_language", "changed", "failed", "dropped")
"""What becomes of a segment that is offered: its translation was sent; it is in the language already; nobody asked for
a language; it changed or was deleted meanwhile; the model or the database failed; too many waited."""


class Translations(Protocol):
    """Where translations of conversations are kept that are over; `engine.store.translations` implements it."""

    async def keep(self, uid: str, conversation_id: str, changed: Sequence[Segment]) -> list[Segment]:
        """Keep the translations and revisions of `changed`; those that were as one revision before."""
        ...


class TranslatorStatistics(msgspec.Struct, frozen=True):
    """Segments that wait, and what became of the others, by `OUTCOMES`."""

    waiting: int
    outcomes: dict[str, int]


class _Waiting(msgspec.Struct, frozen=True):
    by: Participant
    conversation: OpenConversation
    segment: Segment
    language: str
    due: float


class Translator:
    """All translations of a process."""

    def __init__(
        self,
        *,
        models: ChatModels,
        users: Users,
        kept: Translations,
        languages: Languages,
        settings: Settings,
        asks: int = 3,
        meter: LlmMeter | None = None,
    ) -> None:
        self._models = models
        self._users = users
        self._kept = kept
        self._languages = languages
        self._settings = settings
        self._asks = asks
        self._meter = meter or NoMeter()
        self._waiting: OrderedDict[tuple[str, str], _Waiting] = OrderedDict()
        self._outcomes: Counter[str] = Counter()
        self._something = trio.Event()

    def statistics(self) -> TranslatorStatistics:
        """How much waits, and what became of the rest since it was made."""
        return TranslatorStatistics(
            len(self._waiting), {outcome: self._outcomes[outcome] for outcome in OUTCOMES}
        )

    def offer(
        self, by: Participant, conversation: OpenConversation, segments: Sequence[Segment], language: str
    ) -> None:
        """Segments as they are now; `language`: what the session asked for. See `engine.listen.ports.Translator`."""
        if self._models.llm is None:
            return
        due = trio.current_time() + self._settings.settle
        for segment in segments:
            key = (conversation.id, segment.id)
            self._waiting.pop(key, None)
            self._waiting[key] = _Waiting(by, conversation, segment, language, due)
        while len(self._waiting) > self._settings.queue_limit:
            self._waiting.popitem(last=False)
            self._outcomes["dropped"] += 1
        self._something.set()

    async def prepare(self) -> None:
        """Load what is needed, if there is a model to translate."""
        if self._models.llm is not None:
            await self._languages.prepare()

    async def run(self) -> None:
        """Translate until cancelled."""
        async with trio.open_nursery() as nursery:
            for _ in range(self._settings.concurrency):
                nursery.start_soon(self._work)

    async def _work(self) -> None:
        while True:
            batch = await self._next()
            llm = self._models.llm
            if llm is None:
                continue
            became: Counter[str] = Counter()
            try:
                await self._translate(llm, batch, became)
            except (LlmError, DatabaseUnavailable, WriterFull) as error:
                became["failed"] = len(batch) - became.total()
                log.warning("translation.failed", error=str(error), segments=became["failed"])
            self._outcomes += became

    async def _next(self) -> list[_Waiting]:
        """The oldest that has settled, with others of its conversation and language."""
        while True:
            first = next(iter(self._waiting.values()), None)
            if first is None:
                self._something = trio.Event()
                await self._something.wait()
            elif first.due > trio.current_time():
                await trio.sleep_until(first.due)
            else:
                return self._take(first)

    def _take(self, first: _Waiting) -> list[_Waiting]:
        now = trio.current_time()
        taken = [
            (key, one)
            for key, one in self._waiting.items()
            if one.due <= now and one.conversation is first.conversation and one.language == first.language
        ][:AT_ONCE]
        for key, _ in taken:
            del self._waiting[key]
        return [one for _, one in taken]

    async def _translate(self, llm: Llm, batch: list[_Waiting], became: Counter[str]) -> None:
        target = await self._target(batch[0])
        if target is None:
            became["no_language"] = len(batch)
            return
        foreign = await self._foreign(batch, target)
        became["same_language"] = len(batch) - len(foreign)
        if not foreign:
            return
        texts = [one.segment.text for one in foreign]
        doubts: Counter[str] = Counter()
        try:
            lines = await translate_lines(llm, texts, target, asks=self._asks, doubts=doubts)
        finally:
            for reason, count in (+doubts).items():
                self._meter.distrusted(reason, count)
        became["same_language"] += sum(line is None for line in lines)
        translated = [
            (one, Translation(target, line))
            for one, line in zip(foreign, lines, strict=True)
            if line is not None
        ]
        became["translated"] = await self._tell(translated)
        became["changed"] = len(translated) - became["translated"]

    async def _target(self, one: _Waiting) -> str | None:
        """The language the user reads; None when nothing is to be translated for them."""
        user = await self._users.get(one.by.uid)
        if user.single_language_mode:
            return None
        return (user.language if one.language in ANY_LANGUAGE else one.language) or None

    async def _foreign(self, batch: Sequence[_Waiting], target: str) -> list[_Waiting]:
        """Those that are not certainly in the target language."""
        languages = await self._languages.detect([one.segment.text for one in batch])
        return [one for one, spoken in zip(batch, languages, strict=True) if spoken != base_language(target)]

    async def _tell(self, translated: Sequence[tuple[_Waiting, Translation]]) -> int:
        """Keep translations, then send them to the session that brought the segments; how many that were."""
        sent: list[tuple[Participant, Segment]] = []
        for one, translation in translated:
            segment = one.conversation.translate(one.by, one.segment, (translation,))
            if segment is None and _as_it_was(one):  # else the database may not know yet that it was changed
                changed = replace(one.segment, translations=(translation,), revision=one.segment.revision + 1)
                kept = await self._kept.keep(one.by.uid, one.conversation.id, [changed])
                segment = kept[0] if kept else None
                if segment is not None and _as_it_was(one):
                    one.conversation.amend([segment])  # nobody takes part, but somebody may again
            if segment is not None:
                sent.append((one.by, segment))
        by: dict[str, tuple[Participant, list[Segment]]] = {}
        for participant, segment in sent:
            by.setdefault(participant.id, (participant, []))[1].append(segment)
        for participant, segments in by.values():
            participant.notify(Translating(tuple(segments)))
        return len(sent)


def _as_it_was(one: _Waiting) -> bool:
    return one.conversation.revisions.get(one.segment.id) == one.segment.revision
