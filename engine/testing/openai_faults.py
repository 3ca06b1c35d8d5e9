"""What the stand-in for OpenAI's protocol shall do wrong, as frozen values."""

from enum import Enum

import msgspec


class Wrong(Enum):
    """What befalls one request. Those about the answer's text need a text that is a JSON object."""

    # the connection
    DROP = "it ends before any answer"
    SILENCE = "nothing is answered while the client stays"
    DELAY = "the answer begins `seconds` later"
    CUT = "it ends in the middle of the answer"
    STALL = "the answer stops in the middle, and the connection stays"
    SLOW = "the pieces of a stream come `seconds` apart"
    # the protocol
    STATUS = "`status` is answered, with `code`, `headers` and `body`"
    ERROR_INSIDE = "an error object under status 200; in a stream after the first piece"
    BODY = "`body` is answered under status 200"
    NO_CHOICES = "the answer has no choices"
    NULL_CONTENT = "the answer's content is null"
    DECLINED = "the model declines (`refusal`)"
    FILTERED = "the vendor's filter ends the answer (`finish_reason`: content_filter)"
    LENGTH = "the answer is cut at its token limit (`finish_reason`: length)"
    NO_USAGE = "tokens are not counted"
    NO_DONE = "a stream ends without [DONE]"
    ODD_PIECES = "a stream comes in pieces of 7 bytes, with CRLF and comments"
    LOOSE_CALLS = "tool calls without id and index, arguments as an object"
    # the answer's text
    EMPTY = "there is none"
    NOT_JSON = "prose"
    WRONG_SHAPE = "a JSON list"
    TRUNCATED = "the last third is missing"
    FENCE = "the JSON is in a code fence"
    PROSE = "there is prose around the JSON"
    NAN = "numbers are NaN; in embeddings the first one"
    WRONG_ENUM = "words of enumerations are others"
    MISSING = "every second field of nested objects is missing"
    EXTRA = "objects have fields nobody asked for"
    WRONG_TYPES = "texts are numbers, numbers texts, lists objects"
    INVENTED = "numbers in lists are 1,000 higher, labels of speakers are others"
    ABSURD_DATES = "dates are in the years 1 and 9999, or no dates at all"
    TOO_MANY = "every list has 500 items"
    TOO_LONG = "texts are thousands of words long"
    REPEATED = "texts say the same fifty times"
    # embeddings
    FEWER = "one vector too few"
    OTHER_LENGTH = "vectors of another length"
    SHUFFLED = "vectors in another order, as `index` says"


class LlmMishap(msgspec.Struct, frozen=True, kw_only=True):
    """One wrong and what it takes; see `Wrong` for what is used when."""

    wrong: Wrong
    status: int = 500
    code: str | None = None
    message: str = "as planned"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    seconds: float = 0.0


class LlmFaultPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What befalls the requests, in the order they come.

    first            one after the other; None is a request that goes well
    always           what befalls all further ones
    context_tokens   longer prompts are refused; a token is four characters here
    """

    first: tuple[LlmMishap | None, ...] = ()
    always: LlmMishap | None = None
    context_tokens: int | None = None
