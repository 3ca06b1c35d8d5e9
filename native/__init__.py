"""The C sources of `engine._native`, and what builds them. Nothing here is installed."""
