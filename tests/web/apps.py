"""Apps as their makers register them over REST."""

from typing import Any

from tests.web.serving import Site

__all__ = ["MAKER", "make", "submission"]

MAKER = "maker"


def submission(**said: Any) -> dict[str, Any]:
    """What a public app says of itself."""
    return {
        "name": "Notes",
        "description": "Takes notes.",
        "author": "Ann",
        "category": "productivity-and-organization",
        "private": False,
        "capabilities": ["chat"],
        "chat_prompt": "Be brief.",
        **said,
    }


async def make(served: Site, uid: str = MAKER, **said: Any) -> str:
    """Register an app; its id."""
    answer = await served.request("POST", "/v1/apps", uid=uid, json=submission(**said))
    assert answer.status_code == 200, answer.text
    return str(answer.json()["app_id"])
