"""Action items as a conversation makes them: somebody asks, somebody agrees, a day is named, something is taken back.

Operations: `hear` the utterances in order, then read `drafts`.
Invariants: a draft once dropped stays dropped; answers change only drafts touched within the last `REACH` utterances.
Bounded by the transcript: at most one draft for each act in it.
Cost: linear; an act is compared with the last `COMPARED` drafts.
Known doubts: days are reckoned from the start of the conversation, also when it runs past midnight; who "you" is among
three or more is a guess when nobody is named: who spoke before, unless another answers.
"""

import re
from collections.abc import Sequence
from datetime import date

from msgspec.structs import replace

from engine.conversation.extract._english import (
    ACCEPTS,
    BAD_DAY,
    COMES,
    DEFINITE,
    DONE,
    DONE_NOW,
    DUE,
    FOR_WHOM,
    GENERIC_VERBS,
    HANDS_OVER,
    MEANS,
    POLITE_YES,
    PROMISED_BY,
    PROMISES,
    REFUSES,
    REPORT_BACK,
    SAYS_MORE,
    WITHDRAWN,
)
from engine.conversation.extract.acts import Act
from engine.conversation.extract.antecedents import antecedent
from engine.conversation.extract.drafts import Draft, object_pronoun, phrase_of, refined, when_of
from engine.conversation.extract.frames import Kind
from engine.conversation.extract.reading import acts_of, addressed, called
from engine.conversation.extract.utterances import Clause, Utterance
from engine.conversation.extract.when import When

REACH = 4
"""How many utterances later a draft may still be accepted, dated or taken back."""

COMPARED = 20
"""Drafts in which a new one may be found to have been said before."""

_ANSWER_WORDS = 8
"""Words of an utterance that only answers."""

_ASKED = (Kind.REQUEST, Kind.NEED)


class Negotiation:
    """Follows one conversation."""

    def __init__(self, speakers: dict[str, str], today: date) -> None:
        """`speakers`: their labels with their names ("" when unknown), in order; `today`: the local day."""
        self._today = today
        self.drafts: list[Draft] = []
        self._speakers = speakers
        self._labels = {called(name): label for label, name in speakers.items() if called(name)}
        self._names = frozenset(self._labels)
        self._heard: list[Utterance] = []
        self._last_day: When | None = None
        self._appointment: When | None = None

    def hear(self, utterance: Utterance) -> None:
        """Take in the next utterance."""
        text = utterance.text.lower().replace("’", "'")
        parts, times = utterance.parts, utterance.times
        acts = acts_of(utterance, self._names)
        self._answer(utterance, text, acts)
        taken_back = WITHDRAWN.search(text[: acts[0].start] if acts else text)
        if taken_back and len(text[: taken_back.start()].split()) <= _ANSWER_WORDS // 2:
            self._withdraw(utterance)
        for i, act in enumerate(acts):
            self._place(self._draft(utterance, parts, act, times), act)
            until = acts[i + 1].start if i + 1 < len(acts) else len(text)
            if WITHDRAWN.search(text[act.end : until]) or MEANS.match(text, act.end):
                self._withdraw(utterance)
        if PROMISES.search(text):
            self._take_up(self._target(utterance), utterance, times[0] if times else None)
        if not acts:
            self._redate(utterance, text, times)
        self._deadline(utterance, parts, times, {act.clause for act in acts})
        self._last_day = times[-1] if times else self._last_day
        comes = COMES.search(text) is not None
        later = [when for when in times if when.day != self._today and not when.dayless]
        appointments = [when for when in later if when.clock is not None or comes]
        self._appointment = appointments[-1] if appointments else self._appointment
        self._heard.append(utterance)

    # What is said

    def _draft(self, utterance: Utterance, parts: Sequence[Clause], act: Act, times: Sequence[When]) -> Draft:
        when = when_of(parts, act, times, self._last_day)
        if when is None and self._appointment is not None and act.phrase.lower().startswith("bring "):
            when = replace(self._appointment, clock=None)
        doer, guessed = self._doer(utterance, act)
        return Draft(
            kind=act.kind,
            strong=self._counts(utterance, act, when),
            phrase=phrase_of(act, times),
            by=utterance,
            doer=doer,
            at=utterance.index,
            when=when,
            guessed=guessed,
        )

    def _counts(self, utterance: Utterance, act: Act, when: When | None) -> bool:
        """Whether an act is one by itself, before anybody takes it up."""
        part = utterance.parts[act.clause]
        if act.plural:  # "we'll meet on Friday" is an event, "we'll deliver by Friday" a promise
            inside = when is not None and part.start <= when.start < part.end
            promised = when is not None and PROMISED_BY.search(
                utterance.text[part.start : when.start].lower()
            )
            return inside and bool(promised or re.search(r"\byou\b", act.phrase))
        if act.kind in (Kind.DELIVERY, Kind.QUESTION):
            return act.kind is Kind.DELIVERY and when is not None and part.start <= when.start < part.end
        if when is None and act.generic and not FOR_WHOM.search(act.phrase):
            return addressed(utterance, act.clause, self._labels) is not None
        if when is None and act.bare and len(self._speakers) > 1:
            return act.strong and DEFINITE.search(act.phrase) is not None
        stated = when is not None and not part.stop.startswith("?")
        asks = act.kind in (Kind.REQUEST, Kind.OFFER)
        return act.strong or (stated and (act.dated or act.bare or not asks))

    def _doer(self, utterance: Utterance, act: Act) -> tuple[str, bool]:
        """Who is to do it, and whether that is a guess."""
        if act.kind not in (*_ASKED, Kind.QUESTION):
            return utterance.speaker, False
        named = addressed(utterance, act.clause, self._labels)
        others = [label for label in self._speakers if label != utterance.speaker]
        if named is not None or not others:
            return named or utterance.speaker, False
        before = [heard.speaker for heard in self._heard if heard.speaker != utterance.speaker]
        return before[-1] if before else others[0], len(others) > 1

    def _place(self, draft: Draft, act: Act) -> None:
        """Keep a draft, or let it add to an earlier one."""
        earlier = self.drafts[-1] if self.drafts else None
        same_breath = earlier is not None and earlier.by is draft.by and earlier.doer == draft.doer
        if earlier is not None and same_breath and REPORT_BACK.match(draft.phrase):
            earlier.when = draft.when or earlier.when
            earlier.strong = True
            earlier.phrase = (
                f"{earlier.phrase} and {draft.phrase}" if not draft.says_nothing else earlier.phrase
            )
            return
        if draft.says_nothing:
            if not self._resolve(draft, act):
                return
        else:
            self._name(draft, act, 1)
        if draft.needs_more and draft.when is None:
            return
        alone = len(draft.content) == 1 and draft.phrase.split()[1:] in ([], ["you"], ["me"])
        alone = alone and (" " not in draft.phrase or draft.verb in HANDS_OVER)
        if alone and (noun := self._noun("it", draft, act, REACH)):
            draft.phrase = f"{draft.phrase} ({noun})"
        for other in reversed(self.drafts[-COMPARED:]):
            if other.dropped or not draft.same_as(other, strictly=draft.at - other.at > 2 * REACH):
                continue
            if other.doer == draft.doer or other.guessed or draft.guessed or other.kind is Kind.OFFER:
                self._merge(other, draft)
                return
        self.drafts.append(draft)

    def _merge(self, other: Draft, draft: Draft) -> None:
        other.strong = other.strong or draft.strong
        other.when = draft.when or other.when
        if draft.kind not in _ASKED or not draft.guessed:
            other.doer = draft.doer
        if draft.kind is Kind.OFFER and other.kind in _ASKED and other.by.speaker != draft.by.speaker:
            other.strong = other.accepted = True  # they offer what was asked for
            other.guessed = False
        if draft.kind is Kind.COMMITMENT and other.kind is not draft.kind:
            other.kind, other.by, other.guessed, other.accepted = draft.kind, draft.by, False, True
            if len(draft.content) == len(other.content):
                other.phrase = draft.phrase
        if len(draft.content) > len(other.content):
            other.phrase = draft.phrase
        other.at = draft.at

    def _resolve(self, draft: Draft, act: Act) -> bool:
        """Put a noun where the phrase has a pronoun; False when it only takes up, or dates, an earlier draft."""
        target = self._target(draft.by) if draft.kind not in _ASKED else self._asked_again(draft)
        pronoun = object_pronoun(draft.phrase)
        generic = draft.verb in GENERIC_VERBS
        if target is not None and (generic or pronoun is None or draft.verb == target.verb):
            self._take_up(target, draft.by if draft.kind not in _ASKED else None, draft.when)
            return False
        if pronoun is None or draft.kind is Kind.DELIVERY:
            return False
        if (
            target is not None
            and target.kind in _ASKED
            and draft.verb in HANDS_OVER
            and target.verb in HANDS_OVER
        ):
            self._take_up(target, draft.by if draft.kind not in _ASKED else None, draft.when)
            return False
        if self._name(draft, act, REACH):
            return True
        if (
            target is not None
            and not target.accepted
            and draft.at - target.at <= 2
            and target.by.speaker != draft.doer
        ):
            self._take_up(target, draft.by, draft.when)
            return False
        return not generic and draft.kind is not Kind.NEED

    def _name(self, draft: Draft, act: Act, reach: int) -> bool:
        """Replace the pronoun that is the object with what it stands for, if that was said."""
        pronoun = object_pronoun(draft.phrase)
        if pronoun is None:
            return False
        noun = self._noun(pronoun[0], draft, act, 1 if pronoun[0].lower() == "one" else reach)
        if noun:
            draft.phrase = f"{draft.phrase[: pronoun.start()]}{noun}{draft.phrase[pronoun.end() :]}"
        return bool(noun)

    def _noun(self, pronoun: str, draft: Draft, act: Act, reach: int) -> str:
        """What a pronoun in the draft stands for, looked for in the last `reach` utterances."""
        texts = [heard.text for heard in self._heard[-reach:]] + [draft.by.text[: act.start]]
        return antecedent(pronoun, texts, [name for name in self._speakers.values() if name])

    # What answers

    def _live(self, utterance: Utterance, reach: int = REACH) -> list[Draft]:
        """Drafts that the utterance may change, the latest first."""
        return [
            draft
            for draft in reversed(self.drafts)
            if not draft.dropped and utterance.index - draft.at <= reach
        ]

    def _answer(self, utterance: Utterance, text: str, acts: list[Act]) -> None:
        latest = next(
            (draft for draft in self._live(utterance, 2) if draft.by.speaker != utterance.speaker), None
        )
        if latest is None or latest.accepted:
            return
        asked = latest.kind in _ASKED
        mine = latest.doer == utterance.speaker or latest.guessed
        if DONE.search(text) or (asked and DONE_NOW.match(text) and latest.when is None):
            latest.dropped = True
        elif REFUSES.match(text):
            latest.dropped = latest.dropped or (latest.kind is Kind.OFFER or (asked and mine and not acts))
        elif ACCEPTS.match(text):
            if asked and mine:
                latest.doer, latest.guessed, latest.accepted = utterance.speaker, False, True
                latest.strong = latest.strong or not (acts or POLITE_YES.match(text))
            elif latest.kind is Kind.OFFER:
                latest.accepted = True
                latest.strong = latest.strong or not acts  # an order in the answer stands for the offer

    def _withdraw(self, utterance: Utterance) -> None:
        for draft in self._live(utterance, 2)[:1]:
            draft.dropped = True

    def _target(self, utterance: Utterance) -> Draft | None:
        """What a promise without content is about.

        First what the speaker has just said in the same breath, then what was asked of them, then their own intentions.
        """
        live = self._live(utterance)
        for draft in live:
            if draft.by is utterance and draft.doer == utterance.speaker:
                return draft
        for draft in live:
            asked = draft.kind in (*_ASKED, Kind.QUESTION) and draft.by.speaker != utterance.speaker
            if asked and (draft.doer == utterance.speaker or draft.guessed):
                return draft
        return next((draft for draft in live if draft.doer == utterance.speaker), None)

    def _asked_again(self, draft: Draft) -> Draft | None:
        """What "do it tonight, please" is about: what the other has just undertaken or was asked."""
        return next((d for d in self._live(draft.by) if d.doer == draft.doer), None)

    def _take_up(self, target: Draft | None, by: Utterance | None, when: When | None) -> None:
        if target is None:
            return
        target.strong = True
        target.when = when or target.when
        if by is not None:
            target.doer, target.guessed, target.accepted, target.at = by.speaker, False, True, by.index

    def _redate(self, utterance: Utterance, text: str, times: Sequence[When]) -> None:
        """A short answer with a day moves what was just agreed."""
        if (
            not times
            or len(text.split()) > _ANSWER_WORDS
            or SAYS_MORE.search(text)
            or (len(times) == 1 and BAD_DAY.search(text))
        ):
            return
        for draft in self._live(utterance, 2)[:1]:
            meeting = times[-1].clock is not None and draft.when is not None and draft.when.clock is None
            if meeting and not times[-1].dayless:
                continue  # an appointment of its own
            if utterance.speaker in (draft.doer, draft.by.speaker) or draft.kind is Kind.OFFER:
                draft.when = refined(draft.when, times[-1])
                draft.at = utterance.index

    def _deadline(
        self, utterance: Utterance, parts: Sequence[Clause], times: Sequence[When], taken: set[int]
    ) -> None:
        """ "It's due on Monday" dates what was just said."""
        for number, part in enumerate(parts):
            here = [when for when in times if part.start <= when.start < part.end]
            if number in taken or not here or not DUE.search(part.text.lower()):
                continue
            for draft in self._live(utterance, 2)[:1]:
                if utterance.speaker not in (draft.by.speaker, draft.doer):
                    continue
                if draft.when is None or (here[0].dayless and draft.when.clock is None):
                    draft.when = refined(draft.when, here[0])
