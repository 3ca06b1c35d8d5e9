"""How what is extracted is compared with the labels."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from bench.extraction import (
    CONVERSATIONS,
    HALVES,
    LabelledItem,
    dice,
    load,
    main,
    pairs,
    same_time,
    stems,
    transcript_of,
)
from engine.conversation.structured import ActionItem

BERLIN = ZoneInfo("Europe/Berlin")


def item(description: str, speaker: str = "SPEAKER_00") -> ActionItem:
    return ActionItem(description=description, speaker=speaker)


def test_an_item_matches_by_words_and_by_who_is_to_do_it() -> None:
    labels = [LabelledItem("Send the sales report to Kevin", (0,))]
    assert pairs([item("Send Kevin the report")], labels) == [(0, 0)]
    assert pairs([item("Send Kevin the report", "SPEAKER_01")], labels) == []
    assert pairs([item("Send flowers")], labels) == []


def test_each_item_and_each_label_match_once_the_most_similar_first() -> None:
    labels = [LabelledItem("Call the plumber", (0,)), LabelledItem("Call the plumber about the tap", (0,))]
    found = [item("Call the plumber about the tap"), item("Call the plumber")]
    assert sorted(pairs(found, labels)) == [(0, 1), (1, 0)]
    assert len(pairs(found, labels[:1])) == 1


def test_words_are_compared_without_endings_and_function_words() -> None:
    assert stems("Booking the flights") == stems("book a flight")
    assert dice(stems("book a flight"), stems("book a hotel")) == 0.5
    assert dice(set(), set()) == 0.0


@pytest.mark.parametrize(
    ("moment", "label", "right"),
    [
        (None, None, True),
        (datetime(2026, 6, 3, 21, 59, tzinfo=UTC), date(2026, 6, 3), True),
        (datetime(2026, 6, 3, 22, 1, tzinfo=UTC), date(2026, 6, 3), False),
        (datetime(2026, 6, 3, 10, 0, tzinfo=UTC), datetime(2026, 6, 3, 12, 0), True),
        (datetime(2026, 6, 3, 10, 1, tzinfo=UTC), datetime(2026, 6, 3, 12, 0), False),
        (None, date(2026, 6, 3), False),
        (datetime(2026, 6, 3, 10, 0, tzinfo=UTC), None, False),
    ],
)
def test_a_due_date_is_right_on_the_local_day_and_to_the_minute_when_one_was_said(
    moment: datetime | None, label: object, right: bool
) -> None:
    assert same_time(moment, label, BERLIN) is right


def test_there_are_labelled_conversations_of_many_kinds_in_both_halves() -> None:
    halves = [[load(path) for path in sorted((CONVERSATIONS / half).glob("*.toml"))] for half in HALVES]
    assert [len(half) for half in halves] == [14, 14]
    assert len({labelled.kind for half in halves for labelled in half}) == 28
    for labelled in (labelled for half in halves for labelled in half):
        speakers = {segment.speaker_id for segment in transcript_of(labelled).segments}
        assert speakers == set(range(len(labelled.speakers)))
        assert all(set(label.who) <= speakers for label in labelled.action_items)


def test_of_the_held_out_half_only_totals_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    main()
    printed = capsys.readouterr().out
    for path in (CONVERSATIONS / HALVES[1]).glob("*.toml"):
        labelled = load(path)
        assert path.stem not in printed
        assert not any(label.text in printed for label in labelled.action_items)
