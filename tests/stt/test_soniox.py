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
from tests.stt.soniox_results import KEY, MS, URL, covered, guess, protocol, say, texts, token, words


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
