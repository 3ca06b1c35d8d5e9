"""What was made of a conversation and its owner removed or said otherwise: it is not made again.

Operations: `leave_out` keeps the words of rows that are about to be removed or reworded; `unwanted_of` reads those of a
conversation, `move_unwanted` makes them another's; `unsaid` leaves out rows that say them again.
Invariants: every statement names the owner. Of each row the first words are kept: those that were made.
Bounded: one row for each action item or memory that was made; they go with their conversation.
Known doubts: what is made again in quite other words (see `SAME_WORDS`) comes back.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from sqlalchemy import ColumnElement, Connection, Table, and_, select, update

from engine.store.database import upsert
from engine.store.tables import conversations, unwanted
from engine.store.texts import words_of

__all__ = ["leave_out", "move_unwanted", "unsaid", "unwanted_of"]

SAME_WORDS = 2 / 3
"""Of all words of two texts, those that both have, from which one says what the other does."""

Row = TypeVar("Row")


def leave_out(connection: Connection, table: Table, text: str, where: ColumnElement[bool]) -> None:
    """Keep what the rows for which `where` holds say in the column `text`, of those whose conversation is there."""
    of, conversation = table.c, conversations.c
    whose = and_(
        conversation.uid == of.uid, conversation.id == of.conversation_id, conversation.deleted_at.is_(None)
    )
    rows = select(of.uid, of.conversation_id, of.id, of[text]).where(where).join(conversations, whose)
    columns = [column.name for column in unwanted.c]
    connection.execute(
        upsert(connection.dialect.name, unwanted).from_select(columns, rows).on_conflict_do_nothing()
    )


def unwanted_of(connection: Connection, uid: str, conversation_id: str) -> list[str]:
    """What a conversation is to be without."""
    of_it = unwanted.c.uid == uid, unwanted.c.conversation_id == conversation_id
    return list(connection.execute(select(unwanted.c.text).where(*of_it)).scalars())


def move_unwanted(connection: Connection, uid: str, sources: Sequence[str], conversation_id: str) -> None:
    """What `sources` are to be without, a conversation that is made of them is, too."""
    of_them = and_(unwanted.c.uid == uid, unwanted.c.conversation_id.in_(sources))
    connection.execute(update(unwanted).where(of_them).values(conversation_id=conversation_id))


def unsaid(rows: Iterable[Row], text_of: Callable[[Row], str], said: Sequence[str]) -> list[Row]:
    """`rows` without those that say one of `said` again, each of which stands for one row at most: the likest.

    A model words things a little otherwise each time, so not all words need be the same.
    """
    left = list(rows)
    alike = sorted(
        (
            (likeness, at, place)
            for at, text in enumerate(said)
            for place, row in enumerate(left)
            if (likeness := _likeness(text, text_of(row))) >= SAME_WORDS
        ),
        reverse=True,
    )
    gone: set[int] = set()
    spent: set[int] = set()
    for _, at, place in alike:
        if at not in spent and place not in gone:
            spent.add(at)
            gone.add(place)
    return [row for place, row in enumerate(left) if place not in gone]


def _likeness(one: str, other: str) -> float:
    """Of all words of both, those that both have; 1 where the texts are the same."""
    if one.casefold() == other.casefold():
        return 1.0
    first, second = set(words_of(one)), set(words_of(other))
    return len(first & second) / len(first | second) if first | second else 0.0
