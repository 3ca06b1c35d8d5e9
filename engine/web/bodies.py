"""How large a request's body may be: `web.body_limit`, but for the routes that say otherwise."""

from collections.abc import Mapping
from typing import Any

from quart_trio.wrappers import TrioRequest

__all__ = ["request_class"]


def request_class(limits: Mapping[str, int]) -> type[TrioRequest]:
    """Requests of an application in which these paths have these limits, in bytes."""

    class LimitedRequest(TrioRequest):
        """A request whose path says how large its body may be."""

        def __init__(self, method: str, scheme: str, path: str, *rest: Any, **options: Any) -> None:
            if path in limits:
                options["max_content_length"] = limits[path]
            super().__init__(method, scheme, path, *rest, **options)

    return LimitedRequest
