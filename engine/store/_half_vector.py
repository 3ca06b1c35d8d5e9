"""The column type of vectors: half-precision numbers, as pgvector's `halfvec` in PostgreSQL and as bytes elsewhere."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Dialect, LargeBinary, TypeDecorator
from sqlalchemy.dialects.postgresql.base import ischema_names
from sqlalchemy.types import TypeEngine, UserDefinedType

__all__ = ["HalfVector"]


class _HalfVec(UserDefinedType[str]):
    cache_ok = True
    render_bind_cast = True  # the driver calls every text `text`, which no operator of vectors takes

    def get_col_spec(self, **_: object) -> str:
        return "halfvec"


ischema_names["halfvec"] = _HalfVec  # so that a schema that is compared with the tables is understood


class HalfVector(TypeDecorator[NDArray[np.float32]]):
    """Takes a row of numbers, rounding them; gives, from bytes alone, the bytes of little-endian half precision."""

    impl = LargeBinary
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """PostgreSQL's own type, else bytes."""
        return dialect.type_descriptor(_HalfVec() if dialect.name == "postgresql" else LargeBinary())

    def process_bind_param(self, value: NDArray[np.float32] | None, dialect: Dialect) -> Any:
        """As the database takes it."""
        if value is None:
            return None
        halves = value.astype("<f2")
        if dialect.name == "postgresql":
            return f"[{','.join(map(str, halves.tolist()))}]"
        return halves.tobytes()
