"""Who spoke how much in a conversation."""

from collections.abc import Mapping, Sequence

import msgspec

from engine.wire.messages import Segment

__all__ = ["ConversationAnalytics", "SpeakerAnalytics", "analytics_of"]


class SpeakerAnalytics(msgspec.Struct, frozen=True, kw_only=True):
    """One speaker: the owner ("You"), a person by name, or a number. `talk_share` is of 1."""

    speaker: str
    person_id: str | None
    is_user: bool
    talk_seconds: float
    word_count: int
    words_per_minute: float
    talk_share: float


class ConversationAnalytics(msgspec.Struct, frozen=True, kw_only=True):
    """A whole conversation; who talked most comes first. Seconds of speech, silences left out."""

    conversation_id: str
    total_seconds: float
    total_words: int
    words_per_minute: float
    speaker_count: int
    speakers: tuple[SpeakerAnalytics, ...]


def analytics_of(id: str, segments: Sequence[Segment], names: Mapping[str, str]) -> ConversationAnalytics:
    """The analytics of conversation `id`; `names` are people's, by their ids."""
    spoken: dict[tuple[bool, str | None, int], list[Segment]] = {}
    for one in segments:
        known = one.is_user or one.person_id is not None
        key = (one.is_user, None if one.is_user else one.person_id, -1 if known else one.speaker_id)
        spoken.setdefault(key, []).append(one)
    total = _seconds(segments)
    speakers = []
    for (is_user, person_id, number), said in spoken.items():
        seconds, words = _seconds(said), _words(said)
        name = (
            "You"
            if is_user
            else f"Speaker {number}"
            if person_id is None
            else names.get(person_id, "Unknown")
        )
        speakers.append(
            SpeakerAnalytics(
                speaker=name,
                person_id=person_id,
                is_user=is_user,
                talk_seconds=round(seconds, 1),
                word_count=words,
                words_per_minute=_per_minute(words, seconds),
                talk_share=round(seconds / total, 3) if total else 0.0,
            )
        )
    words = _words(segments)
    return ConversationAnalytics(
        conversation_id=id,
        total_seconds=round(total, 1),
        total_words=words,
        words_per_minute=_per_minute(words, total),
        speaker_count=len(speakers),
        speakers=tuple(sorted(speakers, key=lambda one: -one.talk_seconds)),
    )


def _seconds(segments: Sequence[Segment]) -> float:
    return sum(max(one.end - one.start, 0.0) for one in segments)


def _words(segments: Sequence[Segment]) -> int:
    return sum(len(one.text.split()) for one in segments)


def _per_minute(words: int, seconds: float) -> float:
    return round(words * 60 / seconds, 1) if seconds else 0.0
