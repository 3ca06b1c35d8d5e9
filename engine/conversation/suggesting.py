"""Who a speaker may be, told to the client, who decides: by voice, by the name they say, by who they were a moment ago.

Operations: `by_name` reads a segment; `person` suggests somebody for one.
Invariants: a person is suggested once for a segment. Nothing is kept and nobody is named by a suggestion. Clients act
on a person's id by themselves, so only those get it that said they do (`speaker_auto_assign`); others the name.
Bounded: the last `MOST` suggestions are known. Cost: of a text only its last `READ` characters are read, for a segment
comes again with each word that is added.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping

from engine.listen.ports import Followed
from engine.speaker.names import introduced, may_introduce
from engine.wire.messages import Segment, SpeakerLabelSuggestion

__all__ = ["Suggestions"]

MOST = 200
READ = 160

Names = Mapping[str, str]


class Suggestions:
    """Of one session. `names`: those of the people its user knows, by id."""

    def __init__(self, session: Followed, names: Callable[[], Awaitable[Names]]) -> None:
        self._session = session
        self._names = names
        self._made: OrderedDict[tuple[str, str], None] = OrderedDict()

    @staticmethod
    def may_be_named(segment: Segment) -> bool:
        """Whether `by_name` may find somebody in it who is not known."""
        return may_introduce(segment.text[-READ:])

    async def by_name(self, segment: Segment, *, known: bool) -> None:
        """Suggest whose name is said in it as the speaker's own.

        `known`: names that count only for people one knows ("I am …") are looked for, too.
        """
        names: Names = await self._names() if known else {}
        found = introduced(segment.text[-READ:], list(names.values()))
        if found is None:
            return
        names = names or await self._names()
        said = found.name.casefold()
        id, name = next(
            ((id, name) for id, name in names.items() if name.casefold() == said), ("", found.name)
        )
        self._tell(segment, id, name)

    async def person(self, segment: Segment, person_id: str) -> None:
        """Suggest somebody the user knows; nobody, if they do not know them any more."""
        name = (await self._names()).get(person_id)
        if name is not None:
            self._tell(segment, person_id, name)

    def _tell(self, segment: Segment, person_id: str, name: str) -> None:
        made = (segment.id, name)
        if made in self._made:
            return
        self._made[made] = None
        while len(self._made) > MOST:
            self._made.popitem(last=False)
        id = person_id if self._session.parameters.speaker_auto_assign else ""
        self._session.notify(SpeakerLabelSuggestion(segment.speaker_id, id, name, segment.id))
