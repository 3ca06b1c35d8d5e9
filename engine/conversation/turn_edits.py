"""What was found of who speaks in a live session, brought into its segments and kept.

Operations: `name`, `take_back`, `close`.
Invariants: a segment that names somebody else is left as it is, and a name that was given by hand is not taken back.
Bounded: it keeps nothing. Cost: up to three statements a conversation; a change that is there already costs none.
Cancellation: what was changed so far stays.
"""

from collections.abc import Sequence

from msgspec.structs import replace

from engine.conversation.identification import Means, speaker_of
from engine.conversation.turns import Turn
from engine.listen.naming import NOBODY
from engine.speaker.matching import Decision
from engine.store.edits import SegmentEdit
from engine.wire.messages import Segment, Speaker

__all__ = ["TurnEdits"]


class TurnEdits:
    """Of the turns of one session. All raise `DatabaseUnavailable`."""

    def __init__(self, means: Means, uid: str) -> None:
        self._means = means
        self._uid = uid

    async def name(self, turns: Sequence[Turn], decision: Decision) -> None:
        """These are of whom the decision names, as far as nobody has named them."""
        who = speaker_of(decision)
        edit = SegmentEdit(ids=(), speaker=who, processed=True, was=NOBODY)
        for conversation_id, of_it in _by_conversation(turns).items():
            await self._decided(
                conversation_id, [turn for turn in of_it if turn.decision != decision], decision
            )
            unnamed = [turn for turn in of_it if turn.who == NOBODY and not _says(turn.segment, who)]
            await self._edit(conversation_id, unnamed, edit)
            _note(of_it, who, decision)

    async def take_back(self, turns: Sequence[Turn], who: Speaker, decision: Decision) -> None:
        """These, which a voice has named `who`, are nobody's; those of them that nobody has named by hand."""
        edit = SegmentEdit(ids=(), speaker=NOBODY, processed=True, was=who)
        for conversation_id, of_it in _by_conversation(turns).items():
            reasons = await self._means.decisions.decisions(self._uid, conversation_id)
            by_hand = {id for id, reason in reasons.items() if reason["verdict"] == "assigned"}
            theirs = [turn for turn in of_it if turn.segment.id not in by_hand]
            await self._decided(conversation_id, theirs, decision)
            await self._edit(conversation_id, theirs, edit)
            _note(theirs, NOBODY, decision)

    async def close(self, turn: Turn) -> None:
        """Its speaker's voice was not heard long enough, and will not be."""
        await self._edit(turn.conversation.id, [turn], SegmentEdit(ids=(), processed=True))

    async def _decided(self, conversation_id: str, turns: Sequence[Turn], decision: Decision) -> None:
        if turns:
            decisions = {turn.segment.id: decision for turn in turns}
            await self._means.decisions.decided(self._uid, conversation_id, decisions, self._means.now())

    async def _edit(self, conversation_id: str, turns: Sequence[Turn], edit: SegmentEdit) -> None:
        if not turns:
            return
        ids = tuple(turn.segment.id for turn in turns)
        gone = await self._means.edit(self._uid, conversation_id, replace(edit, ids=ids))
        left = tuple(id for id in ids if id not in (gone or ()))
        if gone and left:  # merged into others meanwhile
            await self._means.edit(self._uid, conversation_id, replace(edit, ids=left))


def _by_conversation(turns: Sequence[Turn]) -> dict[str, list[Turn]]:
    found: dict[str, list[Turn]] = {}
    for turn in turns:
        found.setdefault(turn.conversation.id, []).append(turn)
    return found


def _note(turns: Sequence[Turn], who: Speaker, decision: Decision) -> None:
    """They have been given this speaker, for this reason."""
    for turn in turns:
        turn.given, turn.decision = who, decision


def _says(segment: Segment, who: Speaker) -> bool:
    """Whether a segment is as it would be."""
    same = (segment.is_user, segment.person_id) == (who.is_user, who.person_id)
    return same and segment.speech_profile_processed
