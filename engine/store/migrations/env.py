"""Run by Alembic: works on the connection, and in the transaction, that `engine.store.database` gives."""

from alembic import context

from engine.store.tables import is_compared, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    include_name=is_compared,
)
context.run_migrations()
