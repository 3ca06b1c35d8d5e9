"""Ids of what users make: drawn, or within `ids_of` those that a request had when it was done before."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import count
from uuid import UUID, uuid4, uuid5

__all__ = ["ids_of", "new_id"]

_made: ContextVar[Iterator[str] | None] = ContextVar("made", default=None)


def new_id() -> str:
    """A UUID as text, that of nothing else."""
    made = _made.get()
    return str(uuid4()) if made is None else next(made)


@contextmanager
def ids_of(seed: str) -> Iterator[None]:
    """Within the block `new_id` gives the same ids, in their order, whenever it is entered with the same seed.

    `seed`: 32 hexadecimal digits. Tasks that are begun in the block are in it, too.
    """
    name = UUID(seed)
    before = _made.set(str(uuid5(name, str(number))) for number in count())
    try:
        yield
    finally:
        _made.reset(before)
