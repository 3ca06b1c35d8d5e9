"""Who the speakers of one session are, as far as somebody has said so or their voice has shown.

Operations: `find` (by voice) and `assign` (by hand) say who a label's speaker is, `join` that two are one, `named`
fills it in where nobody is named yet; `found`, `assigned` and `assignments` to look.
Invariants: what was said by hand is not changed by what is found. A segment that names somebody stays as it is.
`compared` is False while voices are known and nobody has found out whose the label's is.
Bounded: `MOST` labels; of more the first are forgotten.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from engine.wire.messages import Segment, Speaker

__all__ = ["MOST", "NOBODY", "SpeakerNames"]

MOST = 256
NOBODY = Speaker()


class SpeakerNames:
    """Of one session."""

    def __init__(self) -> None:
        self.awaited = False
        """Whether there are voices to compare with."""
        self._found: OrderedDict[str, Speaker] = OrderedDict()
        self._assigned: OrderedDict[str, Speaker] = OrderedDict()

    def find(self, label: str, who: Speaker) -> None:
        """The voice was compared: it is this one's, or nobody's."""
        _put(self._found, label, who)

    def assign(self, label: str, who: Speaker) -> None:
        """Somebody has said who it is, or that it is nobody they know."""
        _put(self._assigned, label, who)

    def join(self, gone: str, kept: str) -> None:
        """The speakers of two labels are one: what is known of either holds, that of `kept` before that of `gone`."""
        for known in (self._found, self._assigned):
            who = known.pop(gone, None)
            if who is not None and kept not in known:
                _put(known, kept, who)

    def assigned(self, label: str) -> Speaker | None:
        """Who somebody has said it is; None while nobody has."""
        return self._assigned.get(label)

    @property
    def assignments(self) -> Mapping[str, Speaker]:
        """Who somebody has said labels are."""
        return self._assigned

    def found(self, label: str) -> Speaker | None:
        """Who it is by voice; None while it was not compared."""
        return self._found.get(label)

    def compared(self, label: str) -> bool:
        """Whether no more is to be waited for to know who it is."""
        return not self.awaited or label in self._found or label in self._assigned

    def named(self, segments: Sequence[Segment]) -> tuple[Segment, ...]:
        """New segments with who speaks in them, and whether that was found out."""
        if not (self.awaited or self._assigned):
            return tuple(segments)
        return tuple(map(self._named, segments))

    def _named(self, segment: Segment) -> Segment:
        if segment.is_user or segment.person_id is not None:
            return segment
        label = segment.speaker
        who = self._assigned.get(label) or self._found.get(label) or NOBODY
        processed = segment.speech_profile_processed and self.compared(label)
        return replace(
            segment, is_user=who.is_user, person_id=who.person_id, speech_profile_processed=processed
        )


def _put(where: OrderedDict[str, Speaker], label: str, who: Speaker) -> None:
    where[label] = who
    while len(where) > MOST:
        where.popitem(last=False)
