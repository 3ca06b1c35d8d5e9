"""Who speaks: voices as vectors, whose voice an utterance is, and which utterances are one speaker's.

No I/O but reading the weights, and no Trio. Imports `audio` and `transcript`; `listen` and what comes after it may come
in here.
"""
