"""A worker of `tests.e2e.scripted_server`: as the real one, but for a vendor that hears a script."""

from engine.server.workers.worker import main
from tests.e2e.scripted_server import scripted

if __name__ == "__main__":
    main(scripted)
