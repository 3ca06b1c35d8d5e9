"""Texts as vectors: the port, the model that comes with a package, and servers of OpenAI's protocol."""
