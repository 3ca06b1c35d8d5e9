"""What the owner of a conversation changes about it by hand.

Operations: `set_title`, `set_starred`, `set_visibility`, `set_events`, `set_items`, `describe_item`, `delete_items`,
`edit_segments`; `owner_of_shared` finds whose conversation is behind a link.
Invariants: every change names the owner and is one transaction, with it what the conversation is found by in full text
search. An edited segment has a new revision, so that no older journal brings back what it was. A title that is given
while a conversation is processed is its title afterwards; action items that are deleted or rewritten do not come back,
whenever it is processed (but in quite other words), and events that are in a calendar stay marked so.
Bounded: by the conversation.
Cancellation: a cancelled call may still have taken effect; calling again does no harm.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, delete, false, select, update

from engine.store import jobs
from engine.store.action_items import action_items_of
from engine.store.database import Database, WallClock, upsert
from engine.store.indexed import forget_rows, index_rows
from engine.store.jobs import PROCESS
from engine.store.owned import change_row
from engine.store.tables import action_items, conversations, segments, shared_conversations
from engine.store.texts import index_ended
from engine.store.unwanted import leave_out
from engine.store.user_records import ActionItemRow
from engine.wire.messages import Segment, Speaker

__all__ = ["Edits", "SegmentEdit", "Speaker", "edited"]

PRIVATE = "private"


class SegmentEdit(msgspec.Struct, frozen=True, kw_only=True):
    """What changes of the segments with these ids; None stays. `label`: whose of the conversation's speakers they are.

    `processed`: they have been compared with the voices that are known. `was`: who is said to be another than
    this stays who they are. `from_now_on`: what these speakers go on to say in live sessions is `speaker`'s, too.
    """

    ids: tuple[str, ...]
    text: str | None = None
    speaker: Speaker | None = None
    label: str | None = None
    processed: bool | None = None
    was: Speaker | None = None
    from_now_on: bool = False


def edited(segment: Segment, edit: SegmentEdit) -> Segment:
    """The segment's next revision. Translations of another text go."""
    changes: dict[str, Any] = {"revision": segment.revision + 1}
    if edit.text is not None and edit.text != segment.text:
        changes |= {"text": edit.text, "translations": ()}
    who = Speaker(segment.is_user, segment.person_id)
    if edit.speaker is not None and edit.was in (None, who):
        changes |= {"is_user": edit.speaker.is_user, "person_id": edit.speaker.person_id}
    if edit.label is not None:
        changes["speaker"] = edit.label
    if edit.processed is not None:
        changes["speech_profile_processed"] = edit.processed
    return msgspec.structs.replace(segment, **changes)


class Edits:
    """Of all users' conversations."""

    def __init__(self, database: Database, now: WallClock) -> None:
        self._database = database
        self._now = now

    async def set_title(self, uid: str, id: str, title: str) -> bool:
        """False when there is no such conversation; so with all that follows."""
        return await self._database.write(_set_title, uid, id, title)

    async def set_starred(self, uid: str, id: str, starred: bool) -> bool:
        """Whether it is one of the user's favourites."""
        return await self._database.write(_set, uid, id, {"starred": starred})

    async def set_discarded(self, uid: str, id: str, discarded: bool) -> bool:
        """Whether there was nothing in it worth keeping."""
        return await self._database.write(_set, uid, id, {"discarded": discarded})

    async def set_visibility(self, uid: str, id: str, visibility: str) -> bool:
        """`private`, `shared` or `public`; but for the first, whoever has its id may read it.

        Raises `ValueError` when another user's conversation of the same id is shared already.
        """
        return await self._database.write(_set_visibility, uid, id, visibility)

    async def owner_of_shared(self, id: str) -> str | None:
        """The uid of whose conversation is behind a link; None behind none."""
        query = select(shared_conversations.c.uid).where(shared_conversations.c.id == id)
        return await self._database.read(lambda connection: connection.execute(query).scalar())

    async def set_events(self, uid: str, id: str, created: Mapping[int, bool]) -> bool:
        """Whether its events, by their place, are in the calendar. Raises `IndexError` naming a place there is not."""
        return await self._database.write(_set_events, uid, id, dict(created))

    async def set_items(self, uid: str, id: str, completed: Mapping[int, bool]) -> bool:
        """Whether its action items, by their place, are done. Raises `IndexError` naming a place there is not."""
        return await self._database.write(_set_items, uid, id, dict(completed), self._now())

    async def describe_item(self, uid: str, id: str, old: str, new: str) -> bool:
        """Change the description of the first action item that has the description `old`."""
        return await self._database.write(_describe_item, uid, id, old, new, self._now())

    async def delete_items(self, uid: str, id: str, description: str | None) -> int:
        """Delete its action items of this description, or all of them; how many there were."""
        return await self._database.write(_delete_items, uid, id, description)

    async def edit_segments(self, uid: str, id: str, edit: SegmentEdit) -> list[str]:
        """Edit segments; returns those of `edit.ids` that are not there, with which nothing was changed."""
        return await self._database.write(_edit_segments, uid, id, edit)


def _is(uid: str, id: str) -> ColumnElement[bool]:
    return and_(conversations.c.uid == uid, conversations.c.id == id, conversations.c.deleted_at.is_(None))


def _set(connection: Connection, uid: str, id: str, values: Mapping[str, Any]) -> bool:
    return connection.execute(update(conversations).where(_is(uid, id)).values(values)).rowcount > 0


def _structured(
    connection: Connection, uid: str, id: str, change: Callable[[dict[str, Any]], dict[str, Any]]
) -> bool:
    structured = connection.execute(select(conversations.c.structured).where(_is(uid, id))).scalar()
    return structured is not None and _set(connection, uid, id, {"structured": change(structured)})


def _set_title(connection: Connection, uid: str, id: str, title: str) -> bool:
    found = _structured(connection, uid, id, lambda structured: structured | {"title": title})
    jobs.note(connection, uid, PROCESS, id, {"title": title})
    index_ended(connection, uid, id)
    return found


def _set_events(connection: Connection, uid: str, id: str, created: dict[int, bool]) -> bool:
    def change(structured: dict[str, Any]) -> dict[str, Any]:
        events = [dict(event) for event in structured.get("events", ())]
        _check_places(created, events)
        for place, value in created.items():
            events[place]["created"] = value
        return structured | {"events": events}

    return _structured(connection, uid, id, change)


def _set_visibility(connection: Connection, uid: str, id: str, visibility: str) -> bool:
    if not _set(connection, uid, id, {"visibility": visibility}):
        return False
    link = shared_conversations.c
    if visibility == PRIVATE:
        connection.execute(delete(shared_conversations).where(link.id == id, link.uid == uid))
        return True
    statement = upsert(connection.dialect.name, shared_conversations).values(id=id, uid=uid)
    connection.execute(statement.on_conflict_do_nothing())
    if connection.execute(select(link.uid).where(link.id == id)).scalar() != uid:
        raise ValueError("a conversation of this id is shared by somebody else")
    return True


def _items(connection: Connection, uid: str, id: str) -> list[ActionItemRow]:
    if not connection.execute(select(conversations.c.id).where(_is(uid, id))).first():
        return []
    return action_items_of(connection, [(uid, id)]).get((uid, id), [])


def _these(uid: str, *ids: str) -> ColumnElement[bool]:
    return and_(action_items.c.uid == uid, action_items.c.id.in_(ids))


def _change_item(connection: Connection, item: ActionItemRow, values: dict[str, Any]) -> ActionItemRow:
    there = _these(item.uid, item.id)
    changed = change_row(connection, action_items, ActionItemRow, there, values | {"by_owner": True})
    assert changed is not None, "it was read in this transaction"
    return changed


def _set_items(connection: Connection, uid: str, id: str, completed: dict[int, bool], now: int) -> bool:
    if not connection.execute(select(conversations.c.id).where(_is(uid, id))).first():
        return False
    items = _items(connection, uid, id)
    _check_places(completed, items)
    for place, done in completed.items():
        values = {"completed": done, "completed_at": now if done else None, "updated_at": now}
        _change_item(connection, items[place], values)
    return True


def _check_places(wanted: Mapping[int, bool], there: Sequence[object]) -> None:
    for place in wanted:
        if not 0 <= place < len(there):
            raise IndexError(f"{place} given, a place among {len(there)}, counted from 0, accepted")


def _describe_item(connection: Connection, uid: str, id: str, old: str, new: str, now: int) -> bool:
    item = next((item for item in _items(connection, uid, id) if item.description == old), None)
    if item is None:
        return False
    leave_out(connection, action_items, "description", _these(uid, item.id))
    changed = _change_item(connection, item, {"description": new, "updated_at": now})
    index_rows(connection, "action_item", [changed], now)
    index_ended(connection, uid, id)
    return True


def _delete_items(connection: Connection, uid: str, id: str, description: str | None) -> int:
    items = _items(connection, uid, id)
    gone = [item for item in items if description is None or item.description == description]
    if gone:
        leave_out(connection, action_items, "description", _these(uid, *(item.id for item in gone)))
        forget_rows(connection, uid, "action_item", [item.id for item in gone])
        index_ended(connection, uid, id)
    return len(gone)


def _edit_segments(connection: Connection, uid: str, id: str, edit: SegmentEdit) -> list[str]:
    of_it = and_(segments.c.uid == uid, segments.c.conversation_id == id)
    if not connection.execute(select(conversations.c.id).where(_is(uid, id))).first():
        return list(edit.ids)
    there = select(segments.c.id).where(of_it, segments.c.deleted == false(), segments.c.id.in_(edit.ids))
    known = set(connection.execute(there).scalars())
    missing = [one for one in edit.ids if one not in known]
    if missing:
        return missing
    values: dict[str, Any] = {"revision": segments.c.revision + 1}
    if edit.text is not None:
        values |= {"text": edit.text, "translations": []}
    if edit.was is not None:
        named = and_(segments.c.is_user == edit.was.is_user, segments.c.person_id == edit.was.person_id)
        of_it = and_(of_it, named)
    if edit.speaker is not None:
        values |= {"is_user": edit.speaker.is_user, "person_id": edit.speaker.person_id}
    if edit.label is not None:
        values["speaker"] = edit.label
    if edit.processed is not None:
        values["speech_profile_processed"] = edit.processed
    connection.execute(update(segments).where(of_it, segments.c.id.in_(edit.ids)).values(values))
    if edit.text is not None:
        index_ended(connection, uid, id)
    return []
