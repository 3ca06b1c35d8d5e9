"""Benchmarks: each module prints its tables and can be run alone; `python -m bench` runs them all."""
