"""Where a chunk of audio is in the spool, as one line of text that a delivery's row has.

    session-position/segment:offset:size/segment:offset:size…

A chunk that was written in several goes is in several places; `session` and `position` say where it begins in what was
heard. Pure functions over frozen values; what is read from a row is not trusted to name a file outside the folder.
"""

import re
from collections.abc import Sequence

import msgspec

__all__ = ["Place", "Spooled", "segment_name"]

_SEGMENT = r"[0-9]{20}-[0-9a-f]{8}\.pcm"
_PLACE = re.compile(rf"({_SEGMENT}):([0-9]{{1,18}}):([0-9]{{1,18}})")
_SESSION = r"[^/\s]{1,200}"
_LINE = re.compile(rf"({_SESSION})-([0-9]{{1,18}})((?:/{_PLACE.pattern})+)")


class Place(msgspec.Struct, frozen=True):
    """So many bytes of a file of the spool, from `offset` on."""

    segment: str
    offset: int
    size: int


class Spooled(msgspec.Struct, frozen=True):
    """A chunk: it begins with sample `position` of `session`, and is in these places, one after the other."""

    session: str
    position: int
    places: tuple[Place, ...]

    @property
    def line(self) -> str:
        """As a row has it."""
        places = "".join(f"/{one.segment}:{one.offset}:{one.size}" for one in self.places)
        return f"{self.session}-{self.position}{places}"

    @classmethod
    def read(cls, line: str) -> "Spooled | None":
        """What `line` says, or None when it is not one of ours."""
        found = _LINE.fullmatch(line)
        if found is None:
            return None
        places: Sequence[tuple[str, str, str]] = _PLACE.findall(found[3])
        return cls(
            found[1],
            int(found[2]),
            tuple(Place(name, int(offset), int(size)) for name, offset, size in places),
        )


def segment_name(nanoseconds: int, tag: str) -> str:
    """The name of a file that was begun then (since the epoch); names sort by that. `tag`: 8 hexadecimal digits."""
    return f"{nanoseconds:020d}-{tag}.pcm"
