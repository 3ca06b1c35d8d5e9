import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.wire.states import (
    SENDS_SEGMENTS,
    TAKES_AUDIO,
    TRANSITIONS,
    IllegalTransition,
    SessionEvent,
    State,
    advance,
)

ORDER = list(State)
FROM_OUTSIDE = (SessionEvent.END_ASKED, SessionEvent.CLIENT_GONE, SessionEvent.FAILED)


def test_a_session_that_meets_no_trouble() -> None:
    state = State.CONNECTING
    seen = []
    for event in (
        SessionEvent.ACCEPTED,
        SessionEvent.STT_READY,
        SessionEvent.END_ASKED,
        SessionEvent.CLIENT_GONE,
        SessionEvent.DRAINED,
    ):
        state = advance(state, event)
        seen.append(state)
    assert seen == [State.INITIATING, State.READY, State.DRAINING, State.DRAINING, State.CLOSED]


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", FROM_OUTSIDE)
def test_what_comes_from_outside_has_an_answer_in_every_state(state: State, event: SessionEvent) -> None:
    assert advance(state, event) in State


@given(st.lists(st.sampled_from(SessionEvent), max_size=12))
def test_a_session_only_moves_forward_and_never_reopens(events: list[SessionEvent]) -> None:
    state = State.CONNECTING
    for event in events:
        if event not in TRANSITIONS[state]:
            assert event not in FROM_OUTSIDE
            with pytest.raises(IllegalTransition):
                advance(state, event)
            continue
        after = advance(state, event)
        assert ORDER.index(after) >= ORDER.index(state)
        state = after


@pytest.mark.parametrize("state", [State.INITIATING, State.READY])
def test_a_client_that_leaves_has_what_it_sent_transcribed(state: State) -> None:
    assert advance(state, SessionEvent.CLIENT_GONE) is State.DRAINING


def test_a_closed_session_hears_only_what_comes_from_outside() -> None:
    assert set(TRANSITIONS[State.CLOSED]) == set(FROM_OUTSIDE)
    with pytest.raises(IllegalTransition, match="STT_READY cannot happen in state CLOSED"):
        advance(State.CLOSED, SessionEvent.STT_READY)


def test_stt_that_becomes_ready_while_draining_changes_nothing() -> None:
    assert advance(State.DRAINING, SessionEvent.STT_READY) is State.DRAINING


def test_a_draining_session_takes_no_audio_but_still_sends_segments() -> None:
    assert State.DRAINING not in TAKES_AUDIO
    assert State.DRAINING in SENDS_SEGMENTS
    assert TAKES_AUDIO < SENDS_SEGMENTS
