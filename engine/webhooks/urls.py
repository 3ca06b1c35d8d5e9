"""URLs as users write them: `url,seconds` for audio, and queries that ours is merged into."""

from collections.abc import Mapping
from urllib.parse import unquote_plus, urlencode, urlsplit, urlunsplit

__all__ = ["DEFAULT_SECONDS", "split_seconds", "with_query"]

DEFAULT_SECONDS = 5
"""Of audio in a request, when the setting does not say."""
MOST_SECONDS = 300


def split_seconds(setting: str) -> tuple[str, int]:
    """The parts of `url,seconds`; seconds outside 1 to 300 are brought to the nearest of these.

    A comma belongs to the URL unless it is the only one and a whole number, or nothing, follows.
    """
    url, _, seconds = setting.strip().partition(",")
    if not seconds.strip():
        return url.strip(), DEFAULT_SECONDS
    try:
        return url.strip(), min(max(int(seconds), 1), MOST_SECONDS)
    except ValueError:
        return setting.strip(), DEFAULT_SECONDS


def with_query(url: str, query: Mapping[str, str]) -> str:
    """`url` with these parameters behind its own, which stay as they are written; in the place of those named alike."""
    parts = urlsplit(url)
    kept = [one for one in parts.query.split("&") if one and unquote_plus(one.partition("=")[0]) not in query]
    return urlunsplit(parts._replace(query="&".join([*kept, urlencode(query)]), fragment=""))
