"""Edits by hand of what was said, while the conversation still goes on.

Who holds a conversation knows the revision of each of its segments, and its last one, to which words are still
joined. So an edit is a revision like any other: made of what the database has, if that is the latest, known here
from then on, and kept through a journal.
"""

from engine.conversation.keeping import Keeping
from engine.conversation.live import LiveConversation
from engine.conversation.ports import Conversations
from engine.store.edits import SegmentEdit, edited
from engine.store.records import SegmentsChanged

__all__ = ["edit_live"]


async def edit_live(
    conversation: LiveConversation, edit: SegmentEdit, table: Conversations, keeping: Keeping
) -> list[str] | None:
    """Edit segments; returns those that are not there, with which nothing was changed.

    None when the conversation has ended meanwhile: then all of it is in the database, and nobody holds it.
    """
    row = conversation.row
    while True:
        await keeping.flush()
        kept = {one.id: one for one in await keeping.patiently(table.segments, row.uid, row.id)}
        if conversation.closed:
            await conversation.over.wait()
            return None
        revisions = conversation.revisions
        missing = [id for id in edit.ids if id not in revisions]
        if missing:
            return missing
        if all(id in kept and kept[id].revision == revisions[id] for id in edit.ids):
            break  # else more was said while we read
    changed = tuple(edited(kept[id], edit) for id in edit.ids)
    conversation.amend(changed)
    times = conversation.row.finished_at, conversation.row.last_speech_at
    await keeping.record((SegmentsChanged(row.uid, row.id, changed, *times),))
    for participant in list(conversation.participants.values()):
        if edit.from_now_on and edit.speaker is not None:
            for label in {segment.speaker for segment in changed}:
                participant.assign(label, edit.speaker)
        participant.show(conversation, changed)
    return []
