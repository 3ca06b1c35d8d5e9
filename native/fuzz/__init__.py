"""Fuzzing of the frame reader and the codecs: `python -m native.fuzz` (what `make fuzz` runs)."""
