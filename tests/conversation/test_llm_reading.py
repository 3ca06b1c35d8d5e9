"""Notes read value by value: whatever stands in them, what is kept is sound."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.conversation.llm.ask import Unusable
from engine.conversation.llm.reading import Reader
from tests.conversation.talk import NOTES, transcript
from tests.conversation.test_llm_extract import sound

junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=30)
    | st.sampled_from(["SPEAKER_00", "2026-04-04", "0001-01-01", "9999-12-31T23:59:59-23:59", "⛵", "work"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["description", "title", "start", "due", "speaker", "lines", "minutes", "content", "x"]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=20,
)


@settings(max_examples=60)
@given(st.dictionaries(st.sampled_from([*NOTES, "more"]), junk), st.booleans())
def test_any_notes_are_of_no_use_or_what_is_kept_of_them_is_sound(
    changes: dict[str, Any], whole: bool
) -> None:
    reader = Reader(transcript(times=4))
    try:
        found = reader.notes(NOTES | changes, whole=whole)
    except Unusable:
        return
    if found.structured.title:
        sound(found)


@settings(max_examples=30)
@given(junk, st.integers(0, 5))
def test_any_summary_gives_up_only_items_there_are(superseded: Any, items: int) -> None:
    _, _, gone = Reader(transcript()).summary(NOTES | {"superseded": superseded}, items)
    assert gone <= set(range(items))


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("2026-03-28", datetime(2026, 3, 28, 22, 59, tzinfo=UTC)),
        ("2026-03-29T02:30", datetime(2026, 3, 29, 1, 30, tzinfo=UTC)),  # an hour that Berlin leaves out
        ("2026-03-28T10:00:00Z", datetime(2026, 3, 28, 10, 0, tzinfo=UTC)),
        ("2026-03-28T10:00:00-05:00", datetime(2026, 3, 28, 15, 0, tzinfo=UTC)),
        ("2026-03-20", None),
        ("2099-01-01", None),
        ("0001-01-01", None),
        ("9999-12-31T23:59:59-12:00", None),
        ("tomorrow", None),
        ("2026-02-30", None),
        (20260328, None),
        ("", None),
    ],
)
def test_dates_are_local_and_near_the_conversation(said: object, kept: datetime | None) -> None:
    item = NOTES["action_items"][0] | {"due": said}
    found = Reader(transcript()).notes(NOTES | {"action_items": [item]}, whole=True)
    assert found.structured.action_items[0].due_at == kept
