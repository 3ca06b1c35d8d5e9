"""The query of /v4/listen: what it may say, and what each value means.

`parse_parameters` either returns parameters that can be served as they are or raises a `Refusal` naming the
first one that cannot: 1003 for codec, sample_rate and channels, 1008 for the rest. Parameters nobody knows
are ignored. Whether a language or a service is available is for the session to find out.
"""

import re
from collections.abc import Mapping, Sequence

import msgspec

from engine.wire.codes import CloseCode
from engine.wire.refusal import Refusal

__all__ = [
    "CODEC_RATES",
    "SOURCES",
    "STT_SERVICES",
    "ListenParameters",
    "Refusal",
    "describe_rates",
    "parse_parameters",
]

_OPUS_RATES = (8_000, 12_000, 16_000, 24_000, 48_000)  # RFC 6716 section 2: what a decoder may output
_LC3_RATES = (8_000, 16_000, 24_000, 32_000, 48_000)  # LC3 1.0 section 2.1, less 44.1 kHz (10.88 ms frames)
_ANY_RATE = range(8_000, 48_001)

CODEC_RATES: Mapping[str, Sequence[int]] = {
    "pcm8": _ANY_RATE,
    "pcm16": _ANY_RATE,
    "opus": _OPUS_RATES,
    "opus_fs320": _OPUS_RATES,
    "aac": _ANY_RATE,  # nominal: the ADTS header of each frame decides
    "lc3": _LC3_RATES,
    "lc3_fs1030": _LC3_RATES,
}
"""Every codec name and the sample rates it may come with."""

STT_SERVICES = ("deepgram", "soniox", "speechmatics", "vosk", "local")

# fmt: off
SOURCES = frozenset((
    "friend", "omi", "fieldy", "bee", "plaud", "frame", "friend_com", "apple_watch", "phone", "phone_call",
    "desktop", "openglass", "screenpipe", "workflow", "sdcard", "external_integration", "limitless",
    "onboarding", "unknown",
))
# fmt: on
UNKNOWN_SOURCE = "unknown"

LONGEST_TIMEOUT = 14_400
SHORTEST_TIMEOUT = 2
DEFAULT_TIMEOUT = 120
_NEVER = -1
"""conversation_timeout=-1: as long as is allowed."""

_BOOLEANS = dict.fromkeys(("true", "1", "yes", "on", "t", "y"), True) | dict.fromkeys(
    ("false", "0", "no", "off", "f", "n"), False
)
_SWITCH = {"enabled": True, "disabled": False}
_INTEGER = re.compile(r"-?[0-9]{1,9}")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_IDENTIFIER_LIMIT = 128


class ListenParameters(msgspec.Struct, frozen=True, kw_only=True):
    """What a client asked for, every value checked. The defaults are those of an empty query.

    `language` is a BCP 47 tag in canonical case, or `multi`. `conversation_timeout` is in seconds.
    `timing` asks for `Timing` on each segment, `speaker_decisions` for `SpeakerDecision` events. `multi_channel` says
    that byte 0 of every message is a channel number (phone calls). `notices` are sentences the client should be told.
    `idle_flush`: for how many seconds no audio must come until what came is transcribed to its end, at least; not in a
    query, but for audio that comes in bursts.
    """

    uid: str | None = None
    language: str = "en"
    sample_rate: int = 8_000
    codec: str = "pcm8"
    channels: int = 1
    include_speech_profile: bool = True
    conversation_timeout: int = DEFAULT_TIMEOUT
    stt_service: str | None = None
    source: str | None = None
    custom_stt: bool = False
    onboarding: bool = False
    create_speakers: bool = True
    speaker_auto_assign: bool = False
    vad_gate: bool | None = None
    call_id: str | None = None
    client_conversation_id: str | None = None
    interim_results: bool = False
    timing: bool = False
    speaker_decisions: bool = False
    multi_channel: bool = False
    notices: tuple[str, ...] = ()
    idle_flush: float = 0.0


def parse_parameters(query: Sequence[tuple[str, str]]) -> ListenParameters:
    """Read decoded query pairs, in the order they came. Raises `Refusal`."""
    given = _once(query)
    codec, sample_rate, channels = _audio_format(given)
    source = _source(given.get("source"))
    call_id = _identifier(given, "call_id")
    return ListenParameters(
        uid=_identifier(given, "uid"),
        language=_language(given.get("language", "en")),
        sample_rate=sample_rate,
        codec=codec,
        channels=channels,
        include_speech_profile=_boolean(given, "include_speech_profile", True),
        conversation_timeout=_conversation_timeout(given.get("conversation_timeout")),
        stt_service=_stt_service(given.get("stt_service")),
        source=source,
        custom_stt=_switch(given, "custom_stt") is True,
        onboarding=_switch(given, "onboarding") is True,
        create_speakers=_boolean(given, "create_speakers", True),
        speaker_auto_assign=_switch(given, "speaker_auto_assign") is True,
        vad_gate=_switch(given, "vad_gate"),
        call_id=call_id,
        client_conversation_id=_uuid(given.get("client_conversation_id")),
        interim_results=_boolean(given, "interim_results", False),
        timing=_boolean(given, "timing", False),
        speaker_decisions=_boolean(given, "speaker_decisions", False),
        multi_channel=channels > 1 and (source == "phone_call" or call_id is not None),
        notices=_notices(given),
    )


def describe_rates(codec: str) -> str:
    """The sample rates of a codec, as a sentence's end: "8000, 16000 or 48000" or "8000 to 48000"."""
    rates = CODEC_RATES[codec]
    return f"{rates[0]} to {rates[-1]}" if isinstance(rates, range) else _any_of(rates)


def _any_of(values: Sequence[object]) -> str:
    *most, last = [str(value) for value in values]
    return f"{', '.join(most)} or {last}"


def _once(query: Sequence[tuple[str, str]]) -> dict[str, str]:
    """The known parameters; one given twice must say the same both times."""
    given: dict[str, str] = {}
    for name, value in query:
        if name not in _NAMES:
            continue
        if given.setdefault(name, value) != value:
            code = CloseCode.UNSUPPORTED_DATA if name in _AUDIO_NAMES else CloseCode.POLICY_VIOLATION
            message = f"{name} is given more than once, with different values: give it once"
            raise Refusal(code, name, value, "one value", message=message)
    return given


def _audio_format(given: Mapping[str, str]) -> tuple[str, int, int]:
    bad = CloseCode.UNSUPPORTED_DATA
    codec = given.get("codec", "pcm8")
    if codec not in CODEC_RATES:
        raise Refusal(bad, "codec", codec, _any_of(tuple(CODEC_RATES)))
    rate = given.get("sample_rate", "8000")
    sample_rate = _integer(rate)
    if sample_rate is None or sample_rate not in CODEC_RATES[codec]:
        raise Refusal(bad, "sample_rate", rate, describe_rates(codec), circumstance=f"for codec {codec}")
    count = given.get("channels", "1")
    channels = _integer(count)
    if channels is None or channels not in (1, 2):
        raise Refusal(bad, "channels", count, "1 or 2")
    return codec, sample_rate, channels


def _integer(text: str) -> int | None:
    return int(text) if _INTEGER.fullmatch(text) else None


def _refuse(name: str, value: str, accepted: str) -> Refusal:
    return Refusal(CloseCode.POLICY_VIOLATION, name, value, accepted)


def _boolean(given: Mapping[str, str], name: str, default: bool) -> bool:
    if name not in given:
        return default
    value = _BOOLEANS.get(given[name].lower())
    if value is None:
        raise _refuse(name, given[name], "true or false")
    return value


def _switch(given: Mapping[str, str], name: str) -> bool | None:
    text = given.get(name)
    if not text:
        return None
    if text not in _SWITCH:
        raise _refuse(name, text, "enabled or disabled")
    return _SWITCH[text]


def _conversation_timeout(text: str | None) -> int:
    if text is None:
        return DEFAULT_TIMEOUT
    seconds = _integer(text)
    if seconds == _NEVER:
        return LONGEST_TIMEOUT
    if seconds is None or not SHORTEST_TIMEOUT <= seconds <= LONGEST_TIMEOUT:
        accepted = f"{SHORTEST_TIMEOUT} to {LONGEST_TIMEOUT} seconds, or -1 for {LONGEST_TIMEOUT}"
        raise _refuse("conversation_timeout", text, accepted)
    return seconds


def _stt_service(text: str | None) -> str | None:
    if not text:
        return None
    if text not in STT_SERVICES:
        raise _refuse("stt_service", text, _any_of(STT_SERVICES))
    return text


def _source(text: str | None) -> str | None:
    if not text:
        return None
    return text if text in SOURCES else UNKNOWN_SOURCE


def _language(text: str) -> str:
    if text.lower() in ("multi", "auto"):
        return "multi"
    if not _LANGUAGE.fullmatch(text):
        raise _refuse("language", text, "a language tag such as en, pt-BR or zh-Hant, or multi, or auto")
    primary, *subtags = text.split("-")
    return "-".join([primary.lower(), *map(_subtag_case, subtags)])


def _subtag_case(subtag: str) -> str:
    """RFC 5646 section 2.1.1: regions in capitals, scripts in title case, the rest in small letters."""
    if len(subtag) == 2:
        return subtag.upper()
    return subtag.title() if len(subtag) == 4 and subtag.isalpha() else subtag.lower()


def _identifier(given: Mapping[str, str], name: str) -> str | None:
    text = given.get(name)
    if not text:
        return None
    if len(text) > _IDENTIFIER_LIMIT or not text.isprintable():
        raise _refuse(name, text, f"up to {_IDENTIFIER_LIMIT} printable characters")
    return text


def _uuid(text: str | None) -> str | None:
    """Anything but a UUID is ignored, as clients expect."""
    return text.lower() if text and _UUID.fullmatch(text) else None


def _notices(given: Mapping[str, str]) -> tuple[str, ...]:
    without_effect = []
    if given.get("onboarding") == "enabled":
        without_effect.append("onboarding")
    if "create_speakers" in given:
        without_effect.append("create_speakers")
    return tuple(f"{name}={given[name]} has no effect on this server" for name in without_effect)


_AUDIO_NAMES = frozenset(("codec", "sample_rate", "channels"))
_NAMES = frozenset(ListenParameters.__struct_fields__) - {"multi_channel", "notices", "idle_flush"}
