import gc
import os
from math import inf
from pathlib import Path

import msgspec
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from engine.store import (
    ConversationClosed,
    ConversationRestarted,
    Journal,
    JournalRecord,
    SegmentsDeleted,
    UsageAdded,
)
from engine.store.journal import MAGIC, encode_header, encode_record
from engine.store.replay import Ending, JournalReader, oldest, replay

from .making import NOW, Clock, changed, opened, segment, usage_row

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
RECORD: st.SearchStrategy[JournalRecord] = st.one_of(
    st.builds(opened, TEXT, TEXT),
    st.builds(
        lambda id, text, start: changed(segment(id, text=text, start=start)), TEXT, TEXT, st.floats(0, 1e6)
    ),
    st.builds(ConversationRestarted, TEXT, TEXT, st.integers(0, 2**53)),
    st.builds(SegmentsDeleted, TEXT, TEXT, st.lists(TEXT, max_size=3).map(tuple)),
    st.builds(ConversationClosed, TEXT, TEXT, TEXT, st.integers(0, 2**53)),
    st.builds(lambda id, words: UsageAdded(id, usage_row(words=words)), TEXT, st.integers(0, 2**40)),
)


def encode(records: list[JournalRecord]) -> bytes:
    return encode_header(NOW) + b"".join(map(encode_record, records))


def read(path: Path, data: bytes) -> tuple[list[JournalRecord], Ending]:
    path.write_bytes(data)
    reader = JournalReader(path)
    records = list(reader)
    reader.close()
    assert reader.records == len(records)
    return records, reader.ending


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("replay") / "s1.journal"


@given(st.lists(RECORD, max_size=5))
def test_any_records_come_back(path: Path, records: list[JournalRecord]) -> None:
    assert read(path, encode(records)) == (records, Ending.COMPLETE)


@given(st.lists(RECORD, max_size=5), st.data())
def test_a_truncated_file_gives_the_records_that_are_whole(
    path: Path, records: list[JournalRecord], data: st.DataObject
) -> None:
    whole = encode(records)
    length = data.draw(st.integers(0, len(whole)))
    found, ending = read(path, whole[:length])
    count = max((n for n in range(len(records) + 1) if len(encode(records[:n])) <= length), default=0)
    assert found == records[:count]
    boundary = length == len(encode(records[:count]))
    assert ending is (Ending.COMPLETE if boundary else Ending.TORN)


@given(st.lists(RECORD, max_size=5), st.data())
def test_a_flipped_bit_gives_the_records_before_it(
    path: Path, records: list[JournalRecord], data: st.DataObject
) -> None:
    damaged = bytearray(encode(records))
    bit = data.draw(st.integers(0, len(damaged) * 8 - 1))
    damaged[bit // 8] ^= 1 << bit % 8
    found, ending = read(path, bytes(damaged))
    before = [n for n in range(len(records) + 1) if len(encode(records[:n])) <= bit // 8]
    assert found == records[: max(before, default=0)]
    assert ending in (Ending.CORRUPT, Ending.TORN)


@given(st.binary(max_size=200), st.booleans())
def test_bytes_that_are_no_records_are_read_as_none(path: Path, data: bytes, with_header: bool) -> None:
    found, ending = read(path, (encode_header(NOW) if with_header else b"") + data)
    assert found == []
    assert ending is not Ending.OPEN
    assert data == b"" or ending is not Ending.COMPLETE


def test_zero_bytes_as_a_power_cut_leaves_them_are_no_record(path: Path) -> None:
    assert read(path, encode([opened()]) + bytes(4096)) == ([opened()], Ending.CORRUPT)


def test_a_whole_record_of_an_unknown_kind_ends_the_reading(path: Path) -> None:
    class Unknown(msgspec.Struct, tag="unknown"):
        pass

    data = encode([opened()]) + encode_record(Unknown())  # type: ignore[arg-type]
    assert read(path, data) == ([opened()], Ending.CORRUPT)


def test_a_journal_of_a_later_release_is_not_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.store.journal.VERSION", 2)
    later = encode([opened()])
    assert later.startswith(MAGIC)
    assert read(path, later) == ([], Ending.NEWER)


def test_records_are_read_in_pieces(path: Path) -> None:
    path.write_bytes(encode([opened(str(n)) for n in range(5)]))
    reader = JournalReader(path)
    assert [len(reader.read(2)) for _ in range(4)] == [2, 2, 1, 0]
    reader.close()


async def test_replay_gives_dead_journals_oldest_first_and_leaves_live_ones(tmp_path: Path) -> None:
    clock = Clock()
    journals = []
    for session_id in ("b", "a", "live"):
        journals.append(await Journal.create(tmp_path, session_id, trio.to_thread.run_sync, now=clock))
        journals[-1].append(opened(session_id))
        clock.now += 1
    for journal in journals[:2]:
        journal.close()
    replayed = [(path.name, list(reader)) for path, reader in replay(tmp_path)]
    assert replayed == [("b.journal", [opened("b")]), ("a.journal", [opened("a")])]
    journals[2].close()
    assert [path.name for path, _ in replay(tmp_path)] == ["b.journal", "a.journal", "live.journal"]


async def test_a_journal_being_replayed_is_locked_and_then_closed(tmp_path: Path) -> None:
    journal = await Journal.create(tmp_path, "s1", trio.to_thread.run_sync)
    journal.close()
    gc.collect()  # files that other tests left open would close between the two counts
    before = len(os.listdir("/proc/self/fd"))
    for path, _ in replay(tmp_path):
        with pytest.raises(BlockingIOError):
            JournalReader(path, lock=True)
        assert list(replay(tmp_path)) == []
    assert len(os.listdir("/proc/self/fd")) == before


async def test_the_oldest_journal_is_known(tmp_path: Path) -> None:
    assert oldest(tmp_path) == inf
    clock = Clock()
    for session_id in ("first", "second"):
        await Journal.create(tmp_path, session_id, trio.to_thread.run_sync, now=clock)
        clock.now += 1
    assert oldest(tmp_path) == NOW


def test_a_folder_that_is_not_there_holds_no_journals(tmp_path: Path) -> None:
    assert list(replay(tmp_path / "none")) == []
