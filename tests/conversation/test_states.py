"""The table of a conversation's life against what the store does."""

from engine.conversation.states import MOVES, Trigger, statuses_before
from engine.store.records import COMPLETED, FAILED, IN_PROGRESS, MERGING, PROCESSING, STATUS_RANK

STATUSES = {IN_PROGRESS, PROCESSING, MERGING, COMPLETED, FAILED}


def test_every_trigger_has_its_row_and_names_statuses_there_are() -> None:
    assert set(MOVES) == set(Trigger)
    for move in MOVES.values():
        assert move.before | {move.after} <= STATUSES
        assert move.after not in move.before
    assert set(STATUS_RANK) == STATUSES


def test_every_status_can_be_left_and_processing_ends() -> None:
    for status in STATUSES:
        assert any(status in move.before for move in MOVES.values())
    after = {move.after for move in MOVES.values() if PROCESSING in move.before}
    assert after == {COMPLETED, FAILED}


def test_what_comes_through_the_journal_moves_forward_only() -> None:
    for trigger in (Trigger.SILENCE, Trigger.FINISHED):
        move = MOVES[trigger]
        assert all(STATUS_RANK[before] < STATUS_RANK[move.after] for before in move.before)


def test_what_is_going_on_is_neither_processed_again_nor_merged() -> None:
    for trigger in (Trigger.REPROCESSED, Trigger.MERGED):
        assert statuses_before(trigger) == {COMPLETED, FAILED}
