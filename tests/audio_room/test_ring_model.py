"""Hypothesis drives the ring and its readers against a list that remembers everything ever written."""

import os
from array import array

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from engine.audio.ring import Cursor, Ring, RingFull

CAPACITY = os.sysconf("SC_PAGESIZE") // 2
AMOUNT = st.one_of(st.integers(0, 40), st.integers(CAPACITY - 40, CAPACITY), st.integers(0, CAPACITY + 10))


class SlowReader:
    """What a cursor should be."""

    def __init__(self, cursor: Cursor, lossless: bool, position: int) -> None:
        self.cursor = cursor
        self.lossless = lossless
        self.position = position
        self.overrun = 0


class RingMachine(RuleBasedStateMachine):
    """Every operation is done to both and must have the same outcome."""

    readers = Bundle("readers")

    @initialize()
    def new_ring(self) -> None:
        self.ring = Ring(CAPACITY)
        assert self.ring.capacity == CAPACITY
        self.written: list[int] = []
        self.open: list[SlowReader] = []
        self.names = 0

    @property
    def oldest(self) -> int:
        return max(0, len(self.written) - CAPACITY)

    def headroom(self) -> int:
        unread = [len(self.written) - reader.position for reader in self.open if reader.lossless]
        return CAPACITY - max(unread, default=0)

    @rule(amount=AMOUNT, direct=st.booleans(), seed=st.integers(-32768, 32767))
    def write(self, amount: int, direct: bool, seed: int) -> None:
        pcm = [(seed + 7 * i + 32768) % 65536 - 32768 for i in range(amount)]
        if amount > self.headroom():
            with pytest.raises(RingFull):
                self.ring.write(np.array(pcm, np.int16))
            return
        if direct:
            self.ring.reserve_view(amount)[:] = array("h", pcm)
            self.ring.commit(amount)
        else:
            self.ring.write(np.array(pcm, np.int16))
        self.written += pcm
        for reader in self.open:
            if not reader.lossless and reader.position < self.oldest:
                reader.overrun += self.oldest - reader.position
                reader.position = self.oldest

    @rule(target=readers, lossless=st.booleans(), back=st.one_of(st.none(), st.integers(-2, CAPACITY + 2)))
    def open_reader(self, lossless: bool, back: int | None) -> object:
        at = None if back is None else len(self.written) - back
        position = len(self.written) if at is None else at
        self.names += 1
        if not self.oldest <= position <= len(self.written):
            with pytest.raises(LookupError):
                self.ring.cursor(str(self.names), lossless=lossless, at=at)
            return multiple()
        if len(self.open) == 8:
            with pytest.raises(ValueError, match="8 are open"):
                self.ring.cursor(str(self.names), lossless=lossless, at=at)
            return multiple()
        reader = SlowReader(self.ring.cursor(str(self.names), lossless=lossless, at=at), lossless, position)
        self.open.append(reader)
        return reader

    @rule(reader=readers, amount=AMOUNT)
    def peek(self, reader: SlowReader, amount: int) -> None:
        expected = self.written[reader.position : reader.position + amount]
        assert reader.cursor.peek(amount).tolist() == expected

    @rule(reader=readers, amount=AMOUNT)
    def advance(self, reader: SlowReader, amount: int) -> None:
        if amount > len(self.written) - reader.position:
            with pytest.raises(ValueError, match="is not between 0 and"):
                reader.cursor.advance(amount)
            return
        reader.cursor.advance(amount)
        reader.position += amount

    @rule(reader=readers, back=st.integers(-2, CAPACITY + 2))
    def seek(self, reader: SlowReader, back: int) -> None:
        position = len(self.written) - back
        if not self.oldest <= position <= len(self.written):
            with pytest.raises(LookupError):
                reader.cursor.seek(position)
            return
        reader.cursor.seek(position)
        reader.position = position

    @rule(reader=consumes(readers))
    def close_reader(self, reader: SlowReader) -> None:
        reader.cursor.close()
        self.open.remove(reader)

    @rule(back=st.integers(-2, CAPACITY + 2), length=AMOUNT)
    def window(self, back: int, length: int) -> None:
        start = len(self.written) - back
        if start < self.oldest or start + length > len(self.written):
            with pytest.raises(LookupError):
                self.ring.window(start, start + length)
            return
        assert self.ring.window(start, start + length).tolist() == self.written[start : start + length]

    @invariant()
    def positions_agree(self) -> None:
        if not hasattr(self, "ring"):
            return
        assert self.ring.write_position == len(self.written)
        assert self.ring.headroom() == self.headroom()
        for reader in self.open:
            cursor = reader.cursor
            assert (cursor.position, cursor.overrun) == (reader.position, reader.overrun)
            assert cursor.available == len(self.written) - reader.position


RingMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestRingAgainstAList = RingMachine.TestCase
