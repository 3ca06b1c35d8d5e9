"""The column type of what full text search looks at: a `tsvector` in PostgreSQL, plain text elsewhere."""

from typing import Any

from sqlalchemy import Dialect, Text, TypeDecorator
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.types import TypeEngine

__all__ = ["SearchWords"]


class SearchWords(TypeDecorator[str]):
    """Written by `engine.store.texts` alone, and never read back."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """PostgreSQL's own type, else text."""
        return dialect.type_descriptor(TSVECTOR() if dialect.name == "postgresql" else Text())
