"""What a text that an app has of a user says about them: read as a conversation in which they alone speak."""

from collections.abc import Sequence
from typing import Protocol
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from engine.conversation.given import segments_of_text
from engine.conversation.llm.port import LlmError
from engine.conversation.ports import Clock
from engine.conversation.structured import Extractor, Memory, Transcript
from engine.log import get_logger
from engine.moments import instant

__all__ = ["Facts"]

log = get_logger(__name__)


class Extractors(Protocol):
    """Who reads texts: as well as can be, and by rules. `engine.conversation.models.Models` has them."""

    @property
    def extractor(self) -> Extractor:
        """By the language model, where there is one."""
        ...

    @property
    def plain(self) -> Extractor:
        """By rules."""
        ...


class Facts:
    """Reads them."""

    def __init__(self, extractors: Extractors, now: Clock) -> None:
        self._extractors = extractors
        self._now = now

    async def read(self, text: str) -> Sequence[Memory]:
        """What lasts of what `text` says of its user. By rules when the language model does not answer."""
        transcript = Transcript(
            segments=tuple(replace(line, is_user=True) for line in segments_of_text({"text": text})),
            started_at=instant(self._now()),
            time_zone=ZoneInfo("UTC"),
        )
        try:
            found = await self._extractors.extractor.extract(transcript)
        except LlmError as error:
            log.warning("facts.without_model", error=type(error).__name__)
            found = await self._extractors.plain.extract(transcript)
        return found.memories
