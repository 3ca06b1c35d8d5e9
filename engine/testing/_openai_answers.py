"""What the stand-in for OpenAI's protocol answers: completions, the events of a stream, embeddings."""

import base64
import hashlib
import math
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.testing.openai_faults import Wrong

PIECE = 12
"""Characters of one piece of a stream."""


class SaidCall(msgspec.Struct, frozen=True):
    """A tool call of a reply; `arguments` is JSON."""

    name: str
    arguments: str


class Reply(msgspec.Struct, frozen=True):
    """What the model says."""

    text: str = ""
    calls: tuple[SaidCall, ...] = ()


class LlmRequest(msgspec.Struct, frozen=True):
    """One request as it came. `body` is empty when it was no JSON object."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def text(self) -> str:
        """The text of the last message, or of what is to be embedded."""
        if "input" in self.body:
            given = self.body["input"]
            return given if isinstance(given, str) else "\n".join(given)
        messages = self.body.get("messages") or [{}]
        return _text_of(messages[-1].get("content"))

    @property
    def pictures(self) -> list[str]:
        """The addresses of the pictures in all messages."""
        contents = [message.get("content") for message in self.body.get("messages", ())]
        parts = [part for content in contents if isinstance(content, list) for part in content]
        return [part["image_url"]["url"] for part in parts if part.get("type") == "image_url"]

    @property
    def schema(self) -> dict[str, Any] | None:
        """The JSON Schema asked for."""
        shape = self.body.get("response_format", {}).get("json_schema", {})
        schema: dict[str, Any] | None = shape.get("schema")
        return schema

    @property
    def tokens(self) -> int:
        """Tokens of the messages, four characters each."""
        said = sum(len(_text_of(message.get("content"))) for message in self.body.get("messages", ()))
        return math.ceil(said / 4)


def completion(request: LlmRequest, reply: Reply, wrong: Wrong | None) -> bytes:
    """The body of a whole answer."""
    message: dict[str, Any] = {"role": "assistant", "content": reply.text, "refusal": None}
    if reply.calls:
        message |= {"content": None, "tool_calls": _calls(reply.calls, wrong)}
    if wrong in (Wrong.NULL_CONTENT, Wrong.DECLINED):
        message["content"] = None
    if wrong is Wrong.DECLINED:
        message["refusal"] = "I cannot help with that."
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish(reply, wrong)}
    whole = _frame("chat.completion", request) | {"choices": [] if wrong is Wrong.NO_CHOICES else [choice]}
    if wrong is not Wrong.NO_USAGE:
        whole["usage"] = _usage(request, reply)
    return msgspec.json.encode(whole)


def pieces(request: LlmRequest, reply: Reply, wrong: Wrong | None) -> list[str]:
    """The data of each event of a stream."""
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": reply.text[at : at + PIECE]} for at in range(0, len(reply.text), PIECE)]
    for number, call in enumerate(_calls(reply.calls, wrong)):
        deltas += [{"tool_calls": [piece]} for piece in _call_pieces(number, call, wrong)]
    if wrong is Wrong.DECLINED:
        deltas = [{"refusal": "I cannot help with that."}]
    frame = _frame("chat.completion.chunk", request)
    chunks = [frame | {"choices": [_choice(delta)]} for delta in deltas]
    chunks.append(frame | {"choices": [_choice({}, _finish(reply, wrong))]})
    if request.body.get("stream_options", {}).get("include_usage") and wrong is not Wrong.NO_USAGE:
        chunks.append(frame | {"choices": [], "usage": _usage(request, reply)})
    data = [msgspec.json.encode(chunk).decode() for chunk in chunks]
    if wrong is Wrong.ERROR_INSIDE:
        data[2:] = [error_body("The server had an error", "server_error").decode()]
    return data if wrong in (Wrong.NO_DONE, Wrong.ERROR_INSIDE) else [*data, "[DONE]"]


def embeddings(request: LlmRequest, dimensions: int, wrong: Wrong | None) -> bytes:
    """The body of an answer to `/embeddings`."""
    given = request.body["input"]
    texts = [given] if isinstance(given, str) else given
    size = request.body.get("dimensions", dimensions) + (wrong is Wrong.OTHER_LENGTH)
    listed = []
    for index, text in enumerate(texts):
        vector = embedding_of(text, size)
        if wrong is Wrong.NAN:
            vector[0] = np.nan
        value: Any = vector.tolist()
        if request.body.get("encoding_format") == "base64":
            value = base64.b64encode(vector.astype("<f4").tobytes()).decode()
        listed.append({"object": "embedding", "index": index, "embedding": value})
    if wrong is Wrong.FEWER:
        listed.pop()
    if wrong is Wrong.SHUFFLED:
        listed.reverse()
    usage = {"prompt_tokens": len(request.text) // 4, "total_tokens": len(request.text) // 4}
    whole = {"object": "list", "data": listed, "model": str(request.body.get("model")), "usage": usage}
    encoded = msgspec.json.encode(whole)
    return encoded.replace(b"null", b"NaN") if wrong is Wrong.NAN else encoded


def embedding_of(text: str, dimensions: int) -> NDArray[np.float32]:
    """A unit vector that is the sum of one for each word, drawn from its hash: texts that share words are near."""
    total = np.zeros(dimensions)
    for word in text.casefold().split() or [""]:
        seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "little")
        total += np.random.default_rng(seed).standard_normal(dimensions)
    return (total / np.linalg.norm(total)).astype(np.float32)


def error_body(message: str, code: str | None) -> bytes:
    """An error object."""
    error = {"message": message, "type": "stand_in_error", "param": None, "code": code}
    return msgspec.json.encode({"error": error})


def object_in(body: bytes) -> dict[str, Any]:
    """The JSON object that `body` is, empty when it is none."""
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError:
        return {}


def filled_in(request: LlmRequest) -> Reply:
    """Repeats the last message, or fills in the schema asked for with as little as it allows."""
    if request.schema is None:
        return Reply(request.text)
    return Reply(msgspec.json.encode(_example(request.schema, request.schema, "")).decode())


def _example(schema: dict[str, Any], root: dict[str, Any], name: str) -> Any:
    if "$ref" in schema:
        return _example(root["$defs"][schema["$ref"].rpartition("/")[2]], root, name)
    if "enum" in schema:
        return schema["enum"][0]
    if "anyOf" in schema:
        return None if {"type": "null"} in schema["anyOf"] else _example(schema["anyOf"][0], root, name)
    match schema.get("type"):
        case "object":
            return {key: _example(one, root, key) for key, one in schema.get("properties", {}).items()}
        case "array":
            return []
        case "string":
            return f"A {name}"
        case "boolean":
            return True
        case _:
            return 0


def _text_of(content: Any) -> str:
    if isinstance(content, list):
        return " ".join(part.get("text", "") for part in content)
    return content if isinstance(content, str) else ""


def _frame(kind: str, request: LlmRequest) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "object": kind, "created": 1, "model": str(request.body.get("model"))}


def _choice(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}


def _finish(reply: Reply, wrong: Wrong | None) -> str:
    odd = {Wrong.LENGTH: "length", Wrong.FILTERED: "content_filter"}
    return (
        odd.get(wrong, "tool_calls" if reply.calls else "stop")
        if wrong
        else ("tool_calls" if reply.calls else "stop")
    )


def _usage(request: LlmRequest, reply: Reply) -> dict[str, int]:
    said = math.ceil(len(reply.text) / 4)
    return {
        "prompt_tokens": request.tokens,
        "completion_tokens": said,
        "total_tokens": request.tokens + said,
    }


def _calls(calls: Sequence[SaidCall], wrong: Wrong | None) -> list[dict[str, Any]]:
    return [
        {"function": {"name": call.name, "arguments": msgspec.json.decode(call.arguments)}}
        if wrong is Wrong.LOOSE_CALLS
        else {
            "id": f"call_{number}",
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }
        for number, call in enumerate(calls)
    ]


def _call_pieces(number: int, call: dict[str, Any], wrong: Wrong | None) -> list[dict[str, Any]]:
    """A call as a stream brings it: name first, then its arguments bit by bit; a loose one at once."""
    if wrong is Wrong.LOOSE_CALLS:
        return [call]
    written = call["function"]["arguments"]
    begun = call | {"index": number, "function": {"name": call["function"]["name"], "arguments": ""}}
    bits = [written[at : at + PIECE] for at in range(0, len(written), PIECE)]
    return [begun, *({"index": number, "function": {"arguments": bit}} for bit in bits)]
