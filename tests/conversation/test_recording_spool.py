"""Audio waits on the disk until it is kept, whoever dies meanwhile."""

import subprocess
import sys
from pathlib import Path

import numpy as np

from engine.conversation.recording_spool import (
    Part,
    Piece,
    Spool,
    Track,
    claim_abandoned,
    read_piece,
    tracks_in,
)

TRACK = Track(uid="ada", session_id="s1", channel=0, parts=(Part("c1", 0, 5),))


def pcm(first: int, count: int) -> bytes:
    return np.arange(first, first + count).astype("<i2").tobytes()


def spans(spool: Spool) -> list[tuple[int, int]]:
    return [(piece.start, piece.end) for piece in spool.closed]


def test_what_is_appended_is_read_again_file_by_file_and_a_gap_begins_another(tmp_path: Path) -> None:
    spool = Spool.create(tmp_path, TRACK, 1000)
    spool.append(0, pcm(0, 10))
    spool.append(10, pcm(10, 5))
    spool.append(20, pcm(20, 5))
    assert spans(spool) == [(0, 15)]
    spool.roll()
    spool.roll()
    spool.append(25, pcm(25, 1))
    assert spans(spool) == [(0, 15), (20, 25)]
    assert spool.open is not None
    assert (spool.open.start, spool.open.end) == (25, 26)
    for piece in spool.closed:
        assert list(read_piece(piece)) == list(range(piece.start, piece.end))
    spool.close()


def test_a_track_of_which_all_is_kept_leaves_nothing(tmp_path: Path) -> None:
    spool, other = Spool.create(tmp_path, TRACK, 1000), Spool.create(tmp_path, TRACK_OF_TWO, 1000)
    spool.append(0, pcm(0, 10))
    spool.roll()
    (piece,) = spool.closed
    spool.drop(piece)
    spool.drop(piece)
    spool.close()
    spool.close()
    assert tracks_in(tmp_path) == [other.folder]
    other.close()
    assert list(tmp_path.iterdir()) == []


TRACK_OF_TWO = Track(uid="ada", session_id="s2", channel=1)


def test_of_too_much_the_oldest_is_dropped_and_counted(tmp_path: Path) -> None:
    spool = Spool.create(tmp_path, TRACK, 25)
    for start in range(0, 60, 10):
        spool.append(start, pcm(start, 10))
        spool.roll()
    assert spans(spool) == [(40, 50), (50, 60)]
    assert spool.dropped == 40
    assert len(list(spool.folder.glob("*.pcm"))) == 2
    spool.close()


KILLED = """
import os, sys
from pathlib import Path
from tests.conversation.test_recording_spool import TRACK, pcm
from engine.conversation.recording_spool import Part, Spool, Track
from msgspec.structs import replace

spool = Spool.create(Path(sys.argv[1]), replace(TRACK, parts=()), 1000)
spool.note(TRACK)
spool.append(0, pcm(0, 10))
spool.roll()
spool.append(10, pcm(10, 7))
os._exit(9)
"""


def test_what_a_killed_process_had_written_is_taken_over_by_one_other(tmp_path: Path) -> None:
    assert subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)]).returncode == 9
    (folder,) = tracks_in(tmp_path)
    claimed = claim_abandoned(folder)
    assert claimed is not None
    track, spool = claimed
    assert track == TRACK
    assert spans(spool) == [(0, 10), (10, 17)]
    assert list(read_piece(spool.closed[1])) == list(range(10, 17))
    assert claim_abandoned(folder) is None, "it has been taken"
    spool.close()
    again = claim_abandoned(folder)
    assert again is not None
    again[1].close()


def test_a_track_that_is_written_to_is_left_alone(tmp_path: Path) -> None:
    spool = Spool.create(tmp_path, TRACK, 1000)
    spool.append(0, pcm(0, 10))
    assert claim_abandoned(spool.folder) is None
    spool.close()
    assert claim_abandoned(tmp_path / "nothing") is None


def test_what_cannot_be_understood_is_removed(tmp_path: Path) -> None:
    for number, note in enumerate((None, "", "{", '{"uid": 3}')):
        folder = tmp_path / "ada" / f"s{number}-0"
        folder.mkdir(parents=True)
        if note is not None:
            (folder / "track.json").write_text(note)
        assert claim_abandoned(folder) is None
    assert tracks_in(tmp_path) == []


def test_half_a_sample_at_the_end_of_a_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "000000000000.pcm"
    path.write_bytes(pcm(0, 3) + b"x")
    assert list(read_piece(Piece(path, 0, 3))) == [0, 1, 2]
