"""What the resampling kernel knows of a stream: the fields of its int64 state, and the sizes of its buffers.

Addresses point to float32, counters count samples.
"""

from __future__ import annotations

SCRATCH = (
    0  # address, SCRATCH_ROOM long: shared between streams, nothing in it outlives a call (also codec.h)
)
STAGES = 1  # CONVERT, DOUBLE or HALVE
RATE_IN = 2
RATE_OUT = 3
HALF_TAPS = 4  # distinct taps of the half-band filter in front; 0: none
HALF_TABLE = 5  # address
EVEN = 6  # address, HALF_HISTORY long: samples 0, 2, 4 … still needed
ODD = 7  # address, HALF_HISTORY long: samples 1, 3, 5 … still needed
PAIRS = 8  # how many in each
CARRIED = 9  # 1: the last sample waits for its other half
CARRY = 10  # that sample
TAPS = 11  # length of a row, a multiple of 8; DOUBLE: distinct taps of the half-band filter
TABLE = 12  # address
UP = 13  # output / input of the rows, in lowest terms
DOWN = 14
ROW = 15  # of the next output: number of outputs so far modulo UP
BLENDED = 16  # rows per input sample when they are blended; 0: a row for each phase
HISTORY = 17  # address, HISTORY_ROOM long: samples still needed
HELD = 18  # how many
USED = 19  # how many the last block has finished with
SAMPLES_IN = 20
SAMPLES_OUT = 21
CLIPPED = 22
SOURCES = 23  # which kernel was here last: checksum of its sources
FIELDS = 24

CONVERT, DOUBLE, HALVE = 0, 1, 2  # values of STAGES

SHARED_UP = 4  # up to here outputs that share a row are made together
BLOCK = 1024  # input samples between int16 and int16, so that scratch memory stays in the first-level cache
MAX_RATIO = 6  # between the rates
_PAD = 64  # vectors reach past the end

HALF_HISTORY = 256 + _PAD
HISTORY_ROOM = 256 + _PAD
HALF_ROOM = HALF_HISTORY + BLOCK + _PAD  # also holds the odd outputs when the rate is doubled
SAMPLES_ROOM = HISTORY_ROOM + BLOCK + _PAD
RESULTS_ROOM = MAX_RATIO * BLOCK + 4 * SHARED_UP + _PAD
SCRATCH_ROOM = 2 * HALF_ROOM + SAMPLES_ROOM + RESULTS_ROOM + 8
STATE_BYTES = 8 * FIELDS + 4 * (2 * HALF_HISTORY + HISTORY_ROOM)  # one stream: the state, then its histories
