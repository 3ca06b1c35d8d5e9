"""How Deepgram judges a handshake: path, key, query, in its own words for what is wrong."""

import json
import uuid
from urllib.parse import parse_qsl, urlsplit

import msgspec

from engine.stt.languages import DG_NOVA_2, DG_NOVA_3
from engine.stt.vendor import SAMPLE_RATE
from engine.testing.faults import Refusal
from engine.testing.line import Attempt

TERM_TOKENS = 500
KEYWORDS = 100

_MODELS = ("nova-3", "nova-3-general", "nova-3-medical", "nova-2", "nova-2-general")
_FLAGS = frozenset(
    (
        "punctuate",
        "no_delay",
        "interim_results",
        "smart_format",
        "profanity_filter",
        "diarize",
        "filler_words",
        "multichannel",
        "vad_events",
        "numerals",
        "dictation",
        "detect_entities",
        "mip_opt_out",
    )
)
_SAID = {
    400: ("Bad Request", "Bad request."),
    401: ("INVALID_AUTH", "Invalid credentials."),
    402: ("ASR_PAYMENT_REQUIRED", "Project does not have enough credits for an ASR request."),
    403: ("INSUFFICIENT_PERMISSIONS", "Project does not have access to the requested model."),
    404: ("NOT_FOUND", "Not found."),
    408: ("REQUEST_TIMEOUT", "The request timed out."),
    429: ("TOO_MANY_REQUESTS", "Too many requests. Please try again later"),
    503: ("SERVICE_UNAVAILABLE", "The service is temporarily unavailable."),
}


class Wanted(msgspec.Struct, frozen=True):
    """The options of a stream, as far as they change what the stand-in says. `endpointing` in samples."""

    model: str
    language: str = "en"
    linear16: bool = True
    punctuated: bool = False
    diarize: bool = False
    interim: bool = False
    endpointing: int | None = SAMPLE_RATE // 100
    vad_events: bool = False


def request_id(attempt: Attempt) -> str:
    """The same for header, `Results` and `Metadata` of one connection."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{attempt.number}{attempt.target}"))


def refusal(status: int, said: str = "", code: str = "", request: str = "") -> Refusal:
    """Deepgram's body and headers; `said` and `code` default to the usual ones of the status."""
    usual_code, usual = _SAID.get(status, ("INTERNAL_SERVER_ERROR", "An error occurred."))
    body = {"err_code": code or usual_code, "err_msg": said or usual, "request_id": request}
    headers = (
        ("content-type", "application/json"),
        ("dg-error", said or usual),
        ("dg-request-id", request),
    )
    return Refusal(status, headers, json.dumps(body).encode())


def judge(attempt: Attempt, key: str | None) -> Refusal | None:
    """Whether Deepgram would refuse this handshake; `key` None accepts any and none."""
    request = request_id(attempt)
    if not urlsplit(attempt.target).path.endswith("/v1/listen"):
        return refusal(404, request=request)
    if key is not None and key != _key(attempt):
        return refusal(401, request=request)
    wrong = _wrong(_pairs(attempt))
    return refusal(400, wrong[1], wrong[0], request) if wrong else None


def wanted(attempt: Attempt) -> Wanted:
    """The options of a handshake that `judge` let pass."""
    query = dict(_pairs(attempt))
    milliseconds = query.get("endpointing", "10")
    return Wanted(
        model=query["model"],
        language=query.get("language", "en"),
        linear16="encoding" in query,
        punctuated=query.get("punctuate") == "true" or query.get("smart_format") == "true",
        diarize=query.get("diarize") == "true" or "diarize_model" in query,
        interim=query.get("interim_results") == "true",
        endpointing=None if milliseconds == "false" else int(milliseconds) * SAMPLE_RATE // 1000,
        vad_events=query.get("vad_events") == "true",
    )


def terms_cost(terms: list[str]) -> int:
    """Tokens of key terms, guessed low: one for every four letters of a word."""
    return sum(-(-len(word) // 4) for term in terms for word in term.split())


def _pairs(attempt: Attempt) -> list[tuple[str, str]]:
    return parse_qsl(urlsplit(attempt.target).query, keep_blank_values=True)


def _key(attempt: Attempt) -> str | None:
    kind, _, key = attempt.headers.get("authorization", "").partition(" ")
    if kind.lower() in ("token", "bearer"):
        return key.strip()
    if len(attempt.subprotocols) == 2 and attempt.subprotocols[0] in ("token", "bearer"):
        return attempt.subprotocols[1]
    return None


def _wrong(pairs: list[tuple[str, str]]) -> tuple[str, str] | None:
    """Deepgram's code and text for the first thing wrong with the query."""
    query = dict(pairs)
    model, language = query.get("model", ""), query.get("language", "en")
    nova_3 = model.startswith("nova-3")
    table = DG_NOVA_3 if nova_3 else DG_NOVA_2
    if model not in _MODELS or table.codes.get(language.lower()) != language:
        return "Bad Request", "Bad Request: No such model/language/tier combination found."
    for name in sorted(_FLAGS & query.keys()):
        if query[name] not in ("true", "false"):
            return "INVALID_QUERY_PARAMETER", f"Invalid query string: {name} must be true or false."
    endpointing = query.get("endpointing", "10")
    if endpointing != "false" and not endpointing.isdigit():
        return "INVALID_QUERY_PARAMETER", "Invalid query string: endpointing."
    return _wrong_audio(query) or _wrong_terms(pairs, nova_3)


def _wrong_audio(query: dict[str, str]) -> tuple[str, str] | None:
    if "encoding" not in query:
        return None  # a container is expected; raw audio ends in DATA-0000
    if query["encoding"] == "linear16" and "sample_rate" not in query:
        return "INVALID_QUERY_PARAMETER", "Bad Request: sample_rate is required with encoding linear16."
    given = query["encoding"], query.get("sample_rate"), query.get("channels", "1")
    if given != ("linear16", str(SAMPLE_RATE), "1"):
        return "INVALID_QUERY_PARAMETER", "This stand-in takes linear16, 16000 Hz, one channel only."
    return None


def _wrong_terms(pairs: list[tuple[str, str]], nova_3: bool) -> tuple[str, str] | None:
    keyterms = [value for name, value in pairs if name == "keyterm"]
    keywords = [value for name, value in pairs if name == "keywords"]
    if keyterms and not nova_3:
        return "INVALID_QUERY_PARAMETER", "Keyterm Prompting is only supported with nova-3."
    if keywords and nova_3:
        return "INVALID_QUERY_PARAMETER", "Keywords are not supported with nova-3; use keyterm."
    if len(keywords) > KEYWORDS:
        return "INVALID_QUERY_PARAMETER", f"Keywords limit exceeded: at most {KEYWORDS}."
    if terms_cost(keyterms) > TERM_TOKENS:
        return "INVALID_QUERY_PARAMETER", f"Keyterm limit exceeded: at most {TERM_TOKENS} tokens."
    return None
