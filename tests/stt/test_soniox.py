"""Soniox's protocol: what is sent, and what its tokens, times and errors become."""

import json
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
from engine.stt.soniox import CONTEXT_LIMIT, SonioxProtocol
from engine.stt.transport import ConnectionLost, Refused
from engine.stt.vendor import SAMPLE_RATE, Fault, StreamOptions, VendorError
from engine.transcript.words import Word

URL = "wss://stt-rt.soniox.com/transcribe-websocket"
KEY = "secret-key"
MS = SAMPLE_RATE // 1000


def protocol(seconds: float = 10.0, *, model: str = "", **options: object) -> SonioxProtocol:
    """A protocol that was given `seconds` of audio."""
    made = SonioxProtocol(
        StreamOptions(**{"session_id": "s-1", **options}),  # type: ignore[arg-type]
        Endpoint(URL, KEY, model),
    )
    if seconds:
        assert made.audio(bytes(int(seconds * SAMPLE_RATE) * 2))
    return made


def token(text: str, start: int | None = None, end: int | None = None, **more: object) -> dict[str, object]:
    """A final token; times in ms."""
    made: dict[str, object] = {"text": text, "is_final": True, "confidence": 0.9, **more}
    if start is not None:
        made["start_ms"] = start
    if end is not None:
        made["end_ms"] = end
    return made


def guess(text: str, start: int, end: int, **more: object) -> dict[str, object]:
    """A token that may change."""
    return token(text, start, end, is_final=False, **more)


def say(made: SonioxProtocol, *tokens: dict[str, object], final: int = 0, **more: object) -> Sequence[Event]:
    """What a result becomes; `final` is `final_audio_proc_ms`."""
    document = {"tokens": tokens, "final_audio_proc_ms": final, "total_audio_proc_ms": final, **more}
    return made.received(json.dumps(document))


def words(events: Sequence[Event]) -> list[Word]:
    return [word for event in events if isinstance(event, Recognized) for word in event.words]


def texts(events: Sequence[Event]) -> list[str]:
    return [word.text for word in words(events)]


def covered(events: Sequence[Event]) -> int:
    """In ms."""
    (event,) = (event for event in events if isinstance(event, Recognized))
    return event.covered // MS


def start(*, model: str = "", **options: object) -> dict[str, object]:
    message, started = protocol(0, model=model, **options).opened()
    assert isinstance(started, Started)
    assert isinstance(message, str)
    document: dict[str, object] = json.loads(message)
    return document


def failure(events: Sequence[Event]) -> VendorError:
    (event,) = events
    assert isinstance(event, Failed)
    return event.error


# Out


def test_the_key_goes_into_the_handshake_and_nowhere_else() -> None:
    made = protocol(0)
    assert made.request().url == URL
    assert made.request().headers == (("Authorization", f"Bearer {KEY}"),)
    assert KEY not in str(made.opened()[0])


def test_without_a_key_no_header_is_sent() -> None:
    made = SonioxProtocol(StreamOptions(session_id="s"), Endpoint("ws://localhost:1"))
    assert made.request().headers == ()


def test_the_start_message_describes_the_audio_and_audio_may_follow_at_once() -> None:
    assert start(language="en") == {
        "model": "stt-rt-v5",
        "audio_format": "pcm_s16le",
        "sample_rate": 16_000,
        "num_channels": 1,
        "language_hints": ["en"],
        "enable_speaker_diarization": True,
        "enable_language_identification": False,
        "enable_endpoint_detection": True,
        "client_reference_id": "s-1",
    }


def test_the_model_is_the_endpoints() -> None:
    assert start(model="stt-rt-v6")["model"] == "stt-rt-v6"


@pytest.mark.parametrize(
    ("language", "hints"), [("pt-BR", ["pt"]), ("EN_us", ["en"]), ("nb", ["no"]), ("zh-Hans", ["zh"])]
)
def test_a_hint_is_the_base_code_of_the_vendors_vocabulary(language: str, hints: list[str]) -> None:
    assert start(language=language)["language_hints"] == hints


@pytest.mark.parametrize("language", ["multi", "auto", "Multi"])
def test_several_languages_are_identified_and_not_hinted(language: str) -> None:
    message = start(language=language)
    assert "language_hints" not in message
    assert message["enable_language_identification"] is True


def test_a_language_the_vendor_does_not_know_is_never_hinted() -> None:
    assert "language_hints" not in start(language="tlh")


def test_a_long_session_id_is_cut_to_what_is_accepted() -> None:
    assert start(session_id="x" * 300)["client_reference_id"] == "x" * 256


def test_vocabulary_becomes_context_terms() -> None:
    assert start(vocabulary=("Omi", " new  York ", "Omi", ""))["context"] == {"terms": ["Omi", "new York"]}
    assert "context" not in start(vocabulary=())


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=4000), max_size=30))
@settings(max_examples=40, deadline=None)
def test_the_context_never_exceeds_what_the_vendor_takes(vocabulary: list[str]) -> None:
    context = json.dumps(start(vocabulary=tuple(vocabulary)).get("context"), ensure_ascii=False)
    assert len(context.replace('", "', '","')) <= CONTEXT_LIMIT + 1


def test_audio_goes_out_as_it_is() -> None:
    assert protocol(0).audio(b"\1\2\3\4") == (b"\1\2\3\4",)


def test_control_messages_are_the_vendors() -> None:
    made = protocol()
    assert [json.loads(str(message)) for message in made.keepalive()] == [{"type": "keepalive"}]
    assert [json.loads(str(message)) for message in made.finalize()] == [{"type": "finalize"}]
    assert made.finish() == ("",)


# Tokens to words


def test_a_word_is_complete_when_the_next_begins_across_messages() -> None:
    made = protocol()
    assert texts(say(made, token("Hel", 600, 680), final=680)) == []
    assert texts(say(made, token("lo", 680, 760), guess(" wor", 820, 900), final=760)) == []
    events = say(made, token(" world", 820, 1000), final=1000)
    assert words(events) == [Word("Hello", 600 * MS, 760 * MS, confidence=0.9)]
    assert texts(say(made, token(".", 1000, 1040), token("<end>"), final=1400)) == ["world."]


def test_a_token_may_hold_several_words() -> None:
    events = say(
        protocol(), token(" one two ", 0, 900), token("three", 900, 1000), token("<end>"), final=1000
    )
    assert [(word.text, word.start // MS, word.end // MS) for word in words(events)] == [
        ("one", 0, 400),
        ("two", 400, 800),
        ("three", 900, 1000),
    ]


@pytest.mark.parametrize("control", ["<end>", "<fin>"])
def test_control_tokens_end_words_in_mid_message_and_are_no_text(control: str) -> None:
    made = protocol()
    events = say(made, token(" yes", 0, 200), token(control), token("no", 900, 1000), final=1000)
    assert texts(events) == ["yes"]
    assert texts(say(made, token("<end>"), final=1400)) == ["no"]


def test_a_change_of_speaker_ends_a_word() -> None:
    made = protocol()
    events = say(
        made,
        token("yes", 0, 200, speaker="1"),
        token(".", 200, 210, speaker="2"),
        token("No", 300, 400, speaker="2"),
        token("<end>"),
        final=500,
    )
    assert [(word.text, word.speaker) for word in words(events)] == [("yes.", 0), ("No", 1)]


@pytest.mark.parametrize(
    ("speaker", "number"),
    [("1", 0), ("15", 14), (2, 1), ("0", None), ("", None), ("S1", None), ("9" * 5000, None), (None, None)],
)
def test_speakers_are_counted_from_zero(speaker: object, number: int | None) -> None:
    events = say(protocol(), token("hi", 0, 100, speaker=speaker), token("<end>"), final=200)
    assert [word.speaker for word in words(events)] == [number]


def test_a_word_without_a_speaker_is_said_by_the_one_before() -> None:
    events = say(
        protocol(), token("a", 0, 100, speaker="3"), token(" b", 100, 200), token("<end>"), final=200
    )
    assert [word.speaker for word in words(events)] == [2, 2]


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ((" Bonjour", " !", " Ça", " va", "?"), ["Bonjour!", "Ça", "va?"]),
        (("¿", "Qué", " tal", "?"), ["¿Qué", "tal?"]),
        ((' "', "Hi", '"', " said"), ['"Hi"', "said"]),
        ((" 3", ".", "5", " km"), ["3.5", "km"]),
        ((" -", " ok"), ["ok"]),
        ((" well", " -", " ok"), ["well -", "ok"]),
        ((" don", "'t"), ["don't"]),
        ((" a", " ", "b"), ["a", "b"]),
        ((" $", "5"), ["$5"]),
        (("你好", "，", "世界", "。"), ["你好，", "世界。"]),
        (("東京", "タ", "ワー", "に", "行", "った"), ["東京", "タ", "ワー", "に", "行った"]),
        (("สวัส", "ดี", "ครับ"), ["สวัส", "ดี", "ครับ"]),
        (("买", "iPhone", "15", "手机"), ["买", "iPhone15", "手机"]),
        (("안녕", "하세요", " 여러분"), ["안녕하세요", "여러분"]),
    ],
)
def test_punctuation_is_glued_and_every_script_has_words(
    tokens: tuple[str, ...], expected: list[str]
) -> None:
    said = [token(text, 100 * n, 100 * n + 90) for n, text in enumerate(tokens)]
    assert texts(say(protocol(), *said, token("<end>"), final=2000)) == expected


def test_tokens_in_one_message_or_in_many_are_the_same_words() -> None:
    said = [
        token(text, 80 * n, 80 * n + 80)
        for n, text in enumerate(("Try", " a", "gain", ".", " Fa", "il", " !"))
    ]
    at_once = words(say(protocol(), *said, token("<fin>"), final=900))
    made = protocol()
    one_by_one = [word for one in (*said, token("<fin>")) for word in words(say(made, one, final=0))]
    assert [word.text for word in at_once] == ["Try", "again.", "Fail!"]
    assert one_by_one == at_once


def test_confidence_is_the_mean_and_language_the_first() -> None:
    events = say(
        protocol(language="multi"),
        token("gu", 0, 100, confidence=0.5, language="de"),
        token("t", 100, 200, confidence=1.0, language="en"),
        token(".", 200, 210, confidence=0.1, language="de"),
        token("<end>"),
        final=300,
    )
    (word,) = words(events)
    assert (word.confidence, word.language) == (0.75, "de")


def test_translations_are_left_out() -> None:
    events = say(
        protocol(),
        token("Hallo", 0, 200, translation_status="original"),
        token(" hello", translation_status="translation", source_language="de"),
        token("<end>"),
        final=300,
    )
    assert texts(events) == ["Hallo"]


def test_missing_times_are_taken_from_the_neighbours() -> None:
    made = protocol()
    events = say(made, token("a", 100), token(" b", 300, 400), token(" c"), token("<end>"), final=600)
    assert [(word.start // MS, word.end // MS) for word in words(events)] == [
        (100, 300),
        (300, 400),
        (400, 600),
    ]


def test_final_tokens_that_are_said_again_yield_no_word() -> None:
    made = protocol()
    tokens = (token("one", 0, 100), token(" two", 100, 200))
    first, again = say(made, *tokens, final=200), say(made, *tokens, final=200)
    last = say(made, token("<end>"), final=300)
    assert texts([*first, *again, *last]) == ["one", "two"]


def test_a_word_nobody_finishes_is_complete_after_a_pause() -> None:
    made = protocol()
    assert texts(say(made, token("Done", 0, 400), final=400)) == []
    assert texts(say(made, final=1300)) == []
    events = say(made, final=1400)
    assert texts(events) == ["Done"]
    assert covered(events) == 1400


def test_a_word_without_end_is_cut() -> None:
    made = protocol()
    long = [event for n in range(100) for event in say(made, token("abcde", 10 * n, 10 * n + 10), final=0)]
    assert {len(text) for text in texts(long)} == {200}


# Covered


def test_covered_is_what_is_final_but_never_past_a_word_whose_tokens_are_still_to_come() -> None:
    made = protocol()
    assert covered(say(made, token(" Hello", 600, 760), token(" wor", 820, 900), final=900)) == 820
    assert covered(say(made, token("ld", 900, 1000), guess(" is", 1100, 1200), final=1050)) == 820
    assert covered(say(made, token(" is", 1100, 1200), final=1200)) == 1100
    assert covered(say(made, token("<end>"), final=1900)) == 1900


def test_covered_stays_before_what_may_still_change() -> None:
    assert covered(say(protocol(), guess(" maybe", 500, 700), final=600)) == 500


def test_silence_is_covered_without_words() -> None:
    made = protocol()
    assert say(made, final=1000) == [Recognized((), 1000 * MS)]
    assert covered(say(made, final=2000)) == 2000


def test_covered_is_never_beyond_the_audio_sent() -> None:
    made = protocol(1.0)
    events = say(made, token("x", 0, 99_000), token("<end>"), final=99_000)
    assert covered(events) == 1000
    assert words(events)[0].end == SAMPLE_RATE


def test_a_repeated_result_without_news_is_no_sign_of_life() -> None:
    made = protocol()
    assert say(made, final=1000)
    assert say(made, final=1000) == []
    assert say(made, final=1000, total_audio_proc_ms=1200) == [Recognized((), 1000 * MS)]


def test_words_begin_after_what_was_covered_before_them() -> None:
    made = protocol()
    say(made, final=1000)
    (word,) = words(say(made, token("late", 900, 1300), token("<end>"), final=1400))
    assert (word.start, word.end) == (1000 * MS, 1300 * MS)


# Interim, flush, end


def test_interim_words_are_what_follows_the_last_final_word() -> None:
    made = protocol(interim_results=True)
    first = say(made, token("Hel", 0, 80), guess("lo", 80, 160), guess(" wor", 200, 300), final=80)
    assert [event for event in first if isinstance(event, Tentative)] == [
        Tentative(
            (
                Word("Hello", 0, 160 * MS, confidence=0.9),
                Word("wor", 200 * MS, 300 * MS, confidence=0.9),
            )
        )
    ]
    second = say(made, token("lo", 80, 160), token(" world", 200, 400), token("<end>"), final=400)
    assert texts(second) == ["Hello", "world"]
    assert second[-1] == Tentative(())


def test_interim_words_are_told_once_until_they_change() -> None:
    made = protocol(interim_results=True)
    kinds = [
        [type(event) for event in say(made, guess("maybe", 0, 100), final=0)],
        [type(event) for event in say(made, guess("maybe", 0, 100), final=0)],
    ]
    assert kinds == [[Recognized, Tentative], [Recognized]]


def test_nobody_who_did_not_ask_gets_interim_words() -> None:
    assert [type(event) for event in say(protocol(), guess("maybe", 0, 100), final=0)] == [Recognized]


def test_fin_answers_finalize_after_its_words() -> None:
    made = protocol()
    made.finalize()
    events = say(made, token("ok", 0, 100), token("<fin>"), final=10_000)
    assert [type(event) for event in events] == [Recognized, Flushed]
    assert covered(events) == 10_000


def test_the_fin_of_an_earlier_finalize_does_not_answer_the_later_one() -> None:
    made = protocol(1.0)
    made.finalize()
    made.audio(bytes(2 * SAMPLE_RATE))
    made.finalize()
    assert Flushed() not in say(made, token("<fin>"), final=1000)
    assert Flushed() in say(made, token("<fin>"), final=2000)


def test_a_fin_that_comes_again_with_its_words_answers_nothing() -> None:
    made = protocol()
    made.finalize()
    tokens = (token("ok", 0, 100), token("<fin>"))
    assert Flushed() in say(made, *tokens, final=200)
    made.finalize()
    assert Flushed() not in say(made, *tokens, final=200)


def test_one_fin_may_answer_two() -> None:
    made = protocol(1.0)
    made.finalize()
    made.finalize()
    assert Flushed() in say(made, token("<fin>"), final=1000)


def test_finished_ends_the_stream_with_its_last_word() -> None:
    made = protocol()
    made.finish()
    events = say(made, token("Bye", 0, 100), final=10_000, finished=True)
    assert texts(events) == ["Bye"]
    assert events[-1] == Finished()
    assert made.lost(ConnectionLost(1000)) is None


def test_no_audio_received_is_an_orderly_end_only_after_finish() -> None:
    document = json.dumps({"tokens": [], "error_code": 400, "error_message": "No audio received."})
    assert failure(protocol(0).received(document)).fault is Fault.ELSEWHERE
    made = protocol(0)
    made.finish()
    assert list(made.received(document)) == [Finished()]
    assert made.lost(ConnectionLost(1000)) is None


# Errors


@pytest.mark.parametrize(
    ("code", "kind", "text", "fault"),
    [
        (400, "invalid_request", "Invalid language hint.", Fault.ELSEWHERE),
        (400, "model_not_available", "Invalid model specified.", Fault.ELSEWHERE),
        (401, "unauthenticated", "Invalid API key.", Fault.ELSEWHERE),
        (402, "organization_balance_exhausted", "Balance exhausted.", Fault.ELSEWHERE),
        (403, "permission_denied", "No.", Fault.ELSEWHERE),
        (404, "not_found", "No.", Fault.ELSEWHERE),
        (408, "request_timeout", "Request timeout.", Fault.RETRY_NOW),
        (413, "max_duration_reached", "Too long.", Fault.RETRY_NOW),
        (429, "limit_exceeded", "Too many.", Fault.RETRY_AFTER),
        (500, "internal_error", "Oops.", Fault.RETRY_NOW),
        (503, "service_unavailable", "Cannot continue request (code 3). Please restart.", Fault.RETRY_NOW),
        ("503", None, "Cannot continue request (code 3).", Fault.RETRY_NOW),
        (None, None, "Something.", Fault.RETRY_NOW),
    ],
)
def test_every_error_has_its_class_and_says_what_the_vendor_said(
    code: object, kind: str | None, text: str, fault: Fault
) -> None:
    document = {"tokens": [], "error_code": code, "error_type": kind, "error_message": text}
    error = failure(protocol().received(json.dumps(document)))
    assert error.fault is fault
    assert (error.retry_after is not None) == (fault is Fault.RETRY_AFTER)
    for said in ("soniox", str(code or ""), kind or "", text):
        assert said in str(error)


def test_an_error_never_repeats_the_key_and_is_one_line() -> None:
    document = {"error_code": 401, "error_message": f"Bad\nkey {KEY} " + "x" * 5000}
    text = str(failure(protocol().received(json.dumps(document))))
    assert KEY not in text
    assert "\n" not in text
    assert len(text) < 500


@pytest.mark.parametrize(
    ("status", "headers", "fault", "after"),
    [
        (401, (), Fault.ELSEWHERE, None),
        (402, (), Fault.ELSEWHERE, None),
        (404, (), Fault.ELSEWHERE, None),
        (429, (("retry-after", "7"),), Fault.RETRY_AFTER, 7.0),
        (429, (), Fault.RETRY_AFTER, 10.0),
        (503, (), Fault.RETRY_NOW, None),
    ],
)
def test_a_refused_handshake_has_its_class(
    status: int, headers: tuple[tuple[str, str], ...], fault: Fault, after: float | None
) -> None:
    error = protocol(0).refused(Refused(status, headers, b"because " + KEY.encode() + b"\xff"))
    assert (error.fault, error.retry_after) == (fault, after)
    assert f"HTTP {status}" in str(error)
    assert KEY not in str(error)


@pytest.mark.parametrize(
    ("code", "fault"),
    [(1000, Fault.RETRY_NOW), (1006, Fault.RETRY_NOW), (1011, Fault.RETRY_NOW), (1008, Fault.ELSEWHERE)],
)
def test_a_close_that_finished_did_not_announce_is_a_failure(code: int, fault: Fault) -> None:
    made = protocol()
    made.finish()
    error = made.lost(ConnectionLost(code, "because"))
    assert error is not None
    assert error.fault is fault
    assert str(code) in str(error)
    assert "because" in str(error)


# Nonsense


@pytest.mark.parametrize(
    "message",
    ["", "{", "[1]", "null", b"\xff\x00", "[" * 100_000, "\ud800", '{"type":"hello"}', '{"x":NaN}'],
)
def test_what_cannot_be_understood_is_a_notice(message: bytes | str) -> None:
    (event,) = protocol().received(message)
    assert isinstance(event, Notice)


_scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.integers(0, 3000),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=6),
)
_texts = st.sampled_from(
    ["<end>", "<fin>", " a", "b", ".", " ", "", " two words ", "你", "，", "ก", " ¿", "\u0301"]
)
_tokens = st.lists(
    st.one_of(
        _scalars,
        st.fixed_dictionaries(
            {},
            optional={
                "text": st.one_of(_texts, _scalars),
                "start_ms": st.one_of(st.integers(0, 3000), _scalars),
                "end_ms": st.one_of(st.integers(0, 3000), _scalars),
                "is_final": st.one_of(st.booleans(), _scalars),
                "speaker": st.one_of(st.sampled_from(["1", "2"]), _scalars),
                "confidence": _scalars,
                "language": _scalars,
                "translation_status": st.one_of(st.just("translation"), _scalars),
            },
        ),
    ),
    max_size=8,
)
_results = st.fixed_dictionaries(
    {},
    optional={
        "tokens": st.one_of(_tokens, _scalars),
        "final_audio_proc_ms": st.one_of(st.integers(0, 4000), _scalars),
        "total_audio_proc_ms": st.one_of(st.integers(0, 4000), _scalars),
        "finished": _scalars,
        "error_code": st.one_of(st.none(), _scalars),
        "error_message": st.one_of(st.none(), _scalars),
    },
)
_steps = st.lists(
    st.one_of(
        st.integers(1, SAMPLE_RATE),
        st.just("finalize"),
        st.just("finish"),
        _results.map(json.dumps),
        st.text(max_size=20),
        st.binary(max_size=20),
    ),
    max_size=25,
)


@given(_steps)
@settings(max_examples=400, deadline=None)
def test_whatever_comes_covered_goes_forward_within_the_audio_and_words_lie_in_order(
    steps: list[int | str | bytes],
) -> None:
    made, sent, reached, begun = protocol(0, interim_results=True), 0, 0, 0
    for step in steps:
        if isinstance(step, int):
            made.audio(bytes(2 * step))
            sent += step
            continue
        if step in ("finalize", "finish"):
            assert made.finalize() if step == "finalize" else made.finish()
            continue
        for event in made.received(step):
            if isinstance(event, Recognized):
                assert reached <= event.covered <= sent
                for word in event.words:
                    assert max(reached, begun) <= word.start <= word.end <= sent
                    assert word.text == word.text.strip() != ""
                    begun = word.start
                reached = event.covered
            elif isinstance(event, Tentative):
                assert all(word.start <= word.end <= sent for word in event.words)


@given(
    st.lists(st.text("abc", min_size=1, max_size=8), min_size=1, max_size=12),
    st.lists(st.integers(1, 4), min_size=1, max_size=8),
    st.lists(st.integers(1, 5), min_size=1, max_size=8),
)
@settings(max_examples=150, deadline=None)
def test_words_survive_any_division_into_tokens_and_messages(
    said: list[str], cuts: list[int], messages: list[int]
) -> None:
    tokens: list[dict[str, object]] = []
    at = 0
    for number, word in enumerate(said):
        rest = f" {word}" if number else word
        while rest:
            size = cuts[len(tokens) % len(cuts)]
            tokens.append(token(rest[:size], at, at + 40))
            rest, at = rest[size:], at + 40
    made = protocol()
    heard: list[Word] = []
    first = 0
    while first < len(tokens):
        size = messages[first % len(messages)]
        heard += words(say(made, *tokens[first : first + size], final=0))
        first += size
    heard += words(say(made, token("<end>"), final=at))
    assert [word.text for word in heard] == said
