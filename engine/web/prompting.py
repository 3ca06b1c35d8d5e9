"""/v1/conversations/{id}/test-prompt: what a prompt makes of a conversation, for authors of prompt-based apps."""

from typing import Annotated

import msgspec
from msgspec import Meta

from engine.conversation.app_prompt import LONGEST_PROMPT, run_prompt
from engine.conversation.llm.port import LlmContextExceeded, LlmError, LlmUnavailable
from engine.conversation.process import Material, transcript_of
from engine.web.api import Api, Identify
from engine.web.conversations import unlocked
from engine.web.errors import ApiError
from engine.web.ports import Services

__all__ = ["prompting"]


class Prompt(msgspec.Struct, frozen=True):
    """What the model is to do with the conversation."""

    prompt: Annotated[str, Meta(max_length=LONGEST_PROMPT, pattern=r"\S")]


class Summary(msgspec.Struct, frozen=True):
    """What it made of it."""

    summary: str


def prompting(services: Services, identify: Identify) -> Api:
    """The route."""
    api = Api("prompting", identify, tag="Conversations")

    @api.post(
        "/v1/conversations/<conversation_id>/test-prompt",
        "Try a prompt on a conversation; it needs a language model",
        body=Prompt,
        answer=Summary,
        errors=(402, 409, 502),
    )
    async def test_prompt(uid: str, conversation_id: str, body: Prompt) -> Summary:
        whole = await unlocked(services.wholes, uid, conversation_id)
        llm = services.models.llm
        if llm is None:
            raise ApiError(409, "no language model is configured: the operator gives one in [llm]")
        people, users = services.records.people, services.records.users
        material = Material(
            row=whole.row,
            segments=whole.segments,
            photos=whole.photos,
            owner=await users.get(uid),
            people=await people.names(uid),
        )
        transcript = transcript_of(material)
        if not any(segment.text.strip() for segment in transcript.segments):
            raise ApiError(409, "the conversation has no text that a prompt could be put to")
        try:
            return Summary(await run_prompt(llm, body.prompt, transcript))
        except LlmContextExceeded as error:
            raise ApiError(422, f"prompt is not accepted: {error}") from None
        except LlmUnavailable as error:
            raise ApiError(503, f"the language model does not answer: {error}", error.retry_after) from None
        except LlmError as error:
            raise ApiError(502, f"the language model gave no answer: {error}") from None

    return api
