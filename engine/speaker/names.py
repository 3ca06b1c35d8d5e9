"""Names that speakers say of themselves: "my name is Ada", "je m'appelle Ada", "我叫艾达".

A plain introduction ("my name is …") is believed of any name. A loose one ("I am …", "ich bin …") says much else, too,
and counts only for a name the user knows already. Nothing here decides anything: what is found is a suggestion.
"""

import re
from collections.abc import Collection

import msgspec

__all__ = ["Introduction", "introduced", "may_introduce"]

LONGEST_NAME = 40
"""Characters."""


class Introduction(msgspec.Struct, frozen=True):
    """A name, as it was said. `plain`: nothing else was meant by it."""

    name: str
    plain: bool


# Before the name, in languages written from left to right with the name last; by language for the reader only.
_PLAIN_BEFORE = (
    r"my name is|my name's|they call me|the name is|the name's",  # English
    r"me llamo|mi nombre es",  # Spanish
    r"je m[’']appelle|mon nom est|moi c[’']est",  # French
    r"ich heiße|ich heisse|mein name ist",  # German
    r"mi chiamo|il mio nome è",  # Italian
    r"meu nome é|o meu nome é|me chamo|eu me chamo|chamo-me",  # Portuguese
    r"ik heet|mijn naam is",  # Dutch
    r"меня зовут|моё имя|мое имя",  # Russian
    r"мене звати|мене звуть",  # Ukrainian
    r"nazywam się|mam na imię",  # Polish
    r"jmenuji se|jmenuju se",  # Czech
    r"jag heter|mitt namn är",  # Swedish
    r"jeg heter|jeg hedder|mitt navn er|mit navn er",  # Norwegian, Danish
    r"minun nimeni on|mun nimi on|nimeni on",  # Finnish
    r"benim adım|benim ismim|adım",  # Turkish
    r"με λένε|το όνομά μου είναι|ονομάζομαι",  # Greek
    r"mă numesc|numele meu este|mă cheamă",  # Romanian
    r"a nevem",  # Hungarian
    r"nama saya|namaku",  # Indonesian, Malay
    r"tôi tên là|tên tôi là|tên em là",  # Vietnamese
    r"اسمي|إسمي",  # Arabic
    r"שמי|קוראים לי",  # Hebrew
    r"मेरा नाम",  # Hindi
    r"我叫|我的名字是|我的名字叫|我是叫",  # Chinese
    r"私の名前は|僕の名前は|名前は",  # Japanese
    r"제 이름은|내 이름은",  # Korean
)
_PLAIN_AFTER = (
    r"と申します|といいます|と言います",  # Japanese
    r"(?:이|)라고 합니다|(?:이|)라고 해요",  # Korean
)
_LOOSE_BEFORE = (
    r"i am|i[’']m|this is|it[’']s",
    r"soy|yo soy",
    r"je suis|c[’']est",
    r"ich bin|hier ist|hier spricht",
    r"sono|io sono",
    r"eu sou|sou",
    r"ik ben|met",
    r"я|это",
    r"jestem",
    r"jag är|det är",
    r"jeg er|det er",
    r"我是",
    r"私は|僕は",
    r"저는|나는",
    r"मैं",
    r"أنا",
)

_LETTER = "(?:[^\\W\\d_]|[\u0900-\u0903\u093a-\u094f\u0e31-\u0e4e\u0591-\u05c7\u064b-\u0652])"
"""Letters, and the vowel signs that Python does not count among them."""
_WORD = rf"[^\W\d_]{_LETTER}*(?:[’'\-]{_LETTER}+)*"
_SPACED_NAME = rf"(?P<name>{_WORD}(?: (?!है){_WORD})?)"
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
_ENDINGS = "です|でございます|입니다|이에요|예요|이야|है|हैं"
_NAME = rf"(?:(?P<joined>[{_UNSPACED}]{{1,12}}?)(?={_ENDINGS}|[\s,.!?。、！？，]|$)|{_SPACED_NAME})"


def _before(forms: Collection[str]) -> re.Pattern[str]:
    return re.compile(rf"(?:(?<!\w)|(?<=[{_UNSPACED}]))(?:{'|'.join(forms)})[\s:,]*{_NAME}", re.IGNORECASE)


_PLAIN = _before(_PLAIN_BEFORE)
_LOOSE = _before(_LOOSE_BEFORE)
_AFTER = re.compile(
    rf"(?:^|[\s、。,，は])(?P<joined>[{_UNSPACED}]{{1,12}}?)(?:{'|'.join(_PLAIN_AFTER)})", re.IGNORECASE
)


_MARKS = frozenset(
    max(re.split(r"\[’'\]|\(\?:[^)]*\)", form), key=len)
    for forms in (*_PLAIN_BEFORE, *_PLAIN_AFTER)
    for form in re.split(r"\|(?!\))", forms)
)
"""What is in every text with a plain introduction; the longest parts of the forms that are written in one way."""


def may_introduce(text: str) -> bool:
    """Whether `introduced` may find a name in it without knowing any; a tenth of the cost."""
    small = text.lower()
    return any(mark in small for mark in _MARKS)


def introduced(text: str, known: Collection[str] = ()) -> Introduction | None:
    """The name the speaker of `text` gives themselves; None without one. `known`: names of people the user knows."""
    names = {name.casefold(): name for name in known}
    for pattern in (_PLAIN, _AFTER):
        for found in pattern.finditer(text):
            name = _name(found, names)
            if name is not None:
                return Introduction(name, plain=True)
    for found in _LOOSE.finditer(text):
        name = _name(found, names)
        if name is not None and name.casefold() in names:
            return Introduction(name, plain=False)
    return None


def _name(found: re.Match[str], known: dict[str, str]) -> str | None:
    """What was found as a name: a known one, whatever its case; else one that is written as names are."""
    said = (found.groupdict().get("joined") or found.groupdict().get("name") or "").strip()
    words = said.split()
    for candidate in (said, words[0] if words else ""):
        if candidate.casefold() in known:
            return known[candidate.casefold()]
    capitalised = []
    for word in words:
        if word[0].lower() != word[0].upper() and not word[0].isupper():
            break
        capitalised.append(word)
    name = " ".join(capitalised)
    return name if 0 < len(name) <= LONGEST_NAME else None
