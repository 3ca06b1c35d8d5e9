"""Whisper on CTranslate2: one utterance of PCM in, words with times out.

`Whisper.load` and `Whisper.transcribe` block: call them in threads (CTranslate2 releases the GIL). The model
is shared; up to `threads` calls run side by side, one thread each.

The encoder is fed the utterance plus a second of silence, at least `window` seconds, not the 30 s Whisper was
trained with: a quarter of the work. Below 10 s it repeats itself. Utterances it is unsure of (or in which it
loops, or seems to lack words) are looked at again with a longer window.

Known doubts: the thresholds were set on read English speech and noise; music and far speech are not measured.
"""

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.audio.mel import HOP
from engine.stt._mel import log_mel
from engine.stt._words import (
    UNSPACED,
    HeardWord,
    TokenGroup,
    aligned_times,
    apportioned_times,
    first_rounds,
    group_tokens,
    repeats,
    without_echo,
)
from engine.stt.models import ModelFiles, missing_extra
from engine.stt.vendor import SAMPLE_RATE, Fault, VendorError

SPACE_AFTER = SAMPLE_RATE
"""Samples of silence after the utterance in the encoder's window; without it the last word gets lost."""

_FRAME = 2 * HOP
"""Samples of one encoder frame (20 ms), the unit of alignments."""

_BEAM = 5
"""Against a greedy search (interims): a third more time, a third fewer errors on the recordings of the tests."""

_SECOND_WINDOW = 15 * SAMPLE_RATE
_UNSURE = -0.6
"""Mean log probability below which an utterance is looked at again.

At -0.3 half of all short utterances were, for as many errors less as three seconds more of window give.
"""

_SPARSE = 1.3
"""Tokens per second of speech below which words are thought missing, and the utterance is looked at again."""

_NO_SPEECH = 0.6
_NOISE = -1.0
"""Whisper's own rule: no speech probability above one and mean log probability below the other is silence."""

_HOPELESS = -1.6
"""Mean log probability below which nothing is believed, whatever the no speech probability says."""

_SURE_OF_LANGUAGE = 0.9
"""Probability from which a detected language replaces the one heard last; a second of speech often misleads."""

_TOKENS_PER_SECOND = 12
_TOKENS_AT_LEAST = 16
_PROMPT_TOKENS = 160
"""Longest vocabulary in tokens; Whisper's whole context is 448 and prompts beyond half of it are ignored."""


class Heard(msgspec.Struct, frozen=True):
    """What one utterance was heard as; no words when it was taken for silence. `looks` is 1 or 2."""

    words: tuple[HeardWord, ...]
    language: str
    score: float
    no_speech: float
    looks: int


class _Guess(msgspec.Struct, frozen=True):
    tokens: list[int]
    score: float
    no_speech: float
    loops: bool
    encoded: Any

    def doubtful(self, seconds: float) -> bool:
        """Whether this, for `seconds` of speech, should be looked at again."""
        sparse = len(self.tokens) < _SPARSE * seconds
        return not self.silence and (self.loops or self.score < _UNSURE or sparse)

    @property
    def silence(self) -> bool:
        """Whether this is taken for no speech at all."""
        return self.score < _HOPELESS or (self.no_speech > _NO_SPEECH and self.score < _NOISE)


class Whisper:
    """A loaded model. `window` is in seconds."""

    def __init__(self, model: Any, tokenizer: Any, *, window: float) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._window = int(window * SAMPLE_RATE)
        self.multilingual: bool = model.is_multilingual
        self._start = self._token("<|startoftranscript|>")
        self._previous = self._token("<|startofprev|>")
        self._plain = self._token("<|notimestamps|>")
        self._transcribe = self._token("<|transcribe|>")

    @classmethod
    def load(cls, files: ModelFiles, *, threads: int, window: float) -> "Whisper":
        """Check and load `files`. VendorError when packages or files are missing, wrong or unreadable."""
        try:
            import ctranslate2
            from tokenizers import Tokenizer
        except ModuleNotFoundError as error:
            raise missing_extra(error.name or "ctranslate2", "local") from error
        files.verify()
        try:
            model = ctranslate2.models.Whisper(
                str(files.folder), device="cpu", compute_type="int8", inter_threads=threads, intra_threads=1
            )
        except (RuntimeError, ValueError) as error:
            raise VendorError(
                Fault.ELSEWHERE, f"local.model: cannot load {str(files.folder)!r}: {error}"
            ) from error
        return cls(model, Tokenizer.from_file(str(files.folder / "tokenizer.json")), window=window)

    def transcribe(
        self,
        pcm: NDArray[np.int16],
        span: tuple[int, int],
        *,
        language: str | None,
        expected: str | None = None,
        vocabulary: tuple[str, ...] = (),
        quick: bool = False,
    ) -> Heard:
        """Transcribe `pcm` (int16, 16 kHz); word times are samples within `span` of it.

        `language` is Whisper's code, None to detect it; `expected` is then the one to keep when in doubt, as the
        one heard last. `quick` (interims): one look, apportioned word times.
        VendorError when the model fails.
        """
        try:
            return self._transcribe_utterance(pcm, span, language, expected, vocabulary, quick)
        except (RuntimeError, ValueError) as error:
            raise VendorError(Fault.ELSEWHERE, f"local-whisper: decoding failed: {error}") from error

    def _transcribe_utterance(
        self,
        pcm: NDArray[np.int16],
        span: tuple[int, int],
        language: str | None,
        expected: str | None,
        vocabulary: tuple[str, ...],
        quick: bool,
    ) -> Heard:
        encoded = self._encode(pcm, self._window)
        if language is None:
            language = self._detect(encoded, expected)
        context = self._context(vocabulary)
        guess = self._guess(encoded, len(pcm), language, context, beam=1 if quick else _BEAM)
        looks = 1
        if not quick and guess.doubtful((span[1] - span[0]) / SAMPLE_RATE):
            looks = 2
            guess = self._second_look(guess, pcm, language, context)
        tokens = _believed(guess)
        groups = group_tokens(tokens, self._decode, spaced=language not in UNSPACED)
        words = self._timed(groups, tokens, guess, len(pcm), span, language, quick) if groups else ()
        return Heard(words, language, guess.score, guess.no_speech, looks)

    def _second_look(
        self, first: _Guess, pcm: NDArray[np.int16], language: str, context: list[int]
    ) -> _Guess:
        encoded = self._encode(pcm, max(_SECOND_WINDOW, self._window))
        second = self._guess(encoded, len(pcm), language, context, beam=_BEAM)
        if second.loops and not first.loops:
            return first
        return second

    def _guess(self, encoded: Any, samples: int, language: str, context: list[int], beam: int) -> _Guess:
        prompt = context + self._prompt(language)
        budget = _TOKENS_AT_LEAST + _TOKENS_PER_SECOND * samples // SAMPLE_RATE
        (result,) = self._model.generate(
            encoded,
            [prompt],
            beam_size=beam,
            max_length=len(prompt) + budget,
            return_scores=True,
            return_no_speech_prob=True,
        )
        tokens: list[int] = result.sequences_ids[0]
        return _Guess(tokens, result.scores[0], result.no_speech_prob, repeats(tokens), encoded)

    def _timed(
        self,
        groups: tuple[TokenGroup, ...],
        tokens: list[int],
        guess: _Guess,
        samples: int,
        span: tuple[int, int],
        language: str,
        quick: bool,
    ) -> tuple[HeardWord, ...]:
        if quick:
            times = apportioned_times(groups, span)
            probabilities = [float(np.exp(guess.score))] * len(tokens)
        else:
            starts, probabilities = self._align(guess.encoded, tokens, samples, language)
            times = aligned_times(groups, starts, span)
        words = tuple(
            HeardWord(group.text, start, end, float(np.mean(probabilities[group.first : group.last])))
            for group, (start, end) in zip(groups, times, strict=True)
        )
        return words if quick else without_echo(words)

    def _align(
        self, encoded: Any, tokens: list[int], samples: int, language: str
    ) -> tuple[list[int], list[float]]:
        """The sample at which each token begins (and the end of the audio), and each token's probability.

        Dynamic time warping over cross-attention, as openai/whisper's `timing.py`.
        """
        frames = samples // HOP
        prompt = [token for token in self._prompt(language) if token != self._plain]
        (alignment,) = self._model.align(encoded, prompt, [tokens], [frames])
        starts: dict[int, int] = {}
        for token, frame in alignment.alignments:
            starts.setdefault(token, frame * _FRAME)
        ordered: list[int] = []
        for index in range(len(tokens) + 1):
            before = ordered[-1] if ordered else 0
            ordered.append(starts.get(index, before if index < len(tokens) else samples))
        return ordered, list(alignment.text_token_probs)

    def _encode(self, pcm: NDArray[np.int16], window: int) -> Any:
        import ctranslate2

        samples = max(window, len(pcm) + SPACE_AFTER)
        samples += -samples % _FRAME
        features = log_mel(pcm, samples, self._model.n_mels)
        return self._model.encode(ctranslate2.StorageView.from_array(features[np.newaxis]))

    def _detect(self, encoded: Any, expected: str | None) -> str:
        (ranked,) = self._model.detect_language(encoded)
        code, probability = ranked[0]
        if expected is not None and probability < _SURE_OF_LANGUAGE:
            return expected
        language: str = code.strip("<|>")
        return language

    def _prompt(self, language: str) -> list[int]:
        if not self.multilingual:
            return [self._start, self._plain]
        return [self._start, self._token(f"<|{language}|>"), self._transcribe, self._plain]

    def _context(self, vocabulary: tuple[str, ...]) -> list[int]:
        """The vocabulary as text that came before: Whisper prefers words it has just written.

        Between ellipses it is taken for speech already underway; written as a sentence or a heading, it
        made tiny.en leave out the beginning of what follows.
        """
        if not vocabulary:
            return []
        text = " ... " + ", ".join(vocabulary) + " ..."
        tokens: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return [self._previous, *tokens[:_PROMPT_TOKENS]]

    def _decode(self, tokens: Any) -> str:
        text: str = self._tokenizer.decode(list(tokens))
        return text

    def _token(self, name: str) -> int:
        token: int | None = self._tokenizer.token_to_id(name)
        if token is None:
            raise VendorError(
                Fault.ELSEWHERE, f"local.model: tokenizer.json has no {name}; is this a Whisper model?"
            )
        return token


def _believed(guess: _Guess) -> list[int]:
    """The tokens kept of `guess`: none when it is silence, and one round of a loop."""
    return [] if guess.silence else first_rounds(guess.tokens)
