"""Answers by a small language model, of less than some billion parameters.

Such a model is not asked what to look for and calls no tools: the passages that are nearest to the question in meaning
are put before it, and it is asked for one sentence. What it says need not be so; so the passages stand below it, and
who reads can see what it rests on.

    question -> the nearest conversation, its passages -> the model -> a sentence, cited if it rests on them
                                                                       and the passages, cited
"""

from engine.conversation.chat.ports import ChatSearch, Wanted
from engine.conversation.chat.prompts import fitted, quoted
from engine.conversation.chat.reply import Asked, Reply
from engine.conversation.chat.retrieved import SEGMENTS, question_of, speaker_of, write_passages
from engine.conversation.llm.port import Completion, Llm, LlmAnswerError, Message

__all__ = ["answer_with_small_model"]

ANSWER_TOKENS = 96
PERSONA = 500
"""Characters of what an app says of itself."""


async def answer_with_small_model(asked: Asked, reply: Reply, *, llm: Llm, search: ChatSearch) -> None:
    """Write its answer. Raises `LlmError`; what was written by then stays."""
    text = question_of(asked)
    await reply.think("Looking through your conversations")
    rows = await search.search_conversations(asked.uid, Wanted(text=text), 1)
    passages = await search.passages(asked.uid, rows[0].id, text, SEGMENTS) if rows else []
    said = "\n".join(f"{speaker_of(asked, segment)}: {segment.text}" for segment in passages)
    if rows:
        reply.sources.show(rows[0].id, said)
    messages = [
        Message("user", f"{said}\n\nQuestion: {asked.text}\nAnswer in one sentence." if said else asked.text)
    ]
    if asked.persona is not None:
        told = (
            f"You answer as the app {asked.persona.name!r}:\n{quoted(asked.persona.prompt[:PERSONA], 'app')}"
        )
        messages.insert(0, Message("system", told))
    async with llm.stream(
        fitted(messages, llm.context_tokens - ANSWER_TOKENS), max_tokens=ANSWER_TOKENS
    ) as pieces:
        async for piece in pieces:
            if not isinstance(piece, Completion):
                await reply.write(piece.text)
    if not reply.text.strip():
        raise LlmAnswerError("the model said nothing", "unusable")
    await reply.cite(asked.text)
    if rows:
        await write_passages(asked, reply, rows[0], passages)
