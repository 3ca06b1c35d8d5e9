"""Brings the schema of a database to that of this release, by Alembic."""

import threading
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from engine.store._postgresql import lock_schema
from engine.store.errors import NewerDatabaseError

HEAD = "0012"
"""The newest revision in `migrations/versions`; a database that is there is opened without Alembic."""

_migrating = threading.Lock()  # alembic.context is global to the process


def migrate(engine: Engine, name: str) -> None:
    """Bring the schema to `HEAD` in one transaction; nothing to do costs one SELECT.

    Raises `StoreError`, calling the database by `name`.
    """
    with engine.connect().execution_options(readonly=True) as connection:
        if _revision(connection) == HEAD:
            return
    with _migrating, _changing(engine) as connection, connection.begin():
        if connection.dialect.name == "postgresql":
            lock_schema(connection)
        revision = _revision(connection)  # another process may have been here before the lock was ours
        if revision != HEAD:
            _upgrade(connection, revision, name)


def _changing(engine: Engine) -> Connection:
    # What others committed while we waited for the lock must be seen: no snapshot from before.
    if engine.dialect.name == "postgresql":
        return engine.connect().execution_options(isolation_level="READ COMMITTED")
    return engine.connect()


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _upgrade(connection: Connection, revision: str | None, name: str) -> None:
    from alembic import command  # imported late: half the start-up time of a process that need not migrate
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if revision is not None and revision not in known:
        raise NewerDatabaseError(
            f"database {name} is at revision {revision!r}, "
            f"newer than this release knows ({HEAD!r}); run the release that wrote it, or a later one"
        )
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
