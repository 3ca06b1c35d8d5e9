"""What is made of a conversation that has ended: `extract`, then `processed`, which an owner's processor does in turn.

Nothing here changes anything: what comes out is written by the store in one transaction. Ids are made of the
conversation, the number of its processing and the place, so that doing it twice makes no second one.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Literal
from uuid import UUID, uuid5

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.conversation.embedding.port import Embedder, conversation_text
from engine.conversation.given import segments_of_text
from engine.conversation.ports import Memories
from engine.conversation.structured import (
    ActionItem,
    Extraction,
    Extractor,
    Memory,
    Structured,
    Transcript,
)
from engine.conversation.vector_search import MEMORY_LIKENESS, Vectors, already_kept
from engine.conversation.zones import zone_of
from engine.moments import SECOND, instant, micros
from engine.store.processing import Processed
from engine.store.records import ConversationRow
from engine.store.user_records import ActionItemRow, MemoryRow, PhotoRow, UserRow
from engine.store.vector_records import VectorRow
from engine.store.whole import Whole
from engine.wire.messages import Segment

__all__ = ["KEPT_WORDS", "Material", "extract", "joined", "made_id", "processed", "transcript_of"]

KEPT_WORDS = 100
"""A conversation of more words is never discarded."""

PLACE_AGE = 30 * 60 * SECOND
"""Microseconds between a conversation's end and when its owner said where they were, at most."""

_MADE = UUID("5f0c1d5e-3f0e-4f6e-9d0e-6f1a3c1b7a52")


class Material(msgspec.Struct, frozen=True, kw_only=True):
    """All that a conversation is processed from. `people`: names by person id."""

    row: ConversationRow
    segments: Sequence[Segment]
    photos: Sequence[PhotoRow]
    owner: UserRow
    people: Mapping[str, str]


def made_id(conversation_id: str, version: int, kind: str, place: int) -> str:
    """The id of what processing number `version` made of a conversation, `place` counting those of its kind."""
    return str(uuid5(_MADE, f"{conversation_id}:{version}:{kind}:{place}"))


async def extract(
    material: Material, extractor: Extractor, plain: Extractor, *, force: bool, language: str | None = None
) -> Extraction:
    """What is kept of a conversation; without a title nothing is, and it is discarded.

    Discarded is what `extractor` finds nothing in, unless `force` or more than `KEPT_WORDS` words: then `plain` (which
    needs no model) has the word. `language`: instead of the one spoken. Raises what `extractor` raises.
    """
    transcript = transcript_of(material, language)
    found = await extractor.extract(transcript)
    if found.structured.title:
        return found
    words = sum(len(segment.text.split()) for segment in transcript.segments)
    if not force and words <= KEPT_WORDS:
        return Extraction(structured=Structured(), notices=found.notices)
    return await plain.extract(transcript)


def joined(sources: Sequence[Whole]) -> Extraction:
    """What is kept of a conversation that is made of others and not read again; `sources` in time order."""
    structured = [msgspec.convert(whole.row.structured, Structured) for whole in sources]
    first = next((each for each in structured if each.title), structured[0])
    items = [_item_again(item) for whole in sources for item in whole.action_items]
    labels = [whole.row.labels for whole in sources]

    def names(what: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for each in labels for name in each.get(what, ())))

    return Extraction(
        structured=msgspec.structs.replace(
            first,
            overview="\n\n".join(each.overview for each in structured if each.overview),
            action_items=tuple(items),
            events=tuple(event for each in structured for event in each.events),
        ),
        people=names("people"),
        topics=names("topics"),
        entities=names("entities"),
        dates=tuple(map(date.fromisoformat, names("dates"))),
        emotions=" ".join(whole.row.emotions for whole in sources if whole.row.emotions),
    )


def _item_again(item: ActionItemRow) -> ActionItem:
    return ActionItem(
        description=item.description,
        completed=item.completed,
        due_at=None if item.due_at is None else instant(item.due_at),
        speaker=item.speaker,
        is_user=item.is_user,
    )


def transcript_of(material: Material, language: str | None = None) -> Transcript:
    """A conversation as it is read, what is seen on its pictures at the end."""
    row, owner = material.row, material.owner
    said = [*material.segments] or segments_of_text(row.external_data)
    end = said[-1].end if said else 0.0
    seen = [
        Segment(id=photo.id, text=photo.description, start=end, end=end, speaker="SPEAKER_99")
        for photo in material.photos
        if photo.description and not photo.discarded
    ]
    return Transcript(
        segments=(*said, *seen),
        started_at=instant(row.started_at),
        time_zone=zone_of(owner.time_zone),
        language=language or row.language or owner.language or "en",
        owner_name=owner.name,
        people=material.people,
    )


async def processed(
    material: Material,
    found: Extraction,
    embedder: Embedder | None,
    vectors: Vectors,
    memories: Memories,
    *,
    now: int,
    force: bool,
    later: bool = False,
) -> Processed:
    """What is to be written, with vectors if there is an `embedder`, which says what memories are new.

    `later`: without one, have vectors made by jobs of their own.

    Raises what `embedder` raises. One at a time for one user: else two that run beside each other both find the same
    memory new.
    """
    row, structured = material.row, found.structured
    version = row.processing_version + 1
    columns = _columns(found, discarded=not structured.title and not force)
    columns |= {"is_locked": row.is_locked} | _place(row, material.owner)
    if not structured.title:
        return Processed(version=version, changes=columns)
    items = [_item(row, version, n, item, now) for n, item in enumerate(structured.action_items)]
    facts = [_memory(row, version, n, memory, now) for n, memory in enumerate(found.memories)]
    if embedder is None:
        return Processed(
            version=version,
            changes=columns,
            action_items=items,
            memories=facts,
            vectors=None,
            vectors_later=later,
        )
    texts = [conversation_text(structured), *(i.description for i in items), *(m.content for m in facts)]
    rows = await embedder.embed(texts)
    kept: list[VectorRow] = [
        VectorRow(
            uid=row.uid,
            kind="conversation",
            id=row.id,
            model=embedder.model,
            created_at=row.created_at,
            vector=rows[0],
            people=found.people,
            topics=found.topics,
            entities=found.entities,
        )
    ]
    kept += [_vector(embedder, "action_item", item, rows[1 + n], found) for n, item in enumerate(items)]
    new: list[MemoryRow] = []
    for fact, vector in zip(facts, rows[1 + len(items) :], strict=True):
        unlike = all(
            float(vector @ other.vector) < MEMORY_LIKENESS for other in kept if other.kind == "memory"
        )
        fresh = await _fresh(fact, vector, embedder, vectors, memories) if unlike else None
        if fresh is not None:
            new.append(fresh)
            kept.append(_vector(embedder, "memory", fresh, vector, found))
    return Processed(version=version, changes=columns, action_items=items, memories=new, vectors=kept)


async def _fresh(
    fact: MemoryRow, vector: NDArray[np.float32], embedder: Embedder, vectors: Vectors, memories: Memories
) -> MemoryRow | None:
    """The memory, unless the user has one that says the same; in the place of one that this replaces anyway."""
    id = await already_kept(vectors, embedder, fact.uid, vector)
    if id is None:
        return fact
    like = await memories.get(fact.uid, id)
    if like is None or like.conversation_id != fact.conversation_id:
        return fact if like is None else None
    touched = like.manually_added or like.edited or like.reviewed
    return None if touched else msgspec.structs.replace(fact, id=id, created_at=like.created_at)


def _columns(found: Extraction, *, discarded: bool) -> dict[str, Any]:
    structured = msgspec.to_builtins(found.structured)
    del structured["action_items"]  # they have a table of their own
    return {
        "structured": structured,
        "labels": {
            "people": list(found.people),
            "topics": list(found.topics),
            "entities": list(found.entities),
            "dates": [day.isoformat() for day in found.dates],
        },
        "emotions": found.emotions,
        "discarded": discarded,
    }


def _place(row: ConversationRow, owner: UserRow) -> dict[str, Any]:
    """Where the owner said they were, if that was about when the conversation ended and nothing better is known."""
    place = owner.geolocation
    if row.geolocation is not None or place is None or abs(row.finished_at - place["at"]) > PLACE_AGE:
        return {}
    return {"geolocation": {name: value for name, value in place.items() if name != "at"}}


def _item(row: ConversationRow, version: int, place: int, item: ActionItem, now: int) -> ActionItemRow:
    return ActionItemRow(
        uid=row.uid,
        id=made_id(row.id, version, "action_item", place),
        conversation_id=row.id,
        ordinal=place,
        description=item.description,
        completed=item.completed,
        created_at=now,
        updated_at=now,
        due_at=None if item.due_at is None else micros(item.due_at),
        completed_at=now if item.completed else None,
        speaker=item.speaker,
        is_user=item.is_user,
        is_locked=row.is_locked,
    )


def _memory(row: ConversationRow, version: int, place: int, memory: Memory, now: int) -> MemoryRow:
    return MemoryRow(
        uid=row.uid,
        id=made_id(row.id, version, "memory", place),
        conversation_id=row.id,
        content=memory.content,
        category=memory.category,
        created_at=now,
        updated_at=now,
        is_locked=row.is_locked,
    )


def _vector(
    embedder: Embedder,
    kind: Literal["action_item", "memory"],
    of: ActionItemRow | MemoryRow,
    vector: NDArray[np.float32],
    found: Extraction,
) -> VectorRow:
    """Found by the people, topics and entities of its conversation."""
    return VectorRow(
        uid=of.uid,
        kind=kind,
        id=of.id,
        model=embedder.model,
        created_at=of.created_at,
        vector=vector,
        people=found.people,
        topics=found.topics,
        entities=found.entities,
    )
