"""Alembic's folder: the schema's history. The newest revision is named in `engine.store.database.HEAD`."""
