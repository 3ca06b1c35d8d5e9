"""Tests of native/: how the extension is built, its memory, and the same tests under sanitizers."""
