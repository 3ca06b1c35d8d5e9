"""The extractor as a whole."""

from engine.conversation.extract._lexicon import EMOJI
from engine.conversation.extract.action_items import action_items
from engine.conversation.extract.events import events
from engine.conversation.extract.memories import memories
from engine.conversation.extract.pauses import Pause, Pauses, WithPauses, no_pause
from engine.conversation.extract.subjects import category, feelings, headline, names, title, topics
from engine.conversation.extract.summary import overview
from engine.conversation.extract.utterances import utterances
from engine.conversation.structured import Extraction, Structured, Transcript
from engine.off_loop import OffLoop


def extract(transcript: Transcript, pause: Pause = no_pause) -> Extraction:
    """All of `Extraction` by rules; pure. Costs some 10 ms for a few minutes of speech (`python -m bench extraction`).

    `pause` is called again and again meanwhile, mostly within half a millisecond.

    Action items, events, memories, people and feelings are read in English only; other languages get a title, topics
    and an overview, and a notice that says so.
    """
    if not _english(transcript.language):
        return _without_english(transcript, pause)
    said = WithPauses(utterances(transcript, pause), pause)
    if not said:
        return Extraction(structured=Structured())
    about = topics(said, english=True)
    kind = category(said)
    summary = overview(said)
    people, entities = names(said, transcript.owner_name)
    days = sorted(
        {when.day for utterance in said for when in utterance.times if when.day and not when.dayless}
    )
    return Extraction(
        structured=Structured(
            title=title(about, said) or headline(summary),
            overview=summary,
            emoji=EMOJI[kind],
            category=kind,
            action_items=action_items(transcript, said),
            events=events(said, transcript),
        ),
        memories=memories(said, transcript.owner_name),
        people=people,
        topics=about,
        entities=entities,
        dates=tuple(days),
        emotions=feelings(said),
    )


def _english(language: str) -> bool:
    """Also when the language is not known: "multi" is mostly English with names in it."""
    return language.lower().split("-")[0] in ("en", "multi", "auto", "")


def _without_english(transcript: Transcript, pause: Pause) -> Extraction:
    said = WithPauses(utterances(transcript, pause, english=False), pause)
    about = topics(said, english=False)
    return Extraction(
        structured=Structured(title=title(about, said[:0]), overview=overview(said)),
        topics=about,
        notices=(
            f"Without a language model, action items, events and memories are read in English only, not in"
            f" {transcript.language!r}: title, topics and overview only.",
        ),
    )


class EmbeddedExtractor:
    """`Extractor` with no key, no model and no network; each call runs in one thread, with `Pauses`."""

    def __init__(self, off_loop: OffLoop) -> None:
        self._off_loop = off_loop

    async def extract(self, transcript: Transcript) -> Extraction:
        """See `Extractor`. Raises nothing of its own."""
        return await self._off_loop(extract, transcript, Pauses())
