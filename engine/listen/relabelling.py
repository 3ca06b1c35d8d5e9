"""A session's segments whose speaker may turn out to be another.

Operations: `note` what it has added, `refresh` what others changed of that; `relabelled` gives the next revisions where
two speakers are one; `forget` when another conversation begins.
Invariants: a segment is held as it was last. Bounded: the latest `MOST` segments; older ones keep their speaker.
"""

from collections import OrderedDict
from collections.abc import Sequence

from msgspec.structs import replace

from engine.wire.messages import Segment, speaker_label

__all__ = ["MOST", "Relabelling"]

MOST = 500


class Relabelling:
    """One session's."""

    def __init__(self) -> None:
        self._latest: OrderedDict[str, Segment] = OrderedDict()

    def note(self, changed: Sequence[Segment], deleted: Sequence[str] = ()) -> None:
        """These are new, or not what they were; those are gone."""
        for segment in changed:
            self._latest[segment.id] = segment
        for gone in deleted:
            self._latest.pop(gone, None)
        while len(self._latest) > MOST:
            self._latest.popitem(last=False)

    def refresh(self, changed: Sequence[Segment]) -> None:
        """Somebody else has changed these, which may be another session's."""
        self._latest.update((segment.id, segment) for segment in changed if segment.id in self._latest)

    def forget(self) -> None:
        """They are of a conversation that is over."""
        self._latest.clear()

    def relabelled(self, gone: int, kept: int, owner: int | None) -> list[Segment]:
        """The next revisions of those to which it makes a difference that `gone` is `kept`, who may be the user."""
        found = []
        for segment in self._latest.values():
            if segment.speaker_id not in (gone, kept):
                continue
            named = segment.is_user or segment.person_id is not None
            is_user = segment.is_user or (kept == owner and not named)
            if segment.speaker_id == gone or is_user != segment.is_user:
                label = speaker_label(kept)
                revision = segment.revision + 1
                found.append(replace(segment, speaker=label, is_user=is_user, revision=revision))
        return found
