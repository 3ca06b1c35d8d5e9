"""Answers without a language model: the passages nearest to the question in meaning, each with its citation."""

from collections.abc import Sequence

from engine.conversation.chat.ports import ChatSearch, Wanted
from engine.conversation.chat.prompts import local_time
from engine.conversation.chat.reply import Asked, Reply
from engine.store.records import ConversationRow
from engine.wire.messages import Segment

__all__ = ["answer_with_passages"]

CONVERSATIONS = 3
SEGMENTS = 4
"""Of each conversation."""
OTHERS = 3
"""Memories, and action items."""
ALONE = 4
"""Words from which a question is taken to be understood without the one before it."""
LINE = 400

NOTHING = "Nothing that was said has been found about this."


async def answer_with_passages(asked: Asked, reply: Reply, search: ChatSearch, why: str) -> None:
    """Write what is found about the question, after a sentence that says `why` it is no more than that."""
    text, uid, zone = question_of(asked), asked.uid, asked.zone
    await reply.think("Looking through your conversations")
    wanted = Wanted(text=text)
    rows = await search.search_conversations(uid, wanted, CONVERSATIONS)
    memories = await search.search_memories(uid, wanted, OTHERS)
    items = await search.search_action_items(uid, wanted, OTHERS)
    await reply.paragraph(why)
    if not (rows or memories or items):
        await reply.paragraph(NOTHING)
        return
    for row in rows:
        await write_passages(asked, reply, row, await search.passages(uid, row.id, text, SEGMENTS))
    known = [f"- {_plain(memory.content)}{_cited(reply, memory.conversation_id)}" for memory in memories]
    todo = [
        f"- {_plain(item.description)} ({'done' if item.completed else 'open'}"
        + (f", due {local_time(item.due_at, zone)})" if item.due_at is not None else ")")
        + _cited(reply, item.conversation_id)
        for item in items
    ]
    for heading, lines in (("Known:", known), ("To do:", todo)):
        if lines:
            await reply.paragraph("\n".join([heading, *lines]))


async def write_passages(
    asked: Asked, reply: Reply, row: ConversationRow, passages: Sequence[Segment]
) -> None:
    """What was said in a conversation, in a paragraph under its title, with its citation."""
    title = str(row.structured.get("title") or "Untitled")
    lines = [f"{title} ({local_time(row.started_at, asked.zone)}) [{reply.sources.number(row.id)}]"]
    lines += [f"{speaker_of(asked, segment)}: {_plain(segment.text)}" for segment in passages]
    await reply.paragraph("\n".join(lines))


def speaker_of(asked: Asked, segment: Segment) -> str:
    """Whom an answer names as the speaker of what it quotes."""
    return asked.user.name or "You" if segment.is_user else segment.speaker


def question_of(asked: Asked) -> str:
    """The message; a short one, which may be about what was asked before, with the one before it."""
    before = [row.text for row in asked.earlier if row.sender == "human"]
    if before and len(asked.text.split()) < ALONE:
        return f"{before[-1]} {asked.text}"
    return asked.text


def _cited(reply: Reply, conversation_id: str | None) -> str:
    return "" if conversation_id is None else f" [{reply.sources.number(conversation_id)}]"


def _plain(text: str) -> str:
    """One line of what somebody said; no bracket in it passes for a citation."""
    flat = " ".join(text.replace("[", "(").replace("]", ")").split())
    return flat if len(flat) <= LINE else flat[:LINE] + " …"
