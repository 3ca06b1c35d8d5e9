from hypothesis import given
from hypothesis import strategies as st

from engine.store import ConversationClosed, ConversationRestarted, JournalRecord, SegmentsDeleted, UsageAdded
from engine.store.batch import Batch

from .making import NOW, changed, opened, segment, usage_row

CONVERSATIONS = st.sampled_from(["c1", "c2"])
SEGMENT_IDS = st.sampled_from(["a", "b", "c"])
RECORDS: st.SearchStrategy[JournalRecord] = st.one_of(
    CONVERSATIONS.map(opened),
    st.builds(
        # What is the same revision is the same segment.
        lambda id, segment_id, revision, at: changed(
            segment(segment_id, text=f"{segment_id}{revision}", revision=revision), id=id, at=NOW + at
        ),
        CONVERSATIONS,
        SEGMENT_IDS,
        st.integers(1, 5),
        st.integers(0, 9),
    ),
    st.builds(lambda id, at: ConversationRestarted("u1", id, NOW + at), CONVERSATIONS, st.integers(0, 9)),
    st.builds(lambda id, segment_id: SegmentsDeleted("u1", id, (segment_id,)), CONVERSATIONS, SEGMENT_IDS),
    st.builds(
        lambda id, status: ConversationClosed("u1", id, status, NOW),
        CONVERSATIONS,
        st.sampled_from(["processing", "completed"]),
    ),
    st.sampled_from(["x", "y"]).map(lambda id: UsageAdded(id, usage_row(words=1))),
)


@given(st.lists(RECORDS), st.randoms(use_true_random=False))
def test_the_order_of_records_makes_no_difference(records: list[JournalRecord], random: object) -> None:
    shuffled = list(records)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = Batch.of(records), Batch.of(shuffled)
    assert one.conversations == other.conversations
    assert one.usage == other.usage
    assert len(one) == len(other)


@given(st.lists(RECORDS), st.integers(1, 6))
def test_parts_hold_everything_once_in_pieces_of_the_limit(records: list[JournalRecord], limit: int) -> None:
    batch = Batch.of(records)
    parts = list(batch.parts(limit))
    assert [id for part in parts for id in part.ids()] == batch.ids()
    assert sum(len(part) for part in parts) == len(batch)
    assert all(len(part) > 0 for part in parts)
    largest = max((len(changes) for changes in batch.conversations.values()), default=0)
    assert all(len(part) < limit + max(largest, 1) for part in parts)


def test_memory_is_bounded_by_the_segments_not_by_their_changes() -> None:
    batch = Batch.of([opened()])
    for revision in range(1, 1000):
        batch.add(changed(segment(text=str(revision), revision=revision)))
    assert len(batch) == 3  # the conversation, its one segment, its times
    assert batch.conversations["u1", "c1"].segments["s1"] == segment(text="999", revision=999)


def test_of_two_texts_with_one_revision_the_later_counts() -> None:
    batch = Batch.of([changed(segment(text="first")), changed(segment(text="second"))])
    assert batch.conversations["u1", "c1"].segments["s1"] == segment(text="second")
