"""Real people's voices for `bench.speaker`: whose there are, what lines do to them, and how trials are counted.

`people` says whose recordings there are, `packages` fetches those that are not in the repository, `channels` sends
speech through codecs and noise, `hearing` makes vectors of it, `trials` counts. The engine needs none of it.
"""
