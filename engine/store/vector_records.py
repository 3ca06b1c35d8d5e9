"""What is kept of a vector, what is asked for, and what is found: values for `engine.store.vectors`."""

from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

__all__ = ["VectorFilter", "VectorHit", "VectorKind", "VectorRow"]

VectorKind = Literal["conversation", "memory", "action_item"]

_LABELS = ("people", "topics", "entities")


class VectorRow(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A vector and what it is found by. `vector` may have any length above 0; it is kept with length 1.

    `created_at`: µs since the epoch, of what the vector stands for.
    """

    uid: str
    kind: VectorKind
    id: str
    model: str
    created_at: int
    vector: NDArray[np.float32]
    people: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    entities: tuple[str, ...] = ()

    @property
    def labels(self) -> frozenset[tuple[str, str]]:
        """People, topics and entities as they are kept: what each is, and in small letters."""
        return _labels(self)


class VectorFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which vectors a search looks at.

    `start` and `end` (µs, both inclusive) bound `created_at`. Of people, topics and entities one at least must be the
    vector's, in whatever case; with none given there is no such condition.
    """

    start: int | None = None
    end: int | None = None
    people: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    entities: tuple[str, ...] = ()

    @property
    def labels(self) -> frozenset[tuple[str, str]]:
        """What is asked for, as `VectorRow.labels`."""
        return _labels(self)


class VectorHit(msgspec.Struct, frozen=True):
    """One found. `score` is the cosine; `matches` counts the filter's people, topics and entities that it has."""

    id: str
    score: float
    created_at: int
    matches: int


def _labels(of: VectorRow | VectorFilter) -> frozenset[tuple[str, str]]:
    return frozenset((what, label.casefold()) for what in _LABELS for label in getattr(of, what))
