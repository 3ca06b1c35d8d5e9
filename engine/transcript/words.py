"""A recognised word on the session's timeline."""

import msgspec


class Word(msgspec.Struct, frozen=True, gc=False):
    """One word, as every vendor's results are turned into.

    `start` and `end` are absolute sample numbers (16 kHz) since the session began. `text` carries its
    punctuation and no surrounding space. `speaker` is a number from 0, stable within a session, or None
    where the vendor does not tell speakers apart.
    """

    text: str
    start: int
    end: int
    speaker: int | None = None
    confidence: float | None = None
    language: str | None = None
