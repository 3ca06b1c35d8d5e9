"""The store: everything that is kept, reached from the loop."""

from pathlib import Path

from sqlalchemy import Connection

from engine._config_blobs import Blobs as BlobSettings
from engine.moments import HOUR
from engine.off_loop import OffLoop
from engine.store.action_items import ActionItems
from engine.store.allowances import Allowances
from engine.store.app_registry import AppRegistry
from engine.store.app_reviews import AppReviews
from engine.store.apps import Apps
from engine.store.blob_erasures import BlobErasures
from engine.store.blob_links import BlobLinks
from engine.store.blob_places import BlobPlaces, open_places
from engine.store.blobs import Blobs
from engine.store.conversations import Conversations, forget_deleted
from engine.store.database import Database, WallClock, open_engine, upsert, wall_clock
from engine.store.day_summaries import DaySummaries
from engine.store.deliveries import Deliveries
from engine.store.edits import Edits
from engine.store.finding import Finding
from engine.store.folders import Folders
from engine.store.goals import Goals
from engine.store.idempotency import Idempotency
from engine.store.indexed import Indexing
from engine.store.jobs import Jobs
from engine.store.journal import FOLDER
from engine.store.leases import Leases
from engine.store.locking import Locking
from engine.store.memories import Memories
from engine.store.messages import Messages
from engine.store.people import People
from engine.store.photos import Photos
from engine.store.processing import Processing
from engine.store.received import Received
from engine.store.received_events import ReceivedEvents
from engine.store.received_inbox import Inbox
from engine.store.received_spool import Spool
from engine.store.recordings import Recordings
from engine.store.signing_keys import SigningKeys
from engine.store.tables import probes
from engine.store.texts import Texts
from engine.store.tokens import Tokens
from engine.store.translations import Translations
from engine.store.usage import Usage, forget_entries
from engine.store.user_data import UserData
from engine.store.users import CACHE_SECONDS, Users
from engine.store.vectors import CACHE_LIMIT, Vectors
from engine.store.voices import Voices
from engine.store.webhooks import Webhooks
from engine.store.whole import Wholes

RECEIVED = "received"
"""The folder of received files that are not whole yet."""
INBOX = "received-inbox"
"""The folder of received audio that is not dealt with yet."""


class Store:
    """The open database. Made by `open`; several processes, with PostgreSQL several machines, may have it open."""

    conversations: Conversations
    user_data: UserData
    tokens: Tokens
    apps: Apps
    app_registry: AppRegistry
    allowances: Allowances
    app_reviews: AppReviews
    usage: Usage
    leases: Leases
    jobs: Jobs
    vectors: Vectors
    action_items: ActionItems
    memories: Memories
    indexing: Indexing
    photos: Photos
    people: People
    voices: Voices
    users: Users
    folders: Folders
    goals: Goals
    messages: Messages
    day_summaries: DaySummaries
    translations: Translations
    idempotency: Idempotency
    locking: Locking
    texts: Texts
    wholes: Wholes
    finding: Finding
    edits: Edits
    processing: Processing
    webhooks: Webhooks
    deliveries: Deliveries
    signing_keys: SigningKeys
    blob_links: BlobLinks
    blob_places: BlobPlaces
    blobs: Blobs
    received_blobs: Blobs
    profile_blobs: Blobs
    blob_erasures: BlobErasures
    recordings: Recordings
    received: Received
    received_events: ReceivedEvents
    received_inbox: Inbox
    received_spool: Spool

    def __init__(
        self,
        data_dir: Path,
        database: Database,
        now: WallClock = wall_clock,
        vector_cache: int = CACHE_LIMIT,
        user_cache_seconds: float = CACHE_SECONDS,
        blobs: BlobSettings | None = None,
    ) -> None:
        self.data_dir = data_dir
        self.now = now
        self._database = database
        self.conversations = Conversations(database, now)
        self.tokens = Tokens(database, now)
        self.apps = Apps(database, now)
        self.app_registry = AppRegistry(database, now)
        self.allowances = Allowances(database, now)
        self.app_reviews = AppReviews(database)
        self.usage = Usage(database)
        self.leases = Leases(database, now)
        self.jobs = Jobs(database, now)
        self.vectors = Vectors(database, vector_cache)
        self.action_items = ActionItems(database, now)
        self.memories = Memories(database, now)
        self.indexing = Indexing(database)
        self.people = People(database)
        self.voices = Voices(database)
        self.users = Users(database, now, user_cache_seconds)
        self.folders = Folders(database)
        self.goals = Goals(database)
        self.messages = Messages(database)
        self.day_summaries = DaySummaries(database, now)
        self.translations = Translations(database)
        self.idempotency = Idempotency(database, now)
        self.locking = Locking(database)
        self.texts = Texts(database)
        self.signing_keys = SigningKeys(database, now)
        self.blob_links = BlobLinks(self.signing_keys, now)
        self.blob_places = open_places(blobs or BlobSettings(), data_dir, database.off_loop, self.blob_links)
        self.blobs = self.blob_places.main
        self.received_blobs = self.blob_places.received
        self.profile_blobs = self.blob_places.profiles
        self.blob_erasures = BlobErasures(database, self.blob_places, now)
        self.recordings = Recordings(database, now)
        self.photos = Photos(database, self.blobs, now)
        self.received_spool = Spool(data_dir / RECEIVED, database.off_loop)
        self.received_events = ReceivedEvents(database)
        self.received_inbox = Inbox(data_dir / INBOX, database.off_loop, now)
        erased = (self.received_spool, self.received_inbox)
        self.user_data = UserData(database, data_dir / FOLDER, self.blob_places, erased, now)
        self.wholes = Wholes(database, self.photos)
        self.finding = Finding(database, self.vectors)
        self.edits = Edits(database, now)
        self.processing = Processing(database, now)
        self.webhooks = Webhooks(database, now)
        self.deliveries = Deliveries(database, now)
        self.received = Received(database)

    @classmethod
    async def open(
        cls,
        data_dir: Path,
        off_loop: OffLoop,
        *,
        url: str = "",
        busy_timeout: float = 5.0,
        now: WallClock = wall_clock,
        vector_cache: int = CACHE_LIMIT,
        user_cache_seconds: float = CACHE_SECONDS,
        blobs: BlobSettings | None = None,
    ) -> "Store":
        """Make the data directory if need be, open the database and bring the schema up to date.

        `url`: of a PostgreSQL database; without one it is a file in the data directory. `busy_timeout` (s) is the
        longest wait for a lock that another process holds; `vector_cache` (bytes) the memory for the vectors of
        users who search; what users have set is read anew after `user_cache_seconds`; without `blobs` files are in the
        data directory. Raises `StoreError`, naming path or URL, when the directory, the database or a bucket cannot be
        used or is of a later release.
        """
        engine = await off_loop(open_engine, data_dir, busy_timeout, url)
        database = Database(engine, off_loop, busy_timeout)
        return await off_loop(cls, data_dir, database, now, vector_cache, user_cache_seconds, blobs)

    async def close(self) -> None:
        """Close the database's connections, and leave received audio that waits to others."""
        self.received_inbox.close()
        await self._database.close()

    async def check_writable(self) -> None:
        """Commit a small write: only that shows a lock, a full or a read-only disk.

        Raises `DatabaseUnavailable`, after the busy timeout when the database is locked.
        """
        await self._database.write(_probe, self.now())

    async def forget(self, before: int) -> None:
        """Drop the marks of what was deleted or added up before `before` (µs): no older journal is left."""
        await self._database.write(_forget, before)


def _probe(connection: Connection, now: int) -> None:
    insert = upsert(connection.dialect.name, probes).values(id=1, written_at=now)
    connection.execute(insert.on_conflict_do_update(index_elements=["id"], set_={"written_at": now}))


def _forget(connection: Connection, before: int) -> None:
    forget_deleted(connection, before)
    forget_entries(connection, before - HOUR)
