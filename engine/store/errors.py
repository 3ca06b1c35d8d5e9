"""What can go wrong with what is kept, split by who has to act."""


class StoreError(Exception):
    """The data directory or the database cannot be used. The text names the path and what would be right."""


class NewerDatabaseError(StoreError):
    """The database was written by a later release; opening it could damage it."""


class DatabaseUnavailable(StoreError):
    """The database is locked, full or gone for the moment. The text says which; trying again may help."""


class UserBusy(StoreError):
    """A user cannot be erased while a server has something of theirs in hand. The text says what."""


class JournalFull(Exception):
    """A record did not reach its journal (disk full, quota, I/O error). The text names file and cause.

    The record may still be given to the writer: it is then kept in memory only, until the database has it.
    """


class WriterFull(Exception):
    """The database is down, the journal could not take the record either, and memory's share is used up."""


class ClaimLost(Exception):
    """A job was claimed by somebody else meanwhile; nothing was written for it. The text is its key."""


class BlobMissing(StoreError):
    """There is no blob of this name. The text is the name."""


class BlobsUnavailable(StoreError):
    """Files cannot be written or read for the moment: disk full, bucket gone, key refused. The text says which."""
