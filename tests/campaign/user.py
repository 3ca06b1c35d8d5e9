"""One user with very many conversations, at work in a process of its own until standard input is closed.

    python -m tests.campaign.user PORT KIND CONVERSATIONS

Prints `ready` after the first piece of work, and at the end how many were done after it: what is begun is waited for.
"""

import select
import sys
from collections.abc import Callable, Iterator
from itertools import count, cycle

import httpx2

from bench.extraction import CONVERSATIONS, load, transcript_of
from tests.campaign.scale import PAGE, QUESTION, UID, conversation_id
from tests.patience import PATIENCE

PAUSE = 0.2
"""Seconds between two pieces of work."""


def reads_and_searches(http: httpx2.Client, conversations: int) -> Iterator[None]:
    """A page, a conversation, a search by meaning, a request at a time."""
    for number in count():
        id = conversation_id(number % conversations)
        for method, path, body in (
            ("GET", f"/v1/conversations?limit={PAGE}", None),
            ("GET", f"/v1/conversations/{id}", None),
            ("POST", "/v1/conversations/search", {"query": QUESTION}),
        ):
            http.request(method, path, json=body).raise_for_status()
            yield


def has_conversations_processed(http: httpx2.Client, _: int) -> Iterator[None]:
    """Conversations of some minutes, processed without a language model, one at a time."""
    for path in cycle(sorted((CONVERSATIONS / "tuning").glob("*.toml"))):
        segments = [
            {
                "text": one.text,
                "speaker": one.speaker,
                "is_user": one.is_user,
                "start": one.start,
                "end": one.end,
            }
            for one in transcript_of(load(path)).segments
        ]
        answer = http.post(
            "/v1/dev/user/conversations/from-segments", json={"transcript_segments": segments}
        ).raise_for_status()
        made = answer.json()
        while made["status"] == "processing":
            select.select([], [], [], PAUSE)
            made = http.get(f"/v1/conversations/{made['id']}").raise_for_status().json()
        assert made["status"] == "completed", made["status"]
        yield


KINDS: dict[str, Callable[[httpx2.Client, int], Iterator[None]]] = {
    "reads and searches": reads_and_searches,
    "has conversations processed": has_conversations_processed,
}


def main(port: int, kind: str, conversations: int) -> None:
    """As the module's text says."""
    headers = {"Authorization": f"Bearer dev:{UID}"}
    base = f"http://127.0.0.1:{port}"
    done = 0
    with httpx2.Client(base_url=base, headers=headers, timeout=PATIENCE) as http:
        work = KINDS[kind](http, conversations)
        next(work)
        print("ready", flush=True)
        while not select.select([sys.stdin], [], [], PAUSE)[0]:
            next(work)
            done += 1
    print(done, flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
