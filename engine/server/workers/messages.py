"""What the processes of one server say to each other, as MessagePack. For who does what see
`engine.server.workers.supervisor`.

A worker is known by its owner's name, which it has in leases, and which no later process has again.
"""

from pathlib import Path
from typing import Any, Literal

import msgspec

from engine.config import Config
from engine.server.workers.port import Address
from engine.store.edits import SegmentEdit
from engine.store.records import ConversationRow
from engine.wire import ListenParameters
from engine.wire.messages import ProactiveMessage

__all__ = [
    "SUPERVISOR",
    "Announce",
    "Assignment",
    "Delete",
    "Deleted",
    "Edit",
    "Edited",
    "Failed",
    "Family",
    "Finish",
    "Finished",
    "Go",
    "Listen",
    "Measure",
    "Measured",
    "Question",
    "Recover",
    "Reported",
    "Series",
    "Stage",
    "Tell",
    "Yield",
    "Yielded",
    "decode_assignment",
    "encode_assignment",
    "socket_of",
]

SUPERVISOR = "supervisor"

Stage = Literal["up", "warm"]


class Assignment(msgspec.Struct, frozen=True):
    """What a worker is told when it begins. `late`: it listens only once it is ready, for others are already.

    `folder` is where the processes' sockets are.
    """

    owner: str
    number: int
    config: Config
    addresses: tuple[Address, ...]
    folder: Path
    late: bool


class Reported(msgspec.Struct, frozen=True, tag="reported"):
    """To the supervisor. `up`: it can take over what others left; `warm`: its models are loaded."""

    owner: str
    stage: Stage


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """To the supervisor: a worker cannot start, and why."""

    owner: str
    reason: str


class Measure(msgspec.Struct, frozen=True, tag="measure"):
    """Of a worker its own metrics; of the supervisor those of all. Answered with `Measured`."""


class Recover(msgspec.Struct, frozen=True, tag="recover"):
    """To a worker: these have died; take over what they left. None: everything is left over. Answered with True."""

    owners: tuple[str, ...] | None


class Go(msgspec.Struct, frozen=True, tag="go"):
    """To a worker: take clients. Said again whenever the number of workers that do so has changed.

    Answered with True.
    """

    ready: int
    workers: int


class Yield(msgspec.Struct, frozen=True, tag="yield"):
    """To the worker that has a user: a session of theirs began at worker `to`. Answered with `Yielded`."""

    uid: str
    to: str


class Yielded(msgspec.Struct, frozen=True):
    """`given`: the user is the asker's now, who connected so many seconds ago each within the last minute.

    Else a session of theirs is here, and the new one belongs beside it.
    """

    given: bool
    connects: tuple[float, ...] = ()


class Finish(msgspec.Struct, frozen=True, tag="finish"):
    """To the worker that has a user: end their conversation, or the one named. Answered with `Finished`.

    `wait`: until it has been processed.
    """

    uid: str
    conversation_id: str | None
    wait: bool


class Finished(msgspec.Struct, frozen=True):
    """The conversation that was ended, if there was one. `here`: the user was the answerer's."""

    row: ConversationRow | None
    here: bool


class Delete(msgspec.Struct, frozen=True, tag="delete"):
    """To the worker that has a user: remove a conversation. Answered with `Deleted`."""

    uid: str
    conversation_id: str
    cascade: bool


class Deleted(msgspec.Struct, frozen=True):
    """Whether there was one. `here` as in `Finished`."""

    found: bool
    here: bool


class Tell(msgspec.Struct, frozen=True, tag="tell"):
    """To the worker that has a user: a conversation of theirs was processed. Answered with True."""

    uid: str
    conversation_id: str


class Announce(msgspec.Struct, frozen=True, tag="announce"):
    """To the worker that has a user: tell their sessions. Answered with whether there was one."""

    uid: str
    message: ProactiveMessage


class Edit(msgspec.Struct, frozen=True, tag="edit"):
    """To the worker that has a user: edit what was said in a conversation in progress. Answered with `Edited`."""

    uid: str
    conversation_id: str
    edit: SegmentEdit


class Edited(msgspec.Struct, frozen=True):
    """The segments that were not there; None: nobody holds the conversation. `here` as in `Finished`."""

    missing: list[str] | None
    here: bool


class Listen(msgspec.Struct, frozen=True, tag="listen"):
    """To the worker that has a user: serve this session of theirs. What follows is in `engine.server.workers.relay`.

    `hops`: how many workers it has come through.
    """

    uid: str
    parameters: ListenParameters
    hops: int


class Series(msgspec.Struct, frozen=True, array_like=True):
    """One sample of a metric."""

    name: str
    labels: dict[str, str]
    value: float


class Family(msgspec.Struct, frozen=True, array_like=True):
    """One metric with all its samples. `kind`: counter, gauge, histogram or unknown."""

    name: str
    help: str
    kind: str
    series: tuple[Series, ...]


class Measured(msgspec.Struct, frozen=True):
    """Metrics at one moment."""

    families: tuple[Family, ...]


Question = (
    Reported | Failed | Measure | Recover | Go | Yield | Finish | Delete | Tell | Announce | Listen | Edit
)


def socket_of(folder: Path, owner: str) -> Path:
    """Where that worker (or `SUPERVISOR`) takes questions."""
    return folder / f"{owner}.sock"


def encode_assignment(assignment: Assignment) -> bytes:
    """An assignment as it is sent. It holds keys: only over a channel that nobody else reads."""
    return msgspec.msgpack.encode(assignment, enc_hook=str)


def decode_assignment(data: bytes) -> Assignment:
    """What `encode_assignment` made."""
    return msgspec.msgpack.decode(data, type=Assignment, dec_hook=_from_text)


def _from_text(kind: type, value: Any) -> Any:
    if kind is Path:
        return Path(value)
    raise NotImplementedError(kind)
