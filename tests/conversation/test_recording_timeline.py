"""Pieces of recordings are heard where their words are."""

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.audio.wav import wav_header
from engine.conversation.recording_timeline import LONGEST, Samples, lay_out, length, sound
from engine.store.user_records import RecordingRow

BEGAN = 1_700_000_000_000_000


def row(id: str, *, base_at: int = BEGAN, start: int = 0, samples: int = 10) -> RecordingRow:
    return RecordingRow(
        uid="ann",
        id=id,
        conversation_id="c",
        base_at=base_at,
        start=start,
        samples=samples,
        bytes=1,
        created_at=BEGAN,
    )


async def heard(sounds: dict[str, Samples], rows: Sequence[RecordingRow]) -> Samples:
    async def read(row: RecordingRow) -> Samples | None:
        return sounds.get(row.id)

    placed = lay_out(rows, BEGAN)
    parts = [part async for part in sound(placed, read)]
    whole = np.concatenate(parts) if parts else np.zeros(0, np.int16)
    assert len(whole) == length(placed)
    return whole


def tone(value: int, samples: int = 10) -> Samples:
    return np.full(samples, value, np.int16)


@given(
    st.integers(0, 999_999),
    st.lists(st.integers(1, 400_000), min_size=1, max_size=4),
)
async def test_pieces_of_a_session_join_to_the_sample_wherever_it_began(
    late: int, lengths: list[int]
) -> None:
    whole = np.random.default_rng(late).integers(-9, 9, sum(lengths)).astype(np.int16)
    starts = np.cumsum([0, *lengths[:-1]])
    rows = [
        row(str(start), base_at=BEGAN + late, start=int(start), samples=samples)
        for start, samples in zip(starts, lengths, strict=True)
    ]
    sounds = {str(start): whole[start : start + n] for start, n in zip(starts, lengths, strict=True)}
    found = await heard(sounds, rows[::-1])
    silence = round(late * 0.016)
    assert not found[:silence].any()
    np.testing.assert_array_equal(found[silence:], whole)


async def test_where_nothing_was_recorded_or_a_piece_is_gone_there_is_silence() -> None:
    rows = [row("a"), row("gone", start=20), row("b", base_at=BEGAN + 60_000_000)]
    found = await heard({"a": tone(5), "b": tone(7)}, rows)
    assert len(found) == 60 * 16_000 + 10
    assert (found[:10] == 5).all()
    assert not found[10:-10].any()
    assert (found[-10:] == 7).all()


async def test_what_two_sessions_recorded_at_once_is_added_up_and_cut_at_the_loudest() -> None:
    rows = [row("a"), row("b", start=5), row("c", start=8)]
    found = await heard({"a": tone(20_000), "b": tone(-5_000), "c": tone(30_000)}, rows)
    assert list(found[:10]) == [20_000] * 5 + [15_000] * 3 + [32_767] * 2
    assert list(found[10:]) == [25_000] * 5 + [30_000] * 3


async def test_of_what_came_before_the_conversation_nothing_is_heard() -> None:
    rows = [row("a", base_at=BEGAN - 1_000_000, start=15_995), row("b", base_at=BEGAN - 9_000_000)]
    found = await heard({"a": tone(3), "b": tone(4)}, rows)
    assert list(found) == [3] * 5


async def test_a_piece_that_a_wrong_clock_put_years_away_is_not_waited_for() -> None:
    placed = lay_out([row("a"), row("b", base_at=2 * BEGAN)], BEGAN)
    assert length(placed) == LONGEST
    assert len(wav_header(LONGEST, 16_000)) == 44


async def test_of_nothing_there_is_no_sound() -> None:
    assert len(await heard({}, [])) == 0
