"""What all tables have in common."""

from sqlalchemy import JSON, MetaData

metadata = MetaData()

NULLABLE_JSON = JSON(none_as_null=True)
