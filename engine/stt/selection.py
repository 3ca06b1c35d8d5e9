"""Which vendors serve a session, in what order: pure functions.

The service asked for comes first, then the operator's order; `multi` and `auto` put Soniox before the rest of
that order. Vendors the operator's order does not name are never used: their audio goes nowhere unasked.
A language is served by a vendor that speaks it or refused; it is never decoded as English.
"""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from engine.stt.languages import DETECT, KNOWN, WHISPER


class Candidate(Protocol):
    """The part of `Vendor` that selection looks at."""

    @property
    def name(self) -> str:
        """As in `STT_SERVICE_MODELS`."""
        ...

    @property
    def provider(self) -> str:
        """The service's name: `deepgram`, `local` …"""
        ...

    def speaks(self, language: str) -> bool:
        """Whether a session in `language` can be served."""
        ...


class Selection(msgspec.Struct, frozen=True):
    """Names of the vendors to try, best first, never empty. `notice` tells the client of an unmet wish."""

    vendors: tuple[str, ...]
    notice: str | None = None


class UnsupportedLanguage(Exception):
    """No configured vendor speaks `language`; `accepted` are the tags that some vendor does."""

    def __init__(self, language: str, accepted: tuple[str, ...], hint: str = "") -> None:
        listed = ", ".join(accepted) or "none, because no vendor is configured"
        super().__init__(
            f"language: {language!r} is not spoken by any configured vendor; accepted: {listed}{hint}"
        )
        self.language = language
        self.accepted = accepted


def choose(
    order: Sequence[str], available: Sequence[Candidate], language: str, stt_service: str | None = None
) -> Selection:
    """Vendors for a session in `language`, best first.

    `order` is the operator's (`STT_SERVICE_MODELS`), `available` the vendors that can be used (key or model
    is there), `stt_service` the client's wish: a vendor's or a provider's name. A wish that cannot be met
    gives a notice and the normal order. Raises UnsupportedLanguage.
    """
    by_name = {vendor.name: vendor for vendor in available}
    usable = [by_name[name] for name in dict.fromkeys(order) if name in by_name]
    speaking = [vendor for vendor in usable if vendor.speaks(language)]
    if not speaking:
        raise UnsupportedLanguage(language, accepted_languages(usable), _hint(usable, language))
    if language.strip().lower() in DETECT:
        speaking.sort(key=lambda vendor: vendor.provider != "soniox")
    if stt_service is None:
        return Selection(tuple(vendor.name for vendor in speaking))
    wished = [vendor for vendor in usable if stt_service in (vendor.name, vendor.provider)]
    speaking.sort(key=lambda vendor: vendor not in wished)
    return Selection(
        tuple(vendor.name for vendor in speaking), _notice(stt_service, wished, speaking[0], language)
    )


def accepted_languages(vendors: Sequence[Candidate]) -> tuple[str, ...]:
    """Every known tag that one of `vendors` speaks, leaving out those whose base language says the same."""
    spoken = {tag for tag in KNOWN if any(vendor.speaks(tag) for vendor in vendors)}
    return tuple(
        sorted(tag for tag in spoken if tag.partition("-")[0] == tag or tag.partition("-")[0] not in spoken)
    )


def _notice(stt_service: str, wished: Sequence[Candidate], chosen: Candidate, language: str) -> str | None:
    if chosen in wished:
        return None
    if wished:
        return f"stt_service {stt_service!r} does not speak {language!r}; using {chosen.name!r}"
    return f"stt_service {stt_service!r} is not configured here; using {chosen.name!r}"


def _hint(vendors: Sequence[Candidate], language: str) -> str:
    local = any(vendor.name == "local-whisper" for vendor in vendors)
    if local and WHISPER.match(language) is not None:
        return "; the operator can serve it with local.model = 'base'"
    return ""
