"""Whose recordings there are, on what side of the split they are, and the speech in them.

`people` gives everybody whose recordings can be had here. Each is on one of two sides: thresholds are set on the
calibration side, figures are told of the held-out side. Who is where was fixed before any score was seen, by name
alone: of each kind, sorted by name, the first of every three is for calibration; so are all whose recordings are in
the repository, for an earlier threshold was set on them.

Kinds: "talk" is running speech; "words" are single letters, syllables and words, joined; "strangers" (words, too) are
enrolled nowhere, because it is not said that all of it is one person's, or there is too little for two sets.
What somebody enrols with and what is recognised are different files (different lists of words, for kind "words"); of
the repository's few, they are the first and second half of what there is.
Not used: Asterisk's Spanish prompts (whose voice it is cannot be told from the package).
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import av
import msgspec
import numpy as np
from numpy.typing import NDArray

from bench.voices.packages import PACKAGES, fetched
from engine.audio.wav import read_wav
from engine.speaker.profile import WINDOW, BadProfile, speech_of
from engine.stt.activity import speech_probabilities
from engine.testing.diarization import read_rttm

__all__ = ["RATE", "SOURCES", "Person", "Samples", "Source", "decode", "people", "sides"]

RATE = 16_000
AUDIO = Path(__file__).parents[2] / "tests" / "audio"
ENROL, HEARD, STRANGER = 30.0, 120.0, 60.0
"""About how many seconds of each are taken, if there are so many: to enrol with, to recognise, of a stranger."""
ROUND = 20 * RATE
"""Samples that are read before it is looked how much speech is in them."""

Samples = NDArray[np.int16]
Kind = Literal["talk", "words", "strangers"]
Side = Literal["calibration", "held out"]


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody's speech, 16 kHz; `enrol` is None of those who are enrolled nowhere.

    `language` of recordings of words: two of one language may be one person, as both programs are of one project.
    Those of one `line` were recorded together.
    """

    name: str
    kind: Kind
    side: Side
    enrol: Samples | None
    heard: Samples
    language: str = ""
    line: str = ""


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Where in a package somebody's files are: those to enrol with (none: enrolled nowhere), and the others."""

    name: str
    kind: Kind
    package: str
    enrol: str = ""
    heard: str
    language: str = ""
    line: str = ""


def _prompts(name: str, package: str) -> Source:
    files = "usr/share/asterisk/sounds/**/*"
    return Source(name=name, kind="talk", package=package, enrol=files, heard=files)


def _fish(language: str, fish: str) -> Source:
    files = f"usr/share/games/fillets-ng/sound/*/{language}/*-{fish}-*.ogg"
    line = f"fish-{language}"
    package = f"fillets-ng-data-{language}"
    return Source(name=f"{line}-{fish}", kind="talk", package=package, enrol=files, heard=files, line=line)


def _letters(language: str) -> Source:
    files = f"usr/share/klettres/{language}/"
    return Source(
        name=f"letters-{language}",
        kind="words",
        package="klettres-data",
        enrol=f"{files}alpha/*.ogg",
        heard=f"{files}syllab/*.ogg",
        language=language.partition("_")[0],
    )


def _stranger(program: str, package: str, files: str, language: str) -> Source:
    name = f"{program}-{language}"
    return Source(name=name, kind="strangers", package=package, heard=files, language=language)


# fmt: off
LETTERS = ("de", "en", "en_GB", "fr", "he", "hu", "it", "lt", "ml", "nds", "nl", "pt_BR", "ru", "uk")
MORE_LETTERS = ("ar", "cs", "da", "es", "nb", "tn")
TOYS = (
    "ca", "da", "de", "el", "en", "es", "fi", "fr", "ga", "gl", "it", "lt", "nds", "nl", "nn", "pt", "ro", "ru", "sl",
    "sr", "sv", "uk", "wa",
)
# fmt: on

SOURCES = (
    _prompts("allison", "asterisk-core-sounds-en-g722"),
    _prompts("june", "asterisk-core-sounds-fr-g722"),
    _prompts("carlo", "asterisk-core-sounds-it-g722"),
    _prompts("maxim", "asterisk-core-sounds-ru-g722"),
    _prompts("july", "asterisk-prompt-es-co"),
    _prompts("armelle", "asterisk-prompt-fr-armelle"),
    _prompts("paola", "asterisk-prompt-it-menardi-wav"),
    *(_fish(language, fish) for language in ("cs", "nl") for fish in ("m", "v")),
    *(_letters(one) for one in LETTERS),
    *(
        _stranger("letters", "klettres-data", f"usr/share/klettres/{one}/*/*.ogg", one)
        for one in MORE_LETTERS
    ),
    *(_stranger("toys", "ktuberling-data", f"usr/share/ktuberling/sounds/{one}/*", one) for one in TOYS),
)
"""Asterisk's packages name whose voice their prompts are. In the game one actor speaks the small fish, one the big.
Letters of one language are taken for one person's, as the program's credits have it where they name anybody; Spanish
has two, and of Arabic, Czech, Danish, Norwegian and Tswana one list is missing, tiny or spoilt: they are strangers."""

REPOSITORY = {
    "austen": ("austen-0870", "austen-0880", "austen-0890", "voices/austen-0920", "voices/austen-0930"),
    "cities": ("voices/two-cities",),
    "beckett": ("beckett",),
    "cards": ("voices/cards-005", "voices/cards-002"),
    "robot": ("voices/something", "voices/numbers", "voices/goforward"),
}
"""Those of "robot" (commands to a robot, and numbers) are taken for one man's, as they sound."""
CALL = ("line-a", "line-b")


def sides(sources: Sequence[Source] = SOURCES) -> dict[str, Side]:
    """On what side each is, by name."""
    kinds: dict[str, list[str]] = {}
    for source in sources:
        kinds.setdefault(source.kind, []).append(source.name)
    return {
        name: "held out" if place % 3 else "calibration"
        for names in kinds.values()
        for place, name in enumerate(sorted(names))
    }


def people() -> Iterator[Person]:
    """Everybody whose recordings can be had, one after the other; of who is left out, it is printed why. Blocks."""
    yield from _in_repository()
    folders = {package.name: fetched(package) for package in PACKAGES}
    side = sides()
    for source in SOURCES:
        folder = folders[source.package]
        if folder is None:
            continue
        try:
            enrol, heard = _sets(source, folder)
        except BadProfile as reason:
            print(f"Without {source.name}: {reason}")
            continue
        yield Person(
            name=source.name,
            kind=source.kind,
            side=side[source.name],
            enrol=enrol,
            heard=heard,
            language=source.language,
            line=source.line,
        )


def decode(file: Path) -> Samples:
    """A recording as 16 kHz mono. Raises `av.FFmpegError`, also for what is no recording."""
    resampler = av.AudioResampler("s16", "mono", RATE)
    with av.open(str(file), format="g722" if file.suffix == ".g722" else None) as container:
        frames = [*container.decode(audio=0), None]
    pieces = [one.to_ndarray()[0] for frame in frames for one in resampler.resample(frame)]
    return np.concatenate(pieces) if pieces else np.empty(0, np.int16)


def _sets(source: Source, folder: Path) -> tuple[Samples | None, Samples]:
    """What to enrol with, and what to recognise. Raises `BadProfile` when there is not speech enough."""
    heard = _files(folder, source.heard)
    if not source.enrol:
        return None, _speech(heard, decode, STRANGER)[0]
    enrol, used = _speech(_files(folder, source.enrol), decode, ENROL)
    return enrol, _speech([file for file in heard if file not in used], decode, HEARD)[0]


def _files(folder: Path, pattern: str) -> list[Path]:
    """In an order that has nothing to do with what is said in them."""
    found = (
        path for path in folder.glob(pattern) if path.suffix in (".ogg", ".opus", ".wav", ".gsm", ".g722")
    )
    return sorted(found, key=lambda path: hashlib.sha256(str(path.relative_to(folder)).encode()).digest())


def _speech(
    files: Sequence[Path], read: Callable[[Path], Samples], seconds: float
) -> tuple[Samples, set[Path]]:
    """About so much speech of these files, and which of them it took; what cannot be decoded is passed over."""
    left = list(files)
    pieces: list[Samples] = []
    probabilities: list[float] = []
    while left and sum(one >= 0.5 for one in probabilities) * WINDOW < seconds * RATE:
        taken: list[Samples] = []
        while left and sum(map(len, taken)) < ROUND:
            try:
                taken.append(read(left.pop(0)))
            except (av.FFmpegError, UnicodeDecodeError):  # PyAV decodes titles, which are in any encoding
                continue
        pcm = np.concatenate([np.empty(0, np.int16), *taken])
        pieces.append(pcm[: len(pcm) // WINDOW * WINDOW])
        probabilities += speech_probabilities(pcm)
    speech = speech_of(np.concatenate([np.empty(0, np.int16), *pieces]), probabilities)
    return speech, set(files[: len(files) - len(left)])


def _in_repository() -> Iterator[Person]:
    for name, files in REPOSITORY.items():
        paths = [AUDIO / f"{file}.wav" for file in files]
        yield _halved(name, _speech(paths, lambda path: read_wav(path)[0], 1000.0)[0])
    call = read_wav(AUDIO / "phone-two-speakers.wav")[0]
    turns = read_rttm((AUDIO / "phone-two-speakers.rttm").read_text())
    for name, label in zip(CALL, sorted({turn.speaker for turn in turns}), strict=True):
        mine = [turn for turn in turns if turn.speaker == label and turn.end - turn.start > 1]
        pieces = [call[round(t.start * RATE) : round(t.end * RATE)] for t in mine]
        yield _halved(name, np.concatenate(pieces), "call")


def _halved(name: str, speech: Samples, line: str = "") -> Person:
    middle = len(speech) // 2
    return Person(
        name=name, kind="talk", side="calibration", enrol=speech[:middle], heard=speech[middle:], line=line
    )
