"""Speechmatics' protocol, without I/O."""

import json
import math
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
    VendorProtocol,
)
from engine.stt.speechmatics import ERRORS, SpeechmaticsProtocol
from engine.stt.transport import ConnectionLost, Refused
from engine.stt.vendor import Fault, StreamOptions
from engine.transcript.sentences import join
from engine.transcript.words import Word

URL = "wss://eu.rt.speechmatics.com/v2"
SECOND = 16_000


def protocol(
    *, language: str = "en", vocabulary: Sequence[str] = (), interim: bool = False, model: str = ""
) -> SpeechmaticsProtocol:
    options = StreamOptions(
        session_id="s", language=language, vocabulary=tuple(vocabulary), interim_results=interim
    )
    made: VendorProtocol = SpeechmaticsProtocol(options, Endpoint(URL, "secret", model))
    assert isinstance(made, SpeechmaticsProtocol)
    return made


def started(seconds: float = 10.0) -> SpeechmaticsProtocol:
    """A stream that was sent so much audio."""
    stream = protocol()
    assert say(stream, "RecognitionStarted", id="1", language_pack_info={"word_delimiter": " "}) == [
        Started()
    ]
    stream.audio(bytes(2 * int(seconds * SECOND)))
    return stream


def say(stream: SpeechmaticsProtocol, name: str, **fields: object) -> list[Event]:
    return list(stream.received(json.dumps({"message": name, **fields})))


def word(content: str, start: float, end: float, kind: str = "word", **more: object) -> dict[str, object]:
    alternative = {
        "content": content,
        "confidence": 0.9,
        "language": "en",
        "speaker": more.pop("speaker", "S1"),
    }
    return {"type": kind, "start_time": start, "end_time": end, "alternatives": [alternative], **more}


def mark(content: str, at: float, attaches_to: str = "previous") -> dict[str, object]:
    return word(content, at, at, "punctuation", attaches_to=attaches_to, is_eos=content == ".")


def final(stream: SpeechmaticsProtocol, results: Sequence[object], start: float, end: float) -> Recognized:
    [event] = say(
        stream,
        "AddTranscript",
        format="2.1",
        metadata={"start_time": start, "end_time": end, "transcript": "…"},
        results=list(results),
    )
    assert isinstance(event, Recognized)
    return event


def failure(events: Sequence[Event]) -> tuple[Fault, str, float | None]:
    [event] = events
    assert isinstance(event, Failed)
    return event.error.fault, str(event.error), event.error.retry_after


def start_message(stream: SpeechmaticsProtocol) -> dict[str, object]:
    [message] = stream.opened()
    assert isinstance(message, str)
    decoded = json.loads(message)
    assert isinstance(decoded, dict)
    return decoded


def config(stream: SpeechmaticsProtocol) -> dict[str, object]:
    value = start_message(stream)["transcription_config"]
    assert isinstance(value, dict)
    return value


class TestOut:
    def test_the_key_is_a_bearer_token(self) -> None:
        request = protocol().request()
        assert request.url == URL
        assert request.headers == (("Authorization", "Bearer secret"),)

    def test_a_container_on_the_premises_needs_no_key(self) -> None:
        stream = SpeechmaticsProtocol(StreamOptions(session_id="s"), Endpoint("ws://asr:9000/v2"))
        assert stream.request().headers == ()

    def test_recognition_is_started_with_every_option_said(self) -> None:
        message = start_message(protocol())
        assert message["message"] == "StartRecognition"
        assert message["audio_format"] == {"type": "raw", "encoding": "pcm_s16le", "sample_rate": 16000}
        assert message["transcription_config"] == {
            "language": "en",
            "model": "enhanced",
            "diarization": "speaker",
            "enable_partials": False,
            "max_delay": 2.0,
            "max_delay_mode": "flexible",
            "enable_entities": True,
            "conversation_config": {"end_of_utterance_silence_trigger": 0.5},
        }

    @pytest.mark.parametrize(
        ("language", "code"),
        [
            ("en-GB", "en"),
            ("zh", "cmn"),
            ("zh-CN", "cmn"),
            ("zh-HK", "yue"),
            ("yue", "yue"),
            ("nb", "no"),
            ("pt-BR", "pt"),
        ],
    )
    def test_languages_get_the_vendors_own_codes(self, language: str, code: str) -> None:
        assert config(protocol(language=language))["language"] == code

    def test_partials_are_asked_for_when_interim_results_are(self) -> None:
        assert config(protocol(interim=True))["enable_partials"] is True

    def test_the_endpoints_model_is_asked_for(self) -> None:
        assert config(protocol(model="standard"))["model"] == "standard"

    def test_vocabulary_keeps_what_the_vendor_takes(self) -> None:
        terms = ["Omi", " Omi ", "", "a b c d e f", "a b c d e f g", *(f"t{n}" for n in range(2000))]
        sent = config(protocol(vocabulary=terms))["additional_vocab"]
        assert isinstance(sent, list)
        assert sent[:3] == ["Omi", "a b c d e f", "t0"]
        assert len(sent) == 1000

    def test_audio_goes_out_as_it_is_and_is_counted_for_the_end(self) -> None:
        stream = protocol()
        assert stream.audio(b"\1\2") == (b"\1\2",)
        assert stream.audio(b"\3\4") == (b"\3\4",)
        assert [json.loads(message) for message in stream.finish()] == [
            {"message": "EndOfStream", "last_seq_no": 2}
        ]

    def test_finalize_forces_the_end_of_the_utterance_at_the_audio_sent(self) -> None:
        assert [json.loads(message) for message in started(2.5).finalize()] == [
            {"message": "ForceEndOfUtterance", "timestamp": 2.5}
        ]

    def test_pings_keep_the_stream_alive_not_messages(self) -> None:
        stream = protocol()
        assert stream.keepalive() == ()
        assert stream.traits.keepalive is None
        assert stream.traits.ping == 30.0


class TestAcknowledgements:
    def test_messages_are_unacknowledged_until_they_were_added(self) -> None:
        stream = protocol()
        for _ in range(3):
            stream.audio(bytes(2))
        assert stream.unacknowledged == 3
        assert say(stream, "AudioAdded", seq_no=2) == []
        assert stream.unacknowledged == 1

    @pytest.mark.parametrize("number", [-5, 0, 10**40, "2", None, True, 1.5, math.pi])
    def test_nonsense_acknowledges_nothing_that_was_not_sent(self, number: object) -> None:
        stream = protocol()
        stream.audio(bytes(2))
        say(stream, "AudioAdded", seq_no=number)
        assert stream.unacknowledged in (0, 1)


class TestWords:
    def test_a_final_covers_its_time_and_has_words_with_punctuation(self) -> None:
        results = [word("Send", 3.12, 3.36), word("it", 3.36, 3.5), word("now", 4.0, 4.5), mark(".", 4.5)]
        event = final(started(), results, 3.12, 4.5)
        assert event.covered == 72_000
        assert [w.text for w in event.words] == ["Send", "it", "now."]
        assert event.words[0] == Word("Send", 49_920, 53_760, 0, 0.9, "en")
        assert event.words[2] == Word("now.", 64_000, 72_000, 0, 0.9, "en")

    @pytest.mark.parametrize(
        ("results", "words"),
        [
            ([mark("¿", 1, "next"), word("Qué", 1, 2), mark("?", 2)], ["¿Qué?"]),
            ([word("well", 1, 2), mark("-", 2, "both"), word("known", 2, 3)], ["well-known"]),
            ([word("so", 1, 2), mark("–", 2, "none"), word("then", 2, 3)], ["so", "–", "then"]),
            ([word("你好", 1, 2), mark("，", 2), word("世界", 2, 3), mark("。", 3)], ["你好，", "世界。"]),
            ([mark(".", 1), word("Next", 1, 2)], [".", "Next"]),
            ([word("20 June", 1, 2, "entity", entity_class="date", written_form=[], spoken_form=[])], ["20 June"]),
        ],
    )  # fmt: skip
    def test_punctuation_and_entities_become_words_text(
        self, results: list[object], words: list[str]
    ) -> None:
        assert [w.text for w in final(started(), results, 1, 3).words] == words

    def test_a_mark_alone_in_its_message_joins_the_word_before(self) -> None:
        stream = started()
        texts = [w.text for w in final(stream, [word("Yes", 1, 2)], 1, 2).words]
        texts += [w.text for w in final(stream, [mark(".", 2)], 2, 2).words]
        assert join(texts) == "Yes."

    @pytest.mark.parametrize(
        ("label", "speaker"),
        [
            ("S1", 0),
            ("S2", 1),
            ("S15", 14),
            ("UU", None),
            ("Anna", None),
            ("S0", None),
            (None, None),
            (3, None),
        ],
    )
    def test_speakers_count_from_zero(self, label: object, speaker: int | None) -> None:
        assert final(started(), [word("a", 1, 2, speaker=label)], 1, 2).words[0].speaker == speaker

    def test_an_empty_final_passes_silence(self) -> None:
        assert final(started(), [], 0, 5) == Recognized((), 5 * SECOND)

    def test_what_is_covered_never_goes_back_nor_beyond_the_audio(self) -> None:
        stream = started(10)
        assert final(stream, [], 0, 5).covered == 5 * SECOND
        assert final(stream, [], 0, 4).covered == 5 * SECOND
        assert final(stream, [], 0, 1e12).covered == 10 * SECOND

    def test_what_is_covered_includes_the_words(self) -> None:
        assert final(started(), [word("a", 1, 2)], 1, 1.5).covered == 2 * SECOND

    def test_a_final_sent_twice_has_its_words_once(self) -> None:
        stream = started()
        results = [mark(".", 1), word("a", 1, 2)]
        assert len(final(stream, results, 1, 2).words) == 2
        assert final(stream, results, 1, 2) == Recognized((), 2 * SECOND)

    def test_partials_are_tentative_and_have_no_confidence(self) -> None:
        [event] = say(started(), "AddPartialTranscript", metadata={}, results=[word("send", 3, 3.5)])
        assert event == Tentative((Word("send", 48_000, 56_000, 0, None, "en"),))

    def test_results_with_missing_fields_are_placed_between_their_neighbours(self) -> None:
        results = [
            word("a", 1, 2),
            {"type": "word", "alternatives": [{"content": "b"}]},
            {"type": "word", "start_time": "x", "end_time": None},
            {"alternatives": [{"content": "  "}]},
            {"alternatives": "c"},
            7,
        ]
        event = final(started(), results, 1, 2)
        assert event.words == (Word("a", SECOND, 2 * SECOND, 0, 0.9, "en"), Word("b", 2 * SECOND, 2 * SECOND))


class TestEnds:
    def test_a_forced_end_of_utterance_answers_finalize(self) -> None:
        stream = started()
        stream.finalize()
        assert say(stream, "EndOfUtterance", forced=True, metadata={"end_time": 10.0}) == [Flushed()]

    def test_an_end_of_utterance_by_silence_answers_nothing(self) -> None:
        stream = started()
        assert say(stream, "EndOfUtterance", forced=True) == []
        stream.finalize()
        assert say(stream, "EndOfUtterance", metadata={"start_time": 5.0, "end_time": 5.0}) == []

    def test_the_last_of_several_answers_counts(self) -> None:
        stream = started()
        stream.finalize()
        stream.finalize()
        assert say(stream, "EndOfUtterance", forced=True) == []
        assert say(stream, "EndOfUtterance", forced=True) == [Flushed()]

    def test_the_end_of_the_transcript_finishes(self) -> None:
        stream = started()
        stream.finish()
        assert say(stream, "EndOfTranscript") == [Finished()]
        assert stream.lost(ConnectionLost(1000)) is None

    def test_an_end_nobody_asked_for_is_a_failure(self) -> None:
        fault, told, _ = failure(say(started(), "EndOfTranscript"))
        assert fault is Fault.RETRY_NOW
        assert "nobody asked" in told

    def test_audio_beyond_the_limit_of_duration_does_not_count_as_transcribed(self) -> None:
        stream = started()
        [notice] = say(
            stream, "Warning", type="duration_limit_exceeded", reason="too long", duration_limit=7200
        )
        assert notice == Notice("speechmatics Warning duration_limit_exceeded: too long")
        stream.finalize()
        assert say(stream, "EndOfUtterance", forced=True) == []
        stream.finish()
        assert failure(say(stream, "EndOfTranscript"))[0] is Fault.RETRY_NOW
        assert stream.lost(ConnectionLost(1000)) is not None

    @pytest.mark.parametrize(
        ("kind", "fault"),
        [
            ("not_authorised", Fault.ELSEWHERE),
            ("invalid_model", Fault.ELSEWHERE),
            ("timelimit_exceeded", Fault.ELSEWHERE),
            ("quota_exceeded", Fault.RETRY_AFTER),
            ("job_error", Fault.RETRY_AFTER),
            ("unknown_error", Fault.RETRY_AFTER),
            ("never_heard_of", Fault.RETRY_AFTER),
            ("idle_timeout", Fault.RETRY_NOW),
            ("session_timeout", Fault.RETRY_NOW),
        ],
    )
    def test_errors_have_a_class(self, kind: str, fault: Fault) -> None:
        got, told, after = failure(say(started(), "Error", type=kind, reason="because", code=4999))
        assert got is fault
        assert told == f"speechmatics error {kind} (4999): because"
        assert after == (5.0 if fault is Fault.RETRY_AFTER else None)

    def test_an_error_not_known_is_classed_by_its_close_code(self) -> None:
        assert failure(say(started(), "Error", type="new", reason="x", code=4003))[0] is Fault.ELSEWHERE

    @pytest.mark.parametrize(
        ("code", "fault"),
        [
            (1000, Fault.RETRY_NOW),
            (1003, Fault.ELSEWHERE),
            (1006, Fault.RETRY_NOW),
            (1008, Fault.RETRY_NOW),
            (1011, Fault.RETRY_AFTER),
            (4001, Fault.ELSEWHERE),
            (4003, Fault.ELSEWHERE),
            (4004, Fault.ELSEWHERE),
            (4005, Fault.RETRY_AFTER),
            (4006, Fault.ELSEWHERE),
            (4013, Fault.RETRY_AFTER),
        ],
    )
    def test_close_codes_have_a_class(self, code: int, fault: Fault) -> None:
        error = started().lost(ConnectionLost(code, "why"))
        assert error is not None
        assert (error.fault, str(error)) == (fault, f"speechmatics closed with {code} why")

    @pytest.mark.parametrize(
        ("status", "header", "fault", "after"),
        [
            (400, None, Fault.ELSEWHERE, None),
            (401, None, Fault.ELSEWHERE, None),
            (402, None, Fault.ELSEWHERE, None),
            (404, None, Fault.ELSEWHERE, None),
            (408, None, Fault.RETRY_NOW, None),
            (429, None, Fault.RETRY_AFTER, 5.0),
            (429, "7", Fault.RETRY_AFTER, 7.0),
            (429, "Wed, 21 Oct 2026 07:28:00 GMT", Fault.RETRY_AFTER, 5.0),
            (429, "nan", Fault.RETRY_AFTER, 5.0),
            (503, "1e9", Fault.RETRY_AFTER, 60.0),
            (503, None, Fault.RETRY_NOW, None),
        ],
    )
    def test_refusals_have_a_class(
        self, status: int, header: str | None, fault: Fault, after: float | None
    ) -> None:
        headers = (("retry-after", header),) if header else ()
        error = protocol().refused(Refused(status, headers, b"no\nsecret"))
        assert (error.fault, error.retry_after) == (fault, after)
        assert str(error) == f"speechmatics refused with HTTP {status} no …"


class TestNonsense:
    @pytest.mark.parametrize("message", ["", "null", "[]", "{", "[" * 5000, b"\xff", '"x"', "\ud800"])
    def test_what_is_no_object_is_a_notice(self, message: str | bytes) -> None:
        assert [type(event) for event in started().received(message)] == [Notice]

    def test_a_message_not_known_is_a_notice_without_its_text(self) -> None:
        [event] = say(started(), "what we said at home", text="private")
        assert event == Notice("speechmatics sent a message of a kind not known: ?")
        [event] = say(started(), "SpeakersResult", speakers=[])
        assert event == Notice("speechmatics sent a message of a kind not known: SpeakersResult")


NAMES = ["RecognitionStarted", "AudioAdded", "AddTranscript", "AddPartialTranscript", "EndOfUtterance"]
NAMES += ["EndOfTranscript", "Info", "Warning", "Error", "x"]
numbers = st.one_of(st.floats(-1, 12), st.integers(-3, 12), st.floats(), st.integers())
junk = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, st.text(max_size=5)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
alternatives = st.fixed_dictionaries(
    {},
    optional={
        "content": st.text(max_size=4) | junk,
        "confidence": junk,
        "speaker": st.sampled_from(["S1", "UU"]) | junk,
    },
)
results = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["word", "punctuation", "entity"]) | junk,
        "start_time": numbers | junk,
        "end_time": numbers | junk,
        "attaches_to": st.sampled_from(["next", "previous", "both", "none"]) | junk,
        "alternatives": st.lists(alternatives, max_size=2) | junk,
    },
)
messages = st.fixed_dictionaries(
    {"message": st.sampled_from(NAMES) | junk},
    optional={
        "metadata": st.fixed_dictionaries({}, optional={"start_time": numbers, "end_time": numbers}) | junk,
        "results": st.lists(results, max_size=4) | junk,
        "type": st.sampled_from(sorted(ERRORS)) | junk,
        "reason": st.text(max_size=5) | junk,
        "forced": junk,
        "seq_no": numbers | junk,
        "code": numbers | junk,
    },
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(messages, junk), max_size=8), st.booleans())
def test_nothing_the_vendor_may_say_breaks_the_promises(said: list[object], finishing: bool) -> None:
    stream, covered = started(10), 0
    stream.finalize()
    if finishing:
        stream.finish()
    for message in said:
        for event in stream.received(json.dumps(message)):
            if isinstance(event, Recognized):
                assert covered <= event.covered <= 10 * SECOND
                covered = event.covered
            if isinstance(event, Recognized | Tentative):
                ends = [0]
                for heard in event.words:
                    assert ends[-1] <= heard.start <= heard.end <= 10 * SECOND
                    assert heard.text
                    assert heard.text == heard.text.strip()
                    ends.append(heard.end)
        assert 0 <= stream.unacknowledged <= 1
