"""Citations in an answer that is still being written: `[3]` of what the model was shown becomes `[n]` of what it cites.

Operations: `Sources.show` gives a conversation its number and notes what is shown of it; `Citations.feed` takes pieces
of an answer and gives what may be shown of them, `end` the rest; `cited` are the conversations in the order they were
first cited.
Invariants: the n-th of `cited` is `[n]` in the text given out; a number that stands for nothing is left out and
counted in `invented`; how an answer is cut into pieces makes no difference. Brackets with anything else in them pass.
Bounded: of the text only what may still become a citation is held back, some more than `LONGEST` characters; of what
was shown of a conversation `NOTED` characters are kept.
"""

import re
from collections.abc import Mapping

__all__ = ["Citations", "Sources"]

LONGEST = 24
"""Characters within a bracket with numbers in it; a longer one is no citation."""
NOTED = 20_000

_CITATION = re.compile(rf"(\s{{0,4}})\[(?=[\d,\s]{{0,{LONGEST}}}\])(\d{{1,4}}(?:\s*,\s*\d{{1,4}})*)\]")
_BEGUN = re.compile(rf"\s{{0,4}}(?:\[[\d,\s]{{0,{LONGEST}}})?\Z")


class Sources:
    """The conversations shown to a model in one answer, numbered from 1 as they come."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._shown: dict[str, str] = {}

    @property
    def shown(self) -> Mapping[str, str]:
        """What was shown of each conversation, by its id."""
        return self._shown

    def show(self, conversation_id: str, text: str) -> int:
        """Its number, the same each time; the model is shown `text` of it."""
        self._shown[conversation_id] = f"{self._shown.get(conversation_id, '')}\n{text}"[:NOTED]
        return self._numbers.setdefault(conversation_id, len(self._numbers) + 1)

    def number(self, conversation_id: str) -> int:
        """Its number, the same each time."""
        return self._numbers.setdefault(conversation_id, len(self._numbers) + 1)

    def id(self, number: int) -> str | None:
        """The conversation of that number, None when there is none."""
        return next((id for id, known in self._numbers.items() if known == number), None)


class Citations:
    """Reads one answer, of a model that was shown `sources`."""

    def __init__(self, sources: Sources) -> None:
        self.cited: list[str] = []
        self.invented = 0
        self._sources = sources
        self._held = ""

    def feed(self, piece: str) -> str:
        """What may be shown now that `piece` is here too."""
        text = self._renumbered(self._held + piece)
        begun = _BEGUN.search(text)
        at = begun.start() if begun else len(text)
        self._held = text[at:]
        return text[:at]

    def end(self) -> str:
        """What was held back, for nothing follows."""
        held, self._held = self._held, ""
        return held

    def _renumbered(self, text: str) -> str:
        return _CITATION.sub(self._one, text)

    def _one(self, found: re.Match[str]) -> str:
        kept: list[int] = []
        for number in map(int, found[2].split(",")):
            id = self._sources.id(number)
            if id is None:
                self.invented += 1
                continue
            if id not in self.cited:
                self.cited.append(id)
            if (place := self.cited.index(id) + 1) not in kept:
                kept.append(place)
        return found[1] + "".join(f"[{place}]" for place in kept) if kept else ""
