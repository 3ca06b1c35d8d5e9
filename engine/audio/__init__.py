"""Bytes of a codec in, 16 kHz PCM out: ring, decoders and encoders, resampling, energy gate, ledger, WAV
files.

Everyone may come in; nothing here does I/O on its own account (WAV files apart) or knows of Trio.
"""

from engine.audio.codecs import Decoded as Decoded
from engine.audio.codecs import Decoder as Decoder
from engine.audio.codecs import LibraryInfo as LibraryInfo
from engine.audio.codecs import LibraryMissing as LibraryMissing
from engine.audio.codecs import create_decoder as create_decoder
from engine.audio.codecs import library_versions as library_versions
from engine.audio.encoders import Encoder as Encoder
from engine.audio.encoders import create_encoder as create_encoder
from engine.audio.gate import EnergyGate as EnergyGate
from engine.audio.intake import Intake as Intake
from engine.audio.ledger import Imbalance as Imbalance
from engine.audio.ledger import Ledger as Ledger
from engine.audio.ledger import LedgerSnapshot as LedgerSnapshot
from engine.audio.resample import Resampler as Resampler
from engine.audio.ring import Cursor as Cursor
from engine.audio.ring import Ring as Ring
from engine.audio.ring import RingFull as RingFull
from engine.audio.ring import RingPool as RingPool
from engine.audio.wav import WavError as WavError
from engine.audio.wav import decode_wav as decode_wav
from engine.audio.wav import read_wav as read_wav
from engine.audio.wav import write_wav as write_wav
