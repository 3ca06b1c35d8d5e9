"""Commitments, requests and obligations of a conversation as action items."""

import re
from collections.abc import Sequence

from engine.conversation.extract.drafts import Draft, content_words, trim
from engine.conversation.extract.frames import Kind
from engine.conversation.extract.negotiation import Negotiation
from engine.conversation.extract.utterances import Utterance
from engine.conversation.structured import MAX_ACTION_ITEM_WORDS, ActionItem, Transcript


def action_items(transcript: Transcript, said: Sequence[Utterance]) -> tuple[ActionItem, ...]:
    """What the speakers are to do, in the order in which it came up."""
    names: dict[str, str] = {}
    for utterance in said:
        names[utterance.speaker] = names.get(utterance.speaker) or utterance.name
    today = transcript.started_at.astimezone(transcript.time_zone).date()
    negotiation = Negotiation(names, today)
    for utterance in said:
        negotiation.hear(utterance)
    owner = {utterance.speaker for utterance in said if utterance.is_user}
    found: list[ActionItem] = []
    for draft in negotiation.drafts:
        unclaimed = draft.guessed and draft.when is None
        description = "" if draft.dropped or unclaimed or not draft.strong else describe(draft, names)
        if description:
            found.append(
                ActionItem(
                    description=description,
                    due_at=draft.when.moment(transcript.time_zone) if draft.when else None,
                    speaker=draft.doer,
                    is_user=draft.doer in owner,
                )
            )
    return tuple(found)


def describe(draft: Draft, names: dict[str, str]) -> str:
    """The phrase with names for "me" and "you" where they are known; at most fifteen words."""
    phrase = draft.phrase
    if draft.kind in (Kind.NEED, Kind.DELIVERY):
        phrase = re.sub(r"^(?:need|get|have|receive)\b", "give", phrase, flags=re.IGNORECASE)
        phrase = re.sub(r" from you\b.*$", "", phrase)
    for word, label in (("me", draft.by.speaker), ("you", _partner(draft, names))):
        name = names.get(label, "") if draft.by.speaker != draft.doer or word == "you" else ""
        if (
            name
            or (word == "you" and draft.kind is not Kind.REQUEST)
            or (word == "me" and draft.by.speaker != draft.doer)
        ):
            phrase = re.sub(
                rf"^({_GIVING})( \w+)? {word} (?=\w)", rf"\1\2 {name} " if name else r"\1\2 ", phrase
            )
            phrase = re.sub(rf"\b{word}\b(?!['’])", name or "them", phrase)
    words = trim(phrase).split()
    if not content_words(" ".join(words)):
        return ""
    text = " ".join(words[:MAX_ACTION_ITEM_WORDS]).strip(" ,.;:")
    return text[:1].upper() + text[1:]


_GIVING = r"(?i:send|email|text|give|mail|show|bring|get|lend|courier|hand|forward|order|buy|make|book)"


def _partner(draft: Draft, names: dict[str, str]) -> str:
    """Who "you" is in a commitment between two; nobody among more."""
    others = [label for label in names if label != draft.by.speaker]
    return others[0] if len(others) == 1 and draft.doer == draft.by.speaker else ""
