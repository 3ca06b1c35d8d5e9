"""Routes as the application keeps them.

Werkzeug compiles two functions for each route that make a URL of the route's name, which takes longer than all else
that starting the application does. Nothing here makes URLs so: they are compiled when they are first called.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

from quart.routing import QuartRule

__all__ = ["LazyRule"]


class LazyRule(QuartRule):
    """A route that is matched; the functions that make its URL are compiled when they are first called."""

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        compile_now = super()._compile_builder

        @cache
        def compiled() -> Callable[..., tuple[str, str]]:
            return compile_now(append_unknown)

        def build(*args: Any, **parts: Any) -> tuple[str, str]:
            return compiled()(*args, **parts)

        return build
