"""A language model for a whole server that misbehaves in every way the stand-in knows, each user meeting one of them.

A user's number is in what a request says: `Once07` in what is asked about a user whom the seventh mishap befalls at the
first request of each kind, `Always07` about one whom it befalls each time.
"""

import re
from typing import Any

import msgspec

from engine.testing import LlmMishap, LlmRequest, OpenAiStandIn, Reply, SaidCall, Wrong
from tests.conversation.talk import NOTES, SAID

DIMENSIONS = 64

BUDGET_SAID = (
    (0, "The budget for next year has to be with Ines by Thursday."),
    (1, "I will add up the travel costs tomorrow."),
    (0, "And I'll ask accounting for last year's invoices."),
    (1, "They were late with them in spring."),
    (0, "Let us sit down on Saturday the fourth at nine, then."),
    (1, "Fine, I'll bring the printed sheets."),
)
BUDGET_NOTES = NOTES | {
    "title": "Money for next year",
    "overview": "They add up what the department will spend.",
    "category": "finance",
    "action_items": [
        {
            "description": "Add up the travel costs",
            "speaker": "SPEAKER_01",
            "due": "2026-03-28",
            "completed": False,
            "lines": [2],
        }
    ],
    "events": [],
    "memories": [],
    "people": ["Ines"],
    "topics": ["budget"],
    "entities": ["accounting"],
}
TALKS = {"boat": (SAID, NOTES), "budget": (BUDGET_SAID, BUDGET_NOTES)}

QUESTION = "Which duties for boat trip did people share out: sandwiches harbour Marta ?"
"""Some of its words are in no conversation."""

_OF_TEXT = frozenset(
    (
        Wrong.EMPTY,
        Wrong.NOT_JSON,
        Wrong.WRONG_SHAPE,
        Wrong.TRUNCATED,
        Wrong.LENGTH,
        Wrong.FENCE,
        Wrong.PROSE,
        Wrong.NAN,
        Wrong.WRONG_ENUM,
        Wrong.MISSING,
        Wrong.EXTRA,
        Wrong.WRONG_TYPES,
        Wrong.INVENTED,
        Wrong.ABSURD_DATES,
        Wrong.TOO_MANY,
        Wrong.TOO_LONG,
        Wrong.REPEATED,
    )
)
_STATUSES = (
    LlmMishap(wrong=Wrong.STATUS, status=429, headers=(("retry-after", "0.1"),)),
    LlmMishap(wrong=Wrong.STATUS, status=429, headers=(("retry-after", "999999999"),)),
    LlmMishap(wrong=Wrong.STATUS, status=429, code="insufficient_quota"),
    LlmMishap(wrong=Wrong.STATUS, status=500),
    LlmMishap(wrong=Wrong.STATUS, status=503, body=b"<html>no server</html>"),
    LlmMishap(wrong=Wrong.STATUS, status=401, code="invalid_api_key"),
    LlmMishap(wrong=Wrong.STATUS, status=404, code="model_not_found"),
    LlmMishap(wrong=Wrong.STATUS, status=400, code="context_length_exceeded"),
    LlmMishap(wrong=Wrong.BODY, body=b"<html>Sign in</html>"),
    LlmMishap(wrong=Wrong.BODY, body=b'{"choices": [{"message": "hi"}]}'),
    LlmMishap(wrong=Wrong.BODY, body=b"[" * 100_000),
)
MISHAPS = (
    *(LlmMishap(wrong=wrong, seconds=0.02) for wrong in Wrong if wrong not in (Wrong.STATUS, Wrong.BODY)),
    *_STATUSES,
)

_MARK = re.compile(r"(Once|Always)(\d\d)")
_SHOWN_BOAT = re.compile(r"\[(\d+)\] Boat")


LISTED = (
    Wrong.DROP,
    Wrong.SILENCE,
    Wrong.CUT,
    Wrong.SLOW,
    Wrong.NOT_JSON,
    Wrong.TRUNCATED,
    Wrong.WRONG_ENUM,
    Wrong.INVENTED,
    Wrong.ABSURD_DATES,
    Wrong.NAN,
)
SOME = tuple(
    number
    for number, mishap in enumerate(MISHAPS)
    if mishap.wrong in LISTED or (mishap.status in (429, 500) and mishap in _STATUSES and not mishap.code)
)
"""The numbers of one of each family."""


def name_of(mishap: LlmMishap) -> str:
    """Of a mishap, in what a test says."""
    return f"{mishap.wrong.name} {mishap.status} {mishap.code or ''}".strip()


def model() -> OpenAiStandIn:
    """Takes notes, looks conversations up before it answers, and is befallen by what users' numbers say."""
    seen: set[tuple[str, str]] = set()

    def befalls(request: LlmRequest) -> LlmMishap | None:
        mark = _MARK.search(_all_text(request))
        if mark is None:
            return None
        kind, mishap = _kind(request), MISHAPS[int(mark[2])]
        if mishap.wrong in _OF_TEXT and request.schema is None and kind != "embed":
            return None
        if mark[1] == "Once":
            if (mark[0], kind) in seen:
                return None
            seen.add((mark[0], kind))
        return mishap

    return OpenAiStandIn(answer, befalls=befalls, dimensions=DIMENSIONS)


def answer(request: LlmRequest) -> Reply:
    """As a good model does, but for a citation that it makes up."""
    if request.schema is not None:
        return Reply(msgspec.json.encode(_object_for(request)).decode())
    messages = request.body["messages"]
    if request.body.get("tools") and messages[-1]["role"] != "tool":
        arguments = msgspec.json.encode({"query": "a boat trip to share out"}).decode()
        return Reply(calls=(SaidCall("search_conversations", arguments),))
    shown = _SHOWN_BOAT.search(_all_text(request))
    cited = f"[{shown[1]}]" if shown else ""
    return Reply(f"They will {cited} call the harbour, bring food and write to Marta [99].")


def _object_for(request: LlmRequest) -> dict[str, Any]:
    assert request.schema is not None
    if "needs_context" in request.schema["properties"]:
        about = {"needs_context": True, "question": QUESTION, "people": [], "topics": []}
        return about | {"start": None, "end": None}
    said = _all_text(request)
    mark = _MARK.search(said)
    notes = NOTES if "harbour" in said else BUDGET_NOTES
    return notes | {"title": f"{notes['title']} {mark[0] if mark else ''}".strip()}


def _kind(request: LlmRequest) -> str:
    if "input" in request.body:
        return "embed"
    if request.body.get("stream"):
        return "stream"
    return "need" if request.schema and "needs_context" in request.schema["properties"] else "notes"


def _all_text(request: LlmRequest) -> str:
    return msgspec.json.encode(request.body).decode()
