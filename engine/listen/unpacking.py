"""Decoding that is too slow for the event loop: what several sessions have waiting goes to a thread in one hop.

Operations: `unpack`, one call at a time for each decoder.
Invariants: a decoder is used by one thread at a time, also when the session that waits for it is cancelled: a call
that has begun ends. Pieces are taken in the order in which they came.
Bounded: one waiting piece for each session, because it waits for it (and its client's socket with it); `hops` hops at
once, each of at most `HOP_PIECES` pieces.
Cost: one hop to a thread for all pieces that came since the last one: the busier, the fewer hops a piece.
"""

from collections import deque
from collections.abc import Sequence

import msgspec
import trio

from engine.audio.decoder import Payload, Unpacked, UnpackingDecoder
from engine.off_loop import OffLoop

__all__ = ["HOP_PIECES", "Unpacking", "UnpackingStatistics"]

HOP_PIECES = 32
"""So that nobody waits longer than a few milliseconds for those he shares a hop with."""


class UnpackingStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """Pieces decoded and hops they took since the beginning; hops under way and pieces that wait for one now."""

    pieces: int
    hops: int
    running: int
    waiting: int


class _Piece:
    """One piece, and the session that waits for it."""

    def __init__(self, decoder: UnpackingDecoder, payload: Payload) -> None:
        self.decoder = decoder
        self.payload = payload
        self.turn = trio.Event()  # decoded, or it is on its session to make the next hop
        self.unpacked: Unpacked | None = None
        self.error: BaseException | None = None


class Unpacking:
    """Where the sessions of a process have such codecs decoded. `hops`: at once, at most."""

    def __init__(self, off_loop: OffLoop, hops: int) -> None:
        self._off_loop = off_loop
        self._hops = hops
        self._running = 0
        self._waiting: deque[_Piece] = deque()
        self._pieces_done = 0
        self._hops_done = 0

    async def unpack(self, decoder: UnpackingDecoder, payload: Payload) -> Unpacked:
        """`decoder.unpack(payload)`, in a thread. Raises what that does; is not cancelled while it waits."""
        piece = _Piece(decoder, payload)
        with trio.CancelScope(shield=True):
            if self._running == self._hops:
                self._waiting.append(piece)
                await piece.turn.wait()
            else:
                self._running += 1
            if piece.unpacked is None and piece.error is None:
                await self._hop(piece)
        if piece.error is not None:
            raise piece.error
        assert piece.unpacked is not None
        return piece.unpacked

    async def _hop(self, own: _Piece) -> None:
        """Decode this piece and those that wait; then it is the turn of the next who waits."""
        pieces = [own]
        try:
            await trio.lowlevel.checkpoint()  # sessions that were woken together come before it ends
            while self._waiting and len(pieces) < HOP_PIECES:
                pieces.append(self._waiting.popleft())
            await self._off_loop(_unpack_all, pieces)
        except BaseException as error:
            for piece in pieces:
                piece.error = error
            raise
        finally:
            self._pieces_done += len(pieces)
            self._hops_done += 1
            for piece in pieces:
                piece.turn.set()
            if self._waiting:
                self._waiting.popleft().turn.set()
            else:
                self._running -= 1

    def statistics(self) -> UnpackingStatistics:
        """How much was decoded, and in how many hops."""
        return UnpackingStatistics(
            pieces=self._pieces_done, hops=self._hops_done, running=self._running, waiting=len(self._waiting)
        )


def _unpack_all(pieces: Sequence[_Piece]) -> None:
    """In a thread: each by itself, so that one that fails is its own session's trouble."""
    for piece in pieces:
        try:
            piece.unpacked = piece.decoder.unpack(piece.payload)
        except Exception as error:  # noqa: BLE001 - it is raised again where the piece is waited for
            piece.error = error
