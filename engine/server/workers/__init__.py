"""Several processes that are one server: the supervisor, its workers, and which of them has which user."""
