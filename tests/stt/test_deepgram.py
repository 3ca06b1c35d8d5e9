"""What is asked of Deepgram, and what its messages, closes and refusals are taken for."""

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.stt.deepgram import TERM_TOKENS, TERMS, DeepgramProtocol
from engine.stt.protocol import (
    Endpoint,
    Event,
    Failed,
    Finished,
    Flushed,
    Notice,
    Recognized,
    Started,
    Tentative,
)
from engine.stt.transport import ConnectionLost, Refused
from engine.stt.vendor import Fault, StreamOptions
from engine.transcript.words import Word

KEY = "secret-key"
SECOND = 16_000


def protocol(model: str = "nova-3", seconds: float = 0.0, **options: Any) -> DeepgramProtocol:
    made = DeepgramProtocol(
        StreamOptions(session_id="s", **options), Endpoint("wss://api.deepgram.com/v1/listen", KEY, model)
    )
    if seconds:
        made.audio(bytes(2 * int(seconds * SECOND)))
    return made


def query(made: DeepgramProtocol) -> list[tuple[str, str]]:
    return parse_qsl(urlsplit(made.request().url).query, keep_blank_values=True)


def results(start: float, duration: float, *words: dict[str, object], **fields: object) -> str:
    transcript = " ".join(str(word.get("punctuated_word", word.get("word"))) for word in words)
    alternative = {"transcript": transcript, "confidence": 0.9, "words": list(words)}
    return json.dumps(
        {
            "type": "Results",
            "channel_index": [0, 1],
            "start": start,
            "duration": duration,
            "is_final": True,
            "speech_final": True,
            "channel": {"alternatives": [alternative]},
        }
        | fields
    )


def word(text: str, start: float, end: float, **fields: object) -> dict[str, object]:
    return {"word": text, "start": start, "end": end, "confidence": 0.9} | fields


def test_the_query_is_the_documented_set_of_options() -> None:
    request = protocol().request()
    assert request.url.startswith("wss://api.deepgram.com/v1/listen?")
    assert request.headers == (("Authorization", f"Token {KEY}"),)
    assert query(protocol()) == [
        ("punctuate", "true"),
        ("no_delay", "true"),
        ("endpointing", "300"),
        ("language", "en"),
        ("interim_results", "false"),
        ("smart_format", "true"),
        ("profanity_filter", "false"),
        ("diarize", "true"),
        ("filler_words", "false"),
        ("channels", "1"),
        ("multichannel", "false"),
        ("model", "nova-3"),
        ("sample_rate", "16000"),
        ("encoding", "linear16"),
    ]


def test_without_a_key_no_authorization_is_sent() -> None:
    made = DeepgramProtocol(
        StreamOptions(session_id="s"), Endpoint("ws://localhost:8080/v1/listen", None, "nova-3")
    )
    assert made.request().headers == ()


@pytest.mark.parametrize(
    ("model", "asked", "sent"),
    [
        ("nova-3", "en", "en"),
        ("nova-3", "pt-br", "pt-BR"),
        ("nova-3", "de-DE", "de"),
        ("nova-3", "multi", "multi"),
        ("nova-3", "auto", "multi"),
        ("nova-2-general", "multi", "multi"),
        ("nova-2-general", "zh-tw", "zh-TW"),
    ],
)
def test_languages_are_spelled_as_deepgram_does(model: str, asked: str, sent: str) -> None:
    assert dict(query(protocol(model, language=asked)))["language"] == sent


def test_interim_results_are_asked_for_when_wanted() -> None:
    assert dict(query(protocol(interim_results=True)))["interim_results"] == "true"


def test_vocabulary_is_key_terms_for_nova_3_and_keywords_before_it() -> None:
    vocabulary = ("Omi", "  Ada   Lovelace ", "", "a:b&c=d")
    terms = [item for item in query(protocol(vocabulary=vocabulary)) if item[0] == "keyterm"]
    assert terms == [("keyterm", "Omi"), ("keyterm", "Ada Lovelace"), ("keyterm", "a:b&c=d")]
    words = [
        item for item in query(protocol("nova-2-general", vocabulary=vocabulary)) if item[0] == "keywords"
    ]
    assert words == [("keywords", "Omi"), ("keywords", "Ada Lovelace"), ("keywords", "a b&c=d")]


@given(st.lists(st.text(max_size=60), max_size=300), st.sampled_from(["nova-3", "nova-2-general"]))
@settings(max_examples=50, deadline=None)
def test_vocabulary_stays_within_the_limits_and_what_is_left_out_is_told(
    vocabulary: list[str], model: str
) -> None:
    made = protocol(model, vocabulary=tuple(vocabulary))
    sent = [value for name, value in query(made) if name in ("keyterm", "keywords")]
    wanted = [term for term in vocabulary if term.encode("utf-8", "ignore").decode().split()]
    assert len(sent) <= TERMS
    if model == "nova-3":
        assert sum(len(term.encode()) for term in sent) <= 3 * TERM_TOKENS + 2 * len(sent)
    told = made.received('{"type":"UtteranceEnd"}')
    assert told == made_notices(len(wanted) - len(sent))
    assert made.received('{"type":"UtteranceEnd"}') == []


def made_notices(left_out: int) -> list[Event]:
    if left_out == 0:
        return []
    return [Notice(f"Deepgram: {left_out} vocabulary terms are beyond its limits")]


def test_a_term_too_long_does_not_keep_later_ones_out() -> None:
    sent = [v for k, v in query(protocol(vocabulary=("x" * 1600, "Omi"))) if k == "keyterm"]
    assert sent == ["Omi"]


def test_control_messages_are_text_and_no_binary_message_is_empty() -> None:
    made = protocol()
    assert made.opened() == (Started(),)
    assert made.audio(b"") == ()
    assert made.audio(b"\1\2") == (b"\1\2",)
    assert made.keepalive() == ('{"type":"KeepAlive"}',)
    assert made.finalize() == ('{"type":"Finalize"}',)
    assert made.finish() == ('{"type":"CloseStream"}',)


def test_the_vendor_is_treated_as_its_pages_say() -> None:
    traits = protocol().traits
    assert (traits.pace, traits.keepalive, traits.first_audio) == (1.25, 4.0, 10.0)
    assert 640 <= 2 * traits.chunk <= 8000


def test_a_final_gives_its_words_and_covers_its_window() -> None:
    message = results(
        4.2,
        2.35,
        word("send", 4.4, 4.72, punctuated_word="Send", speaker=0, language="en", confidence=0.998),
        word("please", 5.1, 5.6, punctuated_word="please.", speaker=1),
        from_finalize=False,
    )
    made = protocol(seconds=7)
    made.received(results(0.0, 4.2))
    assert made.received(message) == [
        Recognized(
            (
                Word("Send", 70_400, 75_520, 0, 0.998, "en"),
                Word("please.", 81_600, 89_600, 1, 0.9),
            ),
            104_800,
        )
    ]


def test_what_is_missing_is_done_without() -> None:
    made = protocol(seconds=10)
    bare: dict[str, object] = {"word": "hi"}
    assert made.received(results(0, 2, bare)) == [Recognized((Word("hi", 0, 0),), 2 * SECOND)]
    no_window = results(0, 0, word("there", 2.5, 3.0)).replace('"start": 0, "duration": 0, ', "")
    assert "duration" not in no_window
    assert made.received(no_window) == [Recognized((Word("there", 40_000, 48_000, None, 0.9),), 3 * SECOND)]
    only_text = results(3, 1, channel={"alternatives": [{"transcript": "two words"}]})
    assert made.received(only_text) == [
        Recognized((Word("two", 48_000, 56_000), Word("words", 56_000, 64_000)), 4 * SECOND)
    ]
    assert made.received('{"type":"Results","is_final":true}') == [Recognized((), 4 * SECOND)]


def test_a_final_that_comes_again_gives_no_word_again() -> None:
    made = protocol(seconds=10)
    message = results(0, 2, word("once", 0.5, 1.0))
    assert made.received(message) != made.received(message)
    assert made.received(message) == [Recognized((), 2 * SECOND)]


def test_a_word_that_begins_a_little_before_its_window_is_kept() -> None:
    made = protocol(seconds=10)
    made.received(results(0, 4))
    (event,) = made.received(results(4, 1, word("edge", 3.95, 4.02)))
    assert event == Recognized((Word("edge", 64_000, 64_320, None, 0.9),), 5 * SECOND)


def test_interims_replace_what_follows_the_last_final() -> None:
    made = protocol(seconds=10)
    assert made.received(results(0, 1, word("so", 0.2, 0.4), is_final=False)) == [
        Tentative((Word("so", 3200, 6400, None, 0.9),))
    ]
    assert made.received(results(0, 2, is_final=False)) == [Tentative(())]


def test_another_channel_says_nothing_here() -> None:
    made = protocol(seconds=2)
    assert made.received(results(0, 1, word("no", 0, 1), channel_index=[1, 2])) == []


def test_flushed_is_said_for_the_answer_to_the_last_finalize_only() -> None:
    made = protocol(seconds=2)
    made.finalize()
    made.audio(bytes(2 * SECOND))
    made.finalize()
    assert made.received(results(0, 2, from_finalize=True)) == [Recognized((), 2 * SECOND)]
    assert made.received(results(2, 1, from_finalize=True)) == [Recognized((), 3 * SECOND), Flushed()]
    assert made.received(results(2, 1, from_finalize=True)) == [Recognized((), 3 * SECOND)]


def test_a_finalize_left_unanswered_does_not_matter_once_its_audio_is_covered() -> None:
    made = protocol(seconds=1)
    made.finalize()
    made.audio(bytes(4 * SECOND))
    made.received(results(0, 2))
    made.finalize()
    assert made.received(results(2, 0.9, from_finalize=True))[-1] == Flushed()


def test_metadata_ends_the_stream_after_close_stream_only() -> None:
    made = protocol(seconds=1)
    metadata = '{"type":"Metadata","request_id":"6f0c","duration":1.0}'
    assert made.received(metadata) == [Notice("Deepgram ends request 6f0c by itself")]
    made.finish()
    assert made.received(metadata) == [Finished()]
    assert made.lost(ConnectionLost(1000)) is None


@pytest.mark.parametrize(
    ("code", "reason", "fault"),
    [
        (1000, "", Fault.RETRY_NOW),
        (1006, "", Fault.RETRY_NOW),
        (1008, "DATA-0000", Fault.ELSEWHERE),
        (1011, "NET-0000", Fault.RETRY_NOW),
        (1011, "NET-0001", Fault.RETRY_NOW),
        (1013, "", Fault.RETRY_AFTER),
        (4321, "what", Fault.RETRY_NOW),
    ],
)
def test_closes_fall_into_classes(code: int, reason: str, fault: Fault) -> None:
    error = protocol().lost(ConnectionLost(code, reason))
    assert error is not None
    assert error.fault is fault
    assert str(error) == f"Deepgram closed with {code} {reason}".rstrip()


def test_a_lost_connection_is_not_orderly_even_while_finishing() -> None:
    made = protocol()
    made.finish()
    assert made.lost(ConnectionLost(1006)) is not None
    assert made.lost(ConnectionLost(1011, "NET-0000")) is not None


@pytest.mark.parametrize(
    ("status", "fault"),
    [
        (400, Fault.ELSEWHERE),
        (401, Fault.ELSEWHERE),
        (402, Fault.ELSEWHERE),
        (403, Fault.ELSEWHERE),
        (404, Fault.ELSEWHERE),
        (408, Fault.RETRY_NOW),
        (429, Fault.RETRY_AFTER),
        (500, Fault.RETRY_NOW),
        (502, Fault.RETRY_NOW),
        (503, Fault.RETRY_NOW),
        (504, Fault.RETRY_NOW),
    ],
)
def test_refusals_fall_into_classes(status: int, fault: Fault) -> None:
    error = protocol().refused(Refused(status, (("dg-error", "because"),), b"not json"))
    assert error.fault is fault
    assert str(error) == f"Deepgram refused with HTTP {status}: because"


def test_a_refusal_is_told_in_the_vendors_words_without_the_key() -> None:
    body = b'{"err_code":"INVALID_AUTH","err_msg":"Key secret-key is\\nunknown.","request_id":"x"}'
    error = protocol().refused(Refused(401, (), body))
    assert str(error) == "Deepgram refused with HTTP 401 INVALID_AUTH: Key … is unknown."


def test_the_vendors_own_pause_is_kept() -> None:
    assert protocol().refused(Refused(429, (("retry-after", "7"),), b"")).retry_after == 7
    assert protocol().refused(Refused(429, (("retry-after", "soon"),), b"")).retry_after == 10


def test_an_error_message_fails_the_stream() -> None:
    made = protocol()
    (event,) = made.received('{"type":"Error","variant":"SchemaError","description":"could not parse"}')
    assert isinstance(event, Failed)
    assert event.error.fault is Fault.ELSEWHERE
    assert str(event.error) == "Deepgram error: SchemaError could not parse"
    (event,) = made.received('{"type":"Error","description":"NET-0000"}')
    assert isinstance(event, Failed)
    assert event.error.fault is Fault.RETRY_NOW


def test_what_is_not_understood_is_noted() -> None:
    made = protocol()
    for message in (b"\0", "{bad", "[]", '{"type":"Novelty"}', '{"type":7}', "{}", '{"type":"Results"}'):
        assert [type(event) for event in made.received(message)] in ([Notice], [Tentative])


_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from([0.5, 1.0, 1e308, -1e308, 10**400])
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
_TIMES = st.floats(-1, 6) | _VALUES
_WORDS = st.fixed_dictionaries(
    {},
    optional={
        "word": st.text(max_size=4) | _VALUES,
        "punctuated_word": st.text(max_size=4) | _VALUES,
        "start": _TIMES,
        "end": _TIMES,
        "speaker": st.integers(-1, 3) | _VALUES,
        "confidence": st.floats(0, 1) | _VALUES,
        "language": st.just("en") | _VALUES,
    },
)
_ALTERNATIVES = st.fixed_dictionaries(
    {},
    optional={"transcript": st.text(max_size=12) | _VALUES, "words": st.lists(_WORDS, max_size=4) | _VALUES},
)
_MESSAGES = st.fixed_dictionaries(
    {"type": st.sampled_from(["Results", "Results", "Results", "Metadata", "Error", "New"]) | _VALUES},
    optional={
        "start": _TIMES,
        "duration": _TIMES,
        "is_final": st.booleans() | _VALUES,
        "from_finalize": st.booleans() | _VALUES,
        "channel_index": st.just([0, 1]) | _VALUES,
        "channel": st.fixed_dictionaries({"alternatives": st.lists(_ALTERNATIVES, max_size=2) | _VALUES})
        | _VALUES,
        "description": _VALUES,
        "request_id": _VALUES,
    },
)


@given(st.lists(_MESSAGES.map(json.dumps) | st.text(max_size=20) | st.binary(max_size=20), max_size=8))
@settings(max_examples=300, deadline=None)
def test_whatever_the_vendor_sends_the_timeline_holds(messages: list[str | bytes]) -> None:
    made, covered, sent = protocol(), 0, 0
    for n, message in enumerate(messages):
        made.audio(bytes(2 * 8000))
        sent += 8000
        if n % 3 == 0:
            made.finalize()
        for event in made.received(message):
            if isinstance(event, Recognized):
                assert covered <= event.covered <= sent
                assert all(covered <= w.start <= w.end <= sent for w in event.words)
                covered = event.covered
            if isinstance(event, Recognized | Tentative):
                assert [w.start for w in event.words] == sorted(w.start for w in event.words)
                assert all(w.text == w.text.strip() != "" and w.start <= w.end for w in event.words)
                msgspec.json.encode(event)
