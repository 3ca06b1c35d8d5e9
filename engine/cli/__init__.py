"""The command `listen`: one module per command group, and `main`. The last layer; nobody imports it.

Modules of the engine are imported inside the commands, so that `listen --help` does not wait for models,
databases and web servers to load.
"""

from engine.cli.app import main

__all__ = ["main"]
