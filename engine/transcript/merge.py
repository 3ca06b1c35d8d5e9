"""From words to segments, and from new segments to what the conversation says now. Pure functions.

New segments are folded one by one onto the last one kept. For a (the last so far) and b (the new one), in
this order:

0. Nothing happens to a segment the caller calls closed, across two values of `stt_provider` or
   `speech_profile_processed`, between two different known persons, or where a and b together would exceed
   `LONGEST_TEXT`.
1. Different speakers (unless both are the user), at most `LONGEST_GAP` apart, and a ends in an incomplete
   sentence L: the speaker change was probably heard a few words off.
   (i)   b has several sentences and its first is shorter than L: that one moves to a.
   (ii)  b is one sentence, shorter than L, and not both capitalised and punctuated: a swallows b.
   (iii) L is shorter than b: L moves to the front of b. Where nothing is left of a, a is deleted.
2. One speaker (or both the user), less than `LONGEST_GAP` apart, and a is shorter than `FULL_TEXT` characters
   or ends in no complete sentence: a takes b.
3. One speaker, a ends in no complete sentence and b goes on in small letters: a takes b, whatever the gap.

A segment that takes another keeps its own id. Where text moves, the time at which it was spoken is taken from
its share of the characters. Read in order, the text of all segments is the same before and after, white space
aside. The result does not depend on how the new segments are divided over calls.

Source: the rules of the Omi listen backend, with the sentence ends and the gap limit on moves of its later
versions; the limit on length, and closed segments, are ours.
"""

from collections.abc import Callable, Container, Mapping, Sequence
from types import MappingProxyType

import msgspec
from msgspec.structs import replace

from engine.transcript.sentences import (
    append,
    ends_sentence,
    is_whole_sentence,
    join,
    sentences,
    starts_lowercase,
    tidy,
)
from engine.transcript.timeline import samples_to_seconds
from engine.transcript.words import Word
from engine.wire.messages import Segment, speaker_label

LONGEST_GAP = 3.0
"""Seconds of silence within one segment, and across which text may move between speakers."""

FULL_TEXT = 125
"""Characters from which a segment that ends a sentence is complete."""

LONGEST_TEXT = 2_000
"""Characters beyond which no segment grows, so that speech without punctuation cannot grow without end."""

_NONE_SENT: Mapping[str, int] = MappingProxyType({})


class Merged(msgspec.Struct, frozen=True):
    """What a merge made of the end of a transcript.

    `segments`: the whole new end: the last segment (if it is still there) and all that follows; the last of
    them is the `last` of the next merge. `changed`: those that are new or differ, to be kept and sent.
    `deleted`: ids that were given out before and are no more.
    """

    segments: tuple[Segment, ...]
    changed: tuple[Segment, ...]
    deleted: tuple[str, ...]


def words_to_segments(
    words: Sequence[Word],
    *,
    offset_seconds: float,
    provider: str,
    new_id: Callable[[], str],
    speech_profile_processed: bool = True,
) -> tuple[Segment, ...]:
    """One segment per run of words by one speaker, `offset_seconds` after the session's own timeline.

    A word without a speaker belongs to the one who spoke before it (or first, at the start); if no word has
    one, all are `SPEAKER_00`.
    """
    segments = []
    for speaker, run in _runs([word for word in words if word.text.strip()]):
        starts = [word.start for word in run]
        latest = max(max(starts), max([word.end for word in run]))
        segments.append(
            Segment(
                id=new_id(),
                text=join([word.text for word in run]),
                speaker=speaker_label(speaker),
                start=samples_to_seconds(min(starts)) + offset_seconds,
                end=samples_to_seconds(latest) + offset_seconds,
                speech_profile_processed=speech_profile_processed,
                stt_provider=provider,
            )
        )
    return tuple(segments)


def _runs(words: Sequence[Word]) -> list[tuple[int, list[Word]]]:
    """Words in a row by one speaker."""
    speaker = next((word.speaker for word in words if word.speaker is not None), 0)
    runs: list[tuple[int, list[Word]]] = []
    for word in words:
        if word.speaker is not None:
            speaker = word.speaker
        if runs and runs[-1][0] == speaker:
            runs[-1][1].append(word)
        else:
            runs.append((speaker, [word]))
    return runs


def merge(
    last: Segment | None,
    new: Sequence[Segment],
    *,
    sent: Mapping[str, int] = _NONE_SENT,
    closed: Container[str] = (),
) -> Merged:
    """Fold `new` onto `last`, the last segment kept (None at the start of a conversation).

    `sent` gives the revision of each segment given out and not deleted since; a new segment that carries one
    of these ids (or an id already in this fold) takes that one's place, unmerged. `closed` holds ids that
    must stay as they are. `revision` grows by one for what changed; segments without text are left out.
    """
    tail = [] if last is None else [last]
    replaced: dict[str, Segment] = {}
    for segment in new:
        b = _tidied(segment)
        if not b.text or b.id in closed:
            continue
        place = next((index for index, kept in enumerate(tail) if kept.id == b.id), None)
        if place is not None:
            tail[place] = b
        elif b.id in sent:
            replaced[b.id] = b
        else:
            tail[-1:] = _pair(tail[-1], b, closed) if tail else [b]
    segments = tuple(last if last and _same(last, kept) else _revised(kept, last, sent) for kept in tail)
    updates = tuple(_revised(kept, last, sent) for kept in replaced.values())
    return Merged(
        segments=segments,
        changed=updates + tuple(kept for kept in segments if kept is not last),
        deleted=() if last is None or any(kept.id == last.id for kept in tail) else (last.id,),
    )


def _tidied(segment: Segment) -> Segment:
    text, end = tidy(segment.text), max(segment.start, segment.end)
    if text == segment.text and end == segment.end:
        return segment
    return replace(segment, text=text, end=end)


def _revised(segment: Segment, last: Segment | None, sent: Mapping[str, int]) -> Segment:
    known = last.revision if last and last.id == segment.id else sent.get(segment.id, 0)
    return segment if segment.revision == known + 1 else replace(segment, revision=known + 1)


def _same(before: Segment, after: Segment) -> bool:
    if before.id != after.id or before.text != after.text:
        return False
    return before == replace(after, revision=before.revision)


def _pair(a: Segment, b: Segment, closed: Container[str]) -> list[Segment]:
    """What a and b become: one segment, or two."""
    if a.id in closed or not _comparable(a, b):
        return [a, b]
    if a.speaker != b.speaker and not (a.is_user and b.is_user):
        return _move(a, b) if _gap(a, b) <= LONGEST_GAP else [a, b]
    unfinished = not ends_sentence(a.text)
    if _gap(a, b) < LONGEST_GAP and (unfinished or len(a.text) < FULL_TEXT):
        return [_take(a, b)]
    if unfinished and starts_lowercase(b.text) and a.start <= b.start:
        return [_take(a, b)]
    return [a, b]


def _comparable(a: Segment, b: Segment) -> bool:
    """Rule 0, but for closed segments."""
    return (
        a.stt_provider == b.stt_provider
        and a.speech_profile_processed == b.speech_profile_processed
        and (a.person_id is None or b.person_id is None or a.person_id == b.person_id)
        and len(a.text) + len(b.text) < LONGEST_TEXT
    )


def _gap(a: Segment, b: Segment) -> float:
    """Seconds between the two, whichever was spoken first; negative where they overlap."""
    return round(max(b.start - a.end, a.start - b.end), 3)


def _move(a: Segment, b: Segment) -> list[Segment]:
    """Rule 1: text that was cut off by the change of speakers goes to where its sentence is."""
    if ends_sentence(a.text):
        return [a, b]
    *complete, loose = sentences(a.text)
    first, *others = sentences(b.text)
    if others and len(first) < len(loose):
        moved = b.start + (b.end - b.start) * len(first) / len(b.text)
        return [
            _rewritten(a, join([a.text, first]), a.start, max(a.end, moved)),
            _rewritten(b, join(others), moved, b.end),
        ]
    if not others and len(b.text) < len(loose) and not is_whole_sentence(b.text):
        return [_take(a, b)]
    if len(loose) >= len(b.text):
        return [a, b]
    moved = a.end - (a.end - a.start) * len(loose) / len(a.text)
    whole = _rewritten(b, join([loose, b.text]), min(moved, b.start), b.end)
    if not complete:
        return [whole]
    return [_rewritten(a, join(complete), a.start, max(a.start, min(a.end, whole.start))), whole]


def _take(a: Segment, b: Segment) -> Segment:
    person_id = b.person_id if a.speaker == b.speaker and not a.person_id else a.person_id
    text = append(a.text, b.text)
    return _rewritten(a, text, min(a.start, b.start), max(a.end, b.end), person_id=person_id)


def _rewritten(segment: Segment, text: str, start: float, end: float, **changes: str | None) -> Segment:
    # A translation of the text before says nothing about the text now.
    return replace(segment, text=text, start=start, end=max(start, end), translations=(), **changes)
