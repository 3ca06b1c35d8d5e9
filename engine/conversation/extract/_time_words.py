"""The words of days and times, and the patterns that find them. Earlier patterns take precedence over later ones."""

import re
from collections.abc import Iterable

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
# fmt: off
_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)
_UNITS = (
    "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen",
    "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)
_ORDINAL_UNITS = (
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh",
    "twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth", "seventeenth", "eighteenth", "nineteenth",
)
# fmt: on
WEEKDAYS = {name: i for i, name in enumerate(_DAYS)}
MONTHS = {name[:3]: i for i, name in enumerate(_MONTHS, start=1)}
_TENS = {"twenty": 20, "thirty": 30, "forty": 40, "fifty": 50}

NUMBERS = {word: i for i, word in enumerate(_UNITS, start=1)} | _TENS
NUMBERS |= {f"{ten} {_UNITS[i - 1]}": value + i for ten, value in _TENS.items() for i in range(1, 10)}
NUMBERS |= {"a": 1, "an": 1, "a couple of": 2, "a couple": 2, "couple of": 2, "a few": 3, "oh five": 5}

ORDINALS = {word: i for i, word in enumerate(_ORDINAL_UNITS, start=1)} | {"twentieth": 20, "thirtieth": 30}
ORDINALS |= {f"twenty {_ORDINAL_UNITS[i - 1]}": 20 + i for i in range(1, 10)} | {"thirty first": 31}


def number(said: str) -> int | None:
    """A spoken or written number; None for what is none."""
    said = " ".join(said.replace("-", " ").split())
    return int(said) if said.isdecimal() and said.isascii() else NUMBERS.get(said)


def ordinal(said: str) -> int | None:
    """A day of a month, spoken or written; None for what is none."""
    digits = re.match(r"[0-9]{1,2}", said)
    day = int(digits[0]) if digits else ORDINALS.get(" ".join(said.replace("-", " ").split()))
    return day if day is not None and 1 <= day <= 31 else None


def _any_of(words: Iterable[str]) -> str:
    """Longest first, so that "twenty first" is not read as "twenty"; a hyphen stands for a space, too."""
    return "|".join(word.replace(" ", "[ -]") for word in sorted(words, key=len, reverse=True))


_MONTH = rf"(?:{'|'.join(_MONTHS)}|jan|feb|apr|aug|sept|oct|nov|dec)"
_WEEKDAY = rf"(?:{'|'.join(_DAYS)})"
_ORDINAL = rf"(?:[0-9]{{1,2}}(?:st|nd|rd|th)|{_any_of(ORDINALS)})"
_COUNT = rf"(?:[0-9]{{1,3}}|{_any_of(NUMBERS)})"
_HOUR = rf"(?P<hour>[0-9]{{1,2}}|{_any_of(_UNITS[:12])})"
_MINUTE = (
    r"(?P<minute>oh[ -]five|five|ten|fifteen|twenty|thirty[ -]five|thirty|forty[ -]five|forty|fifty|[0-9]{2})"
)
_HALF = r"(?: ?(?P<half>[ap])(?:\.? ?m\b\.?))"
_AT = r"(?:at|by|before|around|about|until|till|from)"
_PART = r"(?: (?:morning|afternoon|evening|night|lunch ?time))?"
_NOT_AN_HOUR = (
    r"(?![ -]?(?:percent|%|hundred|thousand|million|euros?|dollars?|pounds?|bucks|cents?|years?|months?"
    r"|weeks?|days?"
    r"|hours?|minutes?|people|times|or|of|to|and a half|pages?|point|more|items?|things?|different"
    r"|kilos?)\b|[.,:]?[0-9])"
)
_IN_THE = r"(?: (?:in the (?:morning|afternoon|evening)|at night))?"

PATTERNS = {
    name: re.compile(rf"\b(?:{pattern})(?!\w)")
    for name, pattern in {
        "past": (
            rf"yesterday{_PART}|last (?:{_WEEKDAY}|{_MONTH}|night|week|weekend|month|year|time|summer"
            rf"|winter|spring"
            rf"|fall|christmas)|(?:{_COUNT}|ages|(?:some|long) time) (?:days?|weeks?|months?|years?|hours?"
            rf"|minutes?)? ?ago"
            rf"|ages ago|the other day"
        ),
        "iso": r"[0-9]{4}-[0-9]{2}-[0-9]{2}",
        "month_day": (
            rf"(?:(?:{_WEEKDAY}),? (?:the )?)?(?P<month>{_MONTH}) (?:the )?"
            rf"(?P<day>{_ORDINAL}|[0-9]{{1,2}}(?!:|[0-9]|[ ]?[ap]m))(?:,? (?P<year>20[0-9]{{2}}))?"
        ),
        "day_month": (
            rf"(?:(?:{_WEEKDAY}),? )?(?:the )?(?P<day>{_ORDINAL}|[0-9]{{1,2}}) (?:of )?(?P<month>{_MONTH})"
            rf"(?:,? (?P<year>20[0-9]{{2}}))?"
        ),
        "month_end": rf"(?:the )?end of (?P<month>{_MONTH})",
        "weekday_later": (
            rf"(?P<weekday>{_WEEKDAY}) (?:in a week|week|after next)|a week (?:from"
            rf"|on) (?P<weekday_from>{_WEEKDAY})"
        ),
        "after": (
            rf"(?:in|within)(?: the next)? (?P<count>half an|{_COUNT}) (?P<unit>minute|hour|day|fortnight"
            rf"|week|month)s?(?: time)?"
            rf"|(?P<count_from>{_COUNT}) (?P<unit_from>day|week|month)s? from (?:now|today)"
        ),
        "near": (
            rf"(?P<near>the day after tomorrow|(?:the )?end of (?:the )?day(?: (?:today|tomorrow))?"
            rf"|first thing (?:tomorrow|in the morning)|later (?:today|tonight)"
            rf"|(?:close of business|cob|eod)(?: tomorrow| today)?"
            rf"|(?:right )?after (?:this|the) (?:call|meeting)|right after this|right away"
            rf"|straight away|tomorrow|today|tonight"
            rf"|this (?:morning|afternoon|evening)){_PART}(?: (?:the )?end of (?:the )?day)?"
        ),
        "weekday_day": rf"(?P<weekday>{_WEEKDAY}),? the (?P<day>{_ORDINAL})(?: of (?P<month>{_MONTH}))?",
        "weekday": r"(?:(?P<which>this|next|the following|this coming|the coming"
        rf"|coming) )?(?P<weekday>{_WEEKDAY}){_PART}",
        "span": (
            r"(?:(?:the |at the )?end of |later |early |sometime )?(?:(?P<which>this|next|the|this coming"
            r"|the coming) )"
            r"(?P<span>weekend|week|month|year)(?! of\b)"
        ),
        "bare": (
            rf"(?<=\bon )(?:the )(?P<day>{_ORDINAL})|(?<=\bby )(?:the )(?P<day_by>{_ORDINAL})"
            rf"|(?<=\bbefore )(?:the )(?P<day_before>{_ORDINAL})|(?<=\buntil )(?:the )(?P<day_until>{_ORDINAL})"
            rf"|the (?P<day_digits>[0-9]{{1,2}}(?:st|nd|rd|th))"
            rf"|the (?P<day_word>{_any_of(ORDINALS)})(?= at\b| works?\b| is\b| in the\b|[.,?!]|$)"
        ),
        "named": r"(?P<named>noon|midday|midnight|(?<=by )lunch(?:time)?|(?<=before )lunch(?:time)?)",
        "fraction": (
            rf"(?P<fraction>half|quarter) (?:(?P<to>past|after|to"
            rf"|before) )?{_HOUR}\b{_NOT_AN_HOUR}{_HALF}?{_IN_THE}"
        ),
        "clock": rf"{_HOUR}(?::(?P<digits>[0-9]{{2}})| {_MINUTE})?(?: ?o'? ?clock{_IN_THE}|{_HALF})",
        "digits": rf"{_HOUR}:(?P<digits>[0-9]{{2}}){_IN_THE}",
        "hour": rf"(?:{_AT}|(?P<between>between)) (?:around |about "
        rf"|like )?{_HOUR}(?: {_MINUTE})?\b{_NOT_AN_HOUR}(?(between) and \w+){_IN_THE}",
    }.items()
}

MORNING = re.compile(r"\b(?:wake|breakfast|alarm|morning|a\.? ?m\b|sunrise)")
EVENING = re.compile(r"\b(?:tonight|evening|dinner|party|p\.? ?m\b|drinks|concert|film|movie|supper)")
HINT = re.compile(
    r"[0-9]|day|week|month|year|to(?:night|morrow)|this (?:morn|after|even)|morning|noon|lunch|ago\b|last |after th"
    r"|away|eod|cob|close of|fortnight|hour|minute|half |quarter "
    r"|\b(?:twentieth|thirtieth|jan|feb|apr|aug|sept|oct|nov|dec"
    rf"|{'|'.join((*_MONTHS, *_UNITS, *_ORDINAL_UNITS, *_TENS))})\b"
)
"""In every expression there is one of these; most sentences have none."""
