"""Makes `reference.npz`: what the Resemblyzer package itself says of recordings in `tests/audio`. Run once, by hand:

    python3.11 -m venv reference && reference/bin/pip install torch librosa soundfile
    reference/bin/pip install --no-deps resemblyzer==0.1.4
    reference/bin/python tests/speaker/make_reference.py tests/speaker/reference.npz

For each recording: mel windows, the unit vectors of its windows, and that of the utterance. The package's own voice
activity detection is left out, for we give it speech.
"""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

AUDIO = Path(__file__).parent.parent / "audio"
NAMES = ("austen-0870", "austen-0880", "austen-0890", "beckett", "phone-two-speakers")


def main(target: str) -> None:
    """Write the vectors to `target`."""
    sys.modules.setdefault(
        "webrtcvad", ModuleType("webrtcvad")
    )  # imported there, and not used by what we call
    import importlib

    librosa: Any = importlib.import_module("librosa")
    audio: Any = importlib.import_module("resemblyzer.audio")
    encoder: Any = importlib.import_module("resemblyzer.voice_encoder").VoiceEncoder("cpu", verbose=False)
    arrays = {}
    for name in NAMES:
        wav, _ = librosa.load(AUDIO / f"{name}.wav", sr=16_000)
        loud = audio.normalize_volume(wav, -30, increase_only=True)
        whole, windows, _ = encoder.embed_utterance(loud, return_partials=True)
        arrays[f"{name}.whole"] = np.asarray(whole, np.float32)
        arrays[f"{name}.windows"] = np.asarray(windows, np.float32)
        arrays[f"{name}.mel"] = audio.wav_to_mel_spectrogram(loud)[100:110]
    np.savez_compressed(target, **arrays)  # type: ignore[arg-type]


if __name__ == "__main__":
    main(sys.argv[1])
