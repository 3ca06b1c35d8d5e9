"""vosk-server's protocol, without I/O."""

import json
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.stt.protocol import Endpoint, Event, Finished, Flushed, Notice, Recognized, Started, Tentative
from engine.stt.transport import ConnectionLost, Refused
from engine.stt.vendor import Fault, StreamOptions
from engine.stt.vosk import MARGIN, PADS, VoskProtocol
from engine.transcript.words import Word

SECOND = 16_000


def protocol(*, interim: bool = True, key: str | None = None) -> VoskProtocol:
    options = StreamOptions(session_id="s", vocabulary=("Omi",), interim_results=interim)
    return VoskProtocol(options, Endpoint("ws://vosk:2700", key))


def sent(seconds: int, *, interim: bool = True) -> VoskProtocol:
    """A stream that was sent so many messages of a second."""
    stream = protocol(interim=interim)
    for _ in range(seconds):
        stream.audio(bytes(2 * SECOND))
    return stream


def reply(stream: VoskProtocol, **fields: object) -> list[Event]:
    return list(stream.received(json.dumps(fields)))


def word(content: str, start: object, end: object) -> dict[str, object]:
    return {"word": content, "start": start, "end": end, "conf": 0.5}


def test_the_configuration_comes_first_and_is_not_answered() -> None:
    config, started = protocol().opened()
    assert isinstance(config, str)
    assert json.loads(config) == {"config": {"sample_rate": 16000, "words": True, "max_alternatives": 0}}
    assert started == Started()


def test_vocabulary_is_not_sent_because_it_would_forbid_all_other_words() -> None:
    assert all("Omi" not in str(message) for message in protocol().opened())


def test_there_is_no_key_but_a_proxys() -> None:
    assert protocol().request().headers == ()
    assert protocol(key="k").request().headers == (("Authorization", "Bearer k"),)


def test_there_is_nothing_to_keep_alive() -> None:
    stream = protocol()
    assert (stream.keepalive(), stream.traits.keepalive, stream.traits.ping) == ((), None, None)


def test_the_end_is_said_to_the_letter() -> None:
    assert protocol().finish() == ('{"eof" : 1}',)


def test_every_message_of_audio_waits_for_its_reply() -> None:
    stream = sent(3)
    assert stream.unacknowledged == 3
    reply(stream, partial="")
    reply(stream, text="")
    assert stream.unacknowledged == 1


def test_a_result_covers_all_audio_up_to_the_message_it_answers() -> None:
    stream = sent(3)
    reply(stream, partial="hello")
    [event] = reply(stream, text="hello world", result=[word("hello", 0.5, 1), word("world", 1, 1.5)])
    words = (Word("hello", 8_000, 16_000, confidence=0.5), Word("world", 16_000, 24_000, confidence=0.5))
    assert event == Recognized(words, 2 * SECOND)


def test_what_was_heard_so_far_is_tentative_and_spread_over_what_is_not_covered() -> None:
    stream = sent(2)
    reply(stream, text="")
    assert reply(stream, partial="a b") == [Tentative((Word("a", 16_000, 24_000), Word("b", 24_000, 32_000)))]


def test_nothing_tentative_is_said_unasked() -> None:
    assert reply(sent(1, interim=False), partial="a b") == [Recognized((), 0)]


def test_silence_is_passed_at_a_distance() -> None:
    stream = sent(5)
    events = [event for _ in range(5) for event in reply(stream, partial="")]
    assert events[-1] == Recognized((), 5 * SECOND - MARGIN)


def test_silence_within_an_utterance_is_not_passed() -> None:
    stream = sent(8)
    reply(stream, partial="uh")
    for _ in range(7):
        assert reply(stream, partial="") == [Recognized((), 0)]


def test_a_server_without_word_times_has_its_words_spread() -> None:
    [event] = reply(sent(1), text="ab cd")
    assert event == Recognized((Word("ab", 0, 8_000), Word("cd", 8_000, 16_000)), SECOND)


def test_finalize_sends_silence_until_the_utterance_ends() -> None:
    stream = sent(1)
    pads = stream.finalize()
    assert len(pads) == PADS
    assert {bytes(str(pad), "ascii") if isinstance(pad, str) else pad for pad in pads} == {bytes(SECOND)}
    reply(stream, partial="hello")
    assert reply(stream, partial="hello")[0] == Tentative((Word("hello", 0, SECOND),))
    [event] = reply(stream, text="hello", result=[word("hello", 0.5, 1.2)])
    assert event == Recognized((Word("hello", 8_000, 16_000, confidence=0.5),), SECOND)
    assert [reply(stream, partial="") for _ in range(PADS - 2)] == [
        *([[Recognized((), SECOND)]] * (PADS - 3)),
        [Recognized((), SECOND), Flushed(guessed=True)],
    ]


def test_finalize_is_not_answered_while_words_are_open() -> None:
    stream = sent(1)
    stream.finalize()
    events = [event for _ in range(1 + PADS) for event in reply(stream, partial="hello")]
    assert not any(isinstance(event, Flushed) for event in events)


def test_times_after_a_silence_put_in_are_shifted_back() -> None:
    stream = sent(1)
    stream.finalize()
    pad = PADS * 0.5
    for _ in range(1 + PADS):
        reply(stream, partial="x")
    stream.audio(bytes(2 * SECOND))
    words = [word("before", 0.5, 0.9), word("astride", 0.9, 1.2 + pad), word("after", 1.2 + pad, 1.5 + pad)]
    [event] = reply(stream, text="…", result=words)
    assert isinstance(event, Recognized)
    assert [(w.start, w.end) for w in event.words] == [(8_000, 14_400), (14_400, 19_200), (19_200, 24_000)]
    stream.audio(bytes(2 * SECOND))
    [event] = reply(stream, text="…", result=[word("later", 2.1 + pad, 2.5 + pad)])
    assert event == Recognized((Word("later", 33_600, 40_000, confidence=0.5),), 3 * SECOND)


def test_the_last_result_finishes() -> None:
    stream = sent(1)
    stream.finish()
    assert reply(stream, partial="hi") == [Tentative((Word("hi", 0, SECOND),))]
    last = reply(stream, text="hi", result=[word("hi", 0.1, 0.2)])
    assert last == [Recognized((Word("hi", 1_600, 3_200, confidence=0.5),), SECOND), Finished()]
    assert stream.lost(ConnectionLost(1000)) is None


def test_a_reply_to_nothing_says_nothing() -> None:
    assert reply(protocol(), text="x") == []


@pytest.mark.parametrize("message", ["", "[]", "{}", '{"x": 1}', b"\xff", "[" * 5000])
def test_what_is_no_result_is_a_notice(message: str | bytes) -> None:
    stream = sent(1)
    assert stream.received(message) == (Notice("vosk sent a message that is no result"),)
    assert stream.unacknowledged == 1


@pytest.mark.parametrize("code", [1000, 1006, 1011])
def test_a_connection_that_ends_is_worth_another_try(code: int) -> None:
    stream = sent(1)
    stream.finish()
    error = stream.lost(ConnectionLost(code, "x"))
    assert error is not None
    assert (error.fault, str(error)) == (Fault.RETRY_NOW, f"vosk closed with {code} x")


@pytest.mark.parametrize(
    ("status", "fault"),
    [(401, Fault.ELSEWHERE), (404, Fault.ELSEWHERE), (429, Fault.RETRY_AFTER), (502, Fault.RETRY_NOW)],
)
def test_a_proxys_refusal_has_a_class(status: int, fault: Fault) -> None:
    error = protocol(key="k3y").refused(Refused(status, (), b"no k3y"))
    assert (error.fault, str(error)) == (fault, f"vosk refused with HTTP {status} no …")


numbers = st.one_of(
    st.floats(-1, 12), st.floats(), st.integers(), st.none(), st.booleans(), st.text(max_size=2)
)
results = st.fixed_dictionaries(
    {}, optional={"word": st.text(max_size=3) | numbers, "start": numbers, "end": numbers, "conf": numbers}
)
replies = st.fixed_dictionaries(
    {},
    optional={
        "partial": st.sampled_from(["", "a", "a b"]) | numbers,
        "text": st.text(max_size=5) | numbers,
        "result": st.lists(results, max_size=4) | numbers,
    },
)
steps = st.one_of(st.just("audio"), st.just("finalize"), st.just("finish"), replies)


@settings(max_examples=300, deadline=None)
@given(st.lists(steps, max_size=25))
def test_nothing_the_server_may_say_breaks_the_promises(said: Sequence[object]) -> None:
    stream, covered, audio = sent(2), 0, 2 * SECOND
    for step in said:
        if step == "audio":
            stream.audio(bytes(2 * SECOND))
            audio += SECOND
        elif step == "finalize":
            stream.finalize()
        elif step == "finish":
            stream.finish()
        for event in stream.received(json.dumps(step)):
            if isinstance(event, Recognized):
                assert covered <= event.covered <= audio
                covered = event.covered
            if isinstance(event, Recognized | Tentative):
                at = 0
                for heard in event.words:
                    assert at <= heard.start <= heard.end <= audio
                    at = heard.end
