"""The sections about language and embedding models; `engine.config` puts them in the tree.

As in `engine._config_sections`, every leaf carries its meaning and bounds. Times are seconds.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

OPENAI_URL = "https://api.openai.com/v1"


class Llm(msgspec.Struct, frozen=True, kw_only=True):
    """A language model behind OpenAI's protocol: used when `api_key` or another `base_url` is given."""

    api_key: Annotated[
        str,
        Meta(
            description="Its key, also read from OPENAI_API_KEY; a server of one's own may want none.",
            extra={"secret": True},
        ),
    ] = ""
    base_url: Annotated[
        str,
        Meta(
            pattern="^https?://[^@?#]+$",
            description="Where `/chat/completions` is, also read from OPENAI_BASE_URL.",
        ),
    ] = OPENAI_URL
    model: Annotated[str, Meta(min_length=1, description="The model to ask for.")] = "gpt-4o-mini"
    small_model: Annotated[
        bool,
        Meta(
            description=(
                "The model has less than some 2 billion parameters: it is asked short questions of one thing, at"
                " temperature 0, and rules do what it cannot (action items, events, memories, looking things up)."
            )
        ),
    ] = False
    vision_model: Annotated[
        str,
        Meta(description="The model that says what is to be seen on pictures. Empty: nobody does."),
    ] = ""
    context_tokens: Annotated[
        int,
        Meta(
            ge=2048,
            le=10000000,
            description="Tokens of a request and its answer together; longer transcripts are summarised in parts.",
        ),
    ] = 32768
    answer_tokens: Annotated[
        int, Meta(ge=256, le=100000, description="Tokens kept free for, and at most spent on, an answer.")
    ] = 2048
    structured_output: Annotated[
        Literal["json_schema", "json_object", "prompt"],
        Meta(
            description="How the server is told the shape of an answer; but for `json_schema` in words as well."
        ),
    ] = "json_schema"
    concurrency: Annotated[int, Meta(ge=1, le=1000, description="Requests at once; further ones wait.")] = 4
    queue_limit: Annotated[
        int, Meta(ge=0, le=100000, description="Requests that wait; further ones fail at once.")
    ] = 64
    connect_timeout: Annotated[
        float, Meta(gt=0, le=60, description="A connection must be made within this.")
    ] = 5.0
    first_byte_timeout: Annotated[
        float,
        Meta(
            gt=0,
            le=600,
            description="From a request to the first of its answer, which without streaming is the whole.",
        ),
    ] = 60.0
    gap_timeout: Annotated[
        float, Meta(gt=0, le=600, description="Between two pieces of an answer that has begun.")
    ] = 20.0
    total_timeout: Annotated[
        float, Meta(gt=0, le=3600, description="A call with its wait for a turn and all its tries.")
    ] = 180.0
    retries: Annotated[
        int, Meta(ge=0, le=20, description="Tries after the first that failed in a way that may pass.")
    ] = 3
    retry_initial: Annotated[
        float, Meta(gt=0, le=60, description="Longest wait before the second try; it doubles.")
    ] = 0.5
    retry_limit: Annotated[
        float,
        Meta(gt=0, le=600, description="Longest wait between tries; a vendor that asks for more has failed."),
    ] = 20.0
    asks: Annotated[
        int,
        Meta(ge=1, le=10, description="Times a question is put until an answer has the shape asked for."),
    ] = 3


class Embedding(msgspec.Struct, frozen=True, kw_only=True):
    """What turns text into vectors for search by meaning."""

    provider: Annotated[
        Literal["local", "openai", "off"],
        Meta(
            description="`local`: MiniLM in this process, English (extra [local]); `openai`: a server of its protocol."
        ),
    ] = "local"
    api_key: Annotated[
        str,
        Meta(description="Its key; empty: that of [llm] where that is the server.", extra={"secret": True}),
    ] = ""
    base_url: Annotated[
        str,
        Meta(
            pattern="^(https?://[^@?#]+)?$",
            description="Where `/embeddings` is; empty: where [llm] is. Timeouts and retries are those of [llm].",
        ),
    ] = ""
    model: Annotated[str, Meta(min_length=1, description="The model to ask a server for.")] = (
        "text-embedding-3-small"
    )
    dimensions: Annotated[int, Meta(ge=1, le=4096, description="Numbers of a vector of that model.")] = 1536
    batch_limit: Annotated[int, Meta(ge=1, le=2048, description="Texts in one request.")] = 64
    threads: Annotated[int, Meta(ge=1, le=64, description="Threads in which the local model works.")] = 1
    cache_mib: Annotated[
        int,
        Meta(ge=0, le=65536, description="Memory for the vectors of users who search, in MiB; 0 keeps none."),
    ] = 64


class Translation(msgspec.Struct, frozen=True, kw_only=True):
    """Translation of what is said, by the model of [llm]; without one there is none."""

    settle: Annotated[
        float,
        Meta(ge=0, le=60, description="A segment is translated when it has not changed for this long."),
    ] = 1.5
    queue_limit: Annotated[
        int, Meta(ge=1, le=100000, description="Segments that wait; of more the oldest are not translated.")
    ] = 500
    concurrency: Annotated[
        int,
        Meta(ge=1, le=100, description="Questions to the model at once, beside those of [llm] for others."),
    ] = 2


class Chat(msgspec.Struct, frozen=True, kw_only=True):
    """The chat about what was said."""

    timeout: Annotated[
        float,
        Meta(gt=0, le=3600, description="An answer that is not finished by then breaks off, and says so."),
    ] = 120.0
    greeting_timeout: Annotated[
        float,
        Meta(
            gt=0,
            le=600,
            description="A model that has no greeting by then is not waited for: there is a plain one.",
        ),
    ] = 10.0
    text_limit: Annotated[
        int, Meta(ge=100, le=100000, description="Characters of one message of a user's.")
    ] = 8000
    tool_calls: Annotated[
        int, Meta(ge=0, le=10, description="Times a model may look something up for one answer.")
    ] = 10
