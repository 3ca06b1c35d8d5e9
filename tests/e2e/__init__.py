"""The whole server on real sockets, in this process or in one of its own."""
