"""How many requests one caller may make: over the limit they are a 429 that says when there is room.

Operations: `RateLimit.take` counts one request; `limited` puts it before a way to find out who asks.
What holds, what is bounded and what it costs is said in `engine.rate_limit`.
"""

from quart import Request

from engine import rate_limit
from engine.rate_limit import CALLERS
from engine.web.api import Identify
from engine.web.errors import ApiError

__all__ = ["CALLERS", "RateLimit", "limited"]


class RateLimit(rate_limit.RateLimit):
    """At most `count` requests in `span` seconds of each caller. `clock`: seconds that never go back."""

    def take(self, caller: str) -> float:
        """Count one request. Raises `ApiError` 429 when there is no room, and then counts nothing."""
        wait = super().take(caller)
        if wait:
            limit = f"{self.count} requests in {self.span:g} s are the most allowed"
            raise ApiError(429, f"{limit}: try again in {wait:.1f} s", retry_after=wait)
        return wait


def limited(identify: Identify, limit: RateLimit) -> Identify:
    """As `identify`, and the request counts for the uid it finds."""

    async def identify_limited(request: Request) -> str:
        uid = await identify(request)
        limit.take(uid)
        return uid

    return identify_limited
