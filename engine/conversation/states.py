"""The life of a conversation, as a table. It is durable: each move is one transaction of the database.

    in_progress   sessions write to it
    processing    nobody writes any more; a job makes of it what its owner will read, and is there until it is done
    completed     it can be read, also when it was discarded because nothing in it was worth keeping
    failed        processing was given up; `failure` says why, and what was said is still there
    merging       it becomes part of another one, which is `processing`; then it is deleted

Both ways to end a conversation lead to the same `process_conversation`; that its owner asked for it only means that
it is never discarded. A stub in which nothing was said is deleted when its silence has lasted, without being
processed. Deleting is no state: a deleted conversation (`deleted_at`) is hidden whatever its status, has no job and
no vectors, and is erased after `conversation.erase_delay`.

A move that finds a conversation in another status than it may start from changes nothing, so of several who want to
end, process or merge one, one does. SILENCE and FINISHED come through the journal (`ConversationClosed`), which moves
a conversation to a higher rank only and may be replayed; the others go to the database.
"""

from collections.abc import Mapping
from enum import Enum, auto
from types import MappingProxyType

import msgspec

from engine.store.records import COMPLETED, FAILED, IN_PROGRESS, MERGING, PROCESSING

__all__ = ["MOVES", "Move", "Trigger", "statuses_before"]


class Trigger(Enum):
    """What moves a conversation."""

    SILENCE = auto()
    FINISHED = auto()
    GIVEN = auto()
    PROCESSED = auto()
    GIVEN_UP = auto()
    REPROCESSED = auto()
    MERGED = auto()
    NOT_MERGED = auto()


class Move(msgspec.Struct, frozen=True):
    """One row of the table. `before` is empty for conversations that begin with this move."""

    before: frozenset[str]
    after: str
    by: str
    does: str


DONE = frozenset((COMPLETED, FAILED))

MOVES: Mapping[Trigger, Move] = MappingProxyType(
    {
        Trigger.SILENCE: Move(
            frozenset((IN_PROGRESS,)),
            PROCESSING,
            "the process that has the user, when conversation_timeout has passed without speech",
            "adds the job; tells live sessions memory_processing_started",
        ),
        Trigger.FINISHED: Move(
            frozenset((IN_PROGRESS,)),
            PROCESSING,
            "its owner, by POST /v1/conversations or …/finalize",
            "the same, and it will not be discarded",
        ),
        Trigger.GIVEN: Move(
            frozenset(),
            PROCESSING,
            "its owner or an app of theirs, with a text or a transcript that is whole",
            "keeps it and adds the job",
        ),
        Trigger.PROCESSED: Move(
            frozenset((PROCESSING,)),
            COMPLETED,
            "whoever holds the claim on its job",
            "keeps all that was made of it, ends the job, deletes what it was merged from; tells live sessions"
            " memory_created",
        ),
        Trigger.GIVEN_UP: Move(
            frozenset((PROCESSING,)),
            FAILED,
            "the same, after conversation.tries",
            "keeps the reason and the failed job; tells live sessions memory_created",
        ),
        Trigger.REPROCESSED: Move(
            DONE,
            PROCESSING,
            "its owner, by POST …/reprocess",
            "adds the job anew; it will not be discarded",
        ),
        Trigger.MERGED: Move(
            DONE,
            MERGING,
            "its owner, by POST /v1/conversations/merge",
            "makes a new conversation of the segments of all, with its job",
        ),
        Trigger.NOT_MERGED: Move(
            frozenset((MERGING,)),
            COMPLETED,
            "whatever ends the new conversation otherwise: it has failed, or was deleted",
            "nothing else",
        ),
    }
)


def statuses_before(trigger: Trigger) -> frozenset[str]:
    """The statuses from which `trigger` moves a conversation."""
    return MOVES[trigger].before
