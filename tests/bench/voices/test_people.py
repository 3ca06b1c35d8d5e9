"""Tests of whose recordings are compared, and on what side they are."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from bench.voices import people as module
from bench.voices.packages import PACKAGES
from bench.voices.people import RATE, SOURCES, Samples, Source, people, sides
from engine.audio.wav import encode_wav

AUDIO = Path(__file__).parents[2] / "audio"


def test_every_source_is_in_a_package_that_is_known_and_has_a_name_of_its_own() -> None:
    assert {source.package for source in SOURCES} == {package.name for package in PACKAGES}
    assert max(Counter(source.name for source in SOURCES).values()) == 1


def test_the_side_is_a_matter_of_the_name_alone() -> None:
    side = sides()
    assert sides(SOURCES[::-1]) == side
    talkers = sorted(source.name for source in SOURCES if source.kind == "talk")
    assert [name for name in talkers if side[name] == "calibration"] == talkers[::3]


def test_without_packages_there_are_the_recordings_of_the_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "fetched", lambda package: None)
    found = {person.name: person for person in people()}
    assert len(found) == 7
    assert {person.side for person in found.values()} == {"calibration"}
    assert found["line-a"].line == found["line-b"].line != ""
    for person in found.values():
        assert person.enrol is not None
        assert abs(len(person.enrol) - len(person.heard)) <= 1


def test_what_somebody_enrols_with_is_not_heard_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "usr/share/asterisk/sounds/en"
    folder.mkdir(parents=True)
    for name in ("austen-0870", "austen-0890", "beckett"):
        (folder / f"{name}.wav").write_bytes((AUDIO / f"{name}.wav").read_bytes())
    (folder / "spoilt.wav").write_bytes(b"no recording")
    monkeypatch.setattr(module, "SOURCES", (source := SOURCES[0],))
    monkeypatch.setattr(module, "PACKAGES", [one for one in PACKAGES if one.name == source.package])
    monkeypatch.setattr(module, "fetched", lambda package: tmp_path)
    monkeypatch.setattr(module, "ENROL", 3.0)
    monkeypatch.setattr(module, "ROUND", RATE)
    *_, person = people()
    assert person.enrol is not None
    assert 3 <= len(person.enrol) / RATE < 10
    assert len(person.heard) / RATE >= 3
    assert not found_in(person.enrol[RATE : 2 * RATE], person.heard)


def test_who_says_too_little_is_left_out_and_it_is_said_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "silence.wav").write_bytes(encode_wav(np.zeros(RATE, np.int16), RATE))
    quiet = Source(name="quiet", kind="strangers", package=PACKAGES[0].name, heard="*.wav")
    monkeypatch.setattr(module, "SOURCES", (quiet,))
    monkeypatch.setattr(module, "PACKAGES", PACKAGES[:1])
    monkeypatch.setattr(module, "fetched", lambda package: tmp_path)
    assert "quiet" not in [person.name for person in people()]
    assert "Without quiet: only 0.0 s" in capsys.readouterr().out


def found_in(piece: Samples, pcm: Samples) -> bool:
    """Whether these samples are anywhere in the others."""
    return piece.tobytes() in pcm.tobytes()
