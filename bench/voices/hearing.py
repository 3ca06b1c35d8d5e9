"""People's speech turned into vectors, each piece once: what was computed is kept on disk.

Operations: `Hearing.enrolled`, `Hearing.windows`; `keep` writes what is new.
Invariant: a vector belongs to the encoder and the samples it was made of; another encoder computes anew.
Bounded by the speech there is: about 30,000 vectors, 30 MB. Cost: 2 windows of the network for 3 s of speech.
"""

import hashlib
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from bench.voices.channels import CHANNELS
from bench.voices.people import RATE, Person, Samples
from bench.voices.trials import Heard
from engine.speaker.embedding import BATCH, ENCODER, SIZE, Floats, VoiceEncoder, mean_direction

__all__ = ["Hearing", "cut"]


def cut(pcm: Samples, seconds: float) -> list[Samples]:
    """Its windows of one length; they do not overlap."""
    size = round(seconds * RATE)
    return [pcm[at : at + size] for at in range(0, len(pcm) - size + 1, size)]


class Hearing:
    """The encoder and what it has heard."""

    def __init__(self, encoder: VoiceEncoder, folder: Path) -> None:
        """What was computed before is read from `folder`. Blocks."""
        self._encoder = encoder
        self._file = folder / f"{ENCODER}.npz"
        self._vectors: dict[str, Floats] = {}
        self._new = False
        self._heard: dict[tuple[str, str, str, float], Floats] = {}
        if self._file.exists():
            with np.load(self._file) as kept:
                self._vectors = dict(zip(kept["keys"].tolist(), kept["vectors"], strict=True))

    def hear(self, person: Person, seconds: float, *, enrolled: str, heard: str) -> Heard:
        """Windows of so many seconds, over the channels of these names. Blocks."""
        voice = None if person.enrol is None else self._rows(person, "enrol", enrolled, math.inf)[0]
        windows = self._rows(person, "heard", heard, seconds)
        return Heard(
            name=person.name, enrolled=voice, windows=windows, language=person.language, line=person.line
        )

    def keep(self) -> None:
        """Write what is new. Blocks."""
        if not self._new:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        vectors = np.stack(list(self._vectors.values()))
        with tempfile.NamedTemporaryFile(dir=self._file.parent, delete=False) as file:
            np.savez(file, keys=np.array(list(self._vectors)), vectors=vectors)
        Path(file.name).replace(self._file)
        self._new = False

    def _rows(self, person: Person, what: Literal["enrol", "heard"], channel: str, seconds: float) -> Floats:
        """Of what somebody enrols with, as a whole, or of the windows of what is recognised."""
        key = (person.name, what, channel, seconds)
        if key not in self._heard:
            pcm = person.heard if what == "heard" or person.enrol is None else person.enrol
            through = CHANNELS[channel](pcm)
            self._heard[key] = self._vectors_of([through] if what == "enrol" else cut(through, seconds))
        return self._heard[key]

    def _vectors_of(self, pieces: Sequence[Samples]) -> Floats:
        """One row for each piece: what `VoiceEncoder.voice` makes of it, several pieces in a batch."""
        keys = [hashlib.sha256(piece.tobytes()).hexdigest() for piece in pieces]
        missing = [place for place, key in enumerate(keys) if key not in self._vectors]
        for start in range(0, len(missing), BATCH):
            places = missing[start : start + BATCH]
            windows = [self._encoder.windows(pieces[place]) for place in places]
            vectors = self._encoder.embed(np.concatenate(windows))
            ends = np.cumsum([len(one) for one in windows])[:-1]
            for place, rows in zip(places, np.split(vectors, ends), strict=True):
                self._vectors[keys[place]] = mean_direction(rows)
            self._new = True
        return np.array([self._vectors[key] for key in keys], np.float32).reshape(-1, SIZE)
