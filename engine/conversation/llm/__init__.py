"""Asking a language model: the port, a client for servers of OpenAI's protocol, and what is asked of it."""
