"""Routes as the application keeps them.

Werkzeug compiles two functions for each route that make a URL of the route's name, which takes longer than all else
that starting the application does. Nothing here makes URLs so: they are compiled when they are first called.
"""

from collections.abc import Callable
from typing import Any

from quart.routing import QuartRule

__all__ = ["LazyRule"]


class LazyRule(QuartRule):
    """A route that is matched; the functions that make its URL are compiled when they are first called."""

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        return _build_unknown if append_unknown else _build

    def compile_now(self, append_unknown: bool) -> Callable[..., tuple[str, str]]:
        """What Werkzeug compiles."""
        compiled: Callable[..., tuple[str, str]] = (
            super()._compile_builder(append_unknown).__get__(self, None)
        )
        return compiled


def _build(rule: LazyRule, /, **parts: Any) -> tuple[str, str]:
    rule._build = rule.compile_now(False)
    return rule._build(**parts)


def _build_unknown(rule: LazyRule, /, **parts: Any) -> tuple[str, str]:
    rule._build_unknown = rule.compile_now(True)
    return rule._build_unknown(**parts)
