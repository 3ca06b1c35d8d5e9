"""No request that schemathesis thinks of is answered by a server error, or by anything the OpenAPI document denies.

A few requests for each operation; `make campaign` has thousands.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import trio

from engine.config import Web
from engine.store import Store
from engine.store.database import open_engine
from engine.store.records import UsageRow
from tests.web.filling import fill, identifiers
from tests.web.fuzzing import FAREWELL, fuzz
from tests.web.serving import site

UID = "alice"
UNLIMITED = Web(
    requests_per_minute=1_000_000,
    developer_requests_per_minute=1_000_000,
    developer_requests_per_day=100_000_000,
)


async def fill_store(tmp_path: Path, url: str, store: Store) -> None:
    def all_tables() -> None:
        engine = open_engine(tmp_path, 5.0, url)
        fill(engine, UID, "heron")
        engine.dispose()

    await trio.to_thread.run_sync(all_tables)


@pytest.mark.parametrize(
    ("database", "examples"), [("sqlite", 2), pytest.param("postgresql", 1, marks=pytest.mark.campaign)]
)
async def test_every_answer_is_one_that_the_document_tells_of(
    tmp_path: Path, database: str, examples: int, request: pytest.FixtureRequest
) -> None:
    url = ""
    if database == "postgresql":
        emptied: Callable[[], str] = request.getfixturevalue("emptied_postgres")
        url = emptied()
    filled = partial(fill_store, tmp_path, url)
    known = {name: [id] for name, id in identifiers(UID).items()}
    async with site(tmp_path, filled=filled, database_url=url, web=UNLIMITED) as served:
        options = ("--phases", "fuzzing", "--exclude-path", FAREWELL)
        status, said = await fuzz(served.port, tmp_path, *options, known=known, examples=examples)
    assert status == 0, said


class Broken:
    """Usage that cannot be read."""

    async def read(
        self, uid: str, start: int | None, end: int | None, *, limit: int, offset: int
    ) -> list[UsageRow]:
        raise RuntimeError("on purpose")


async def test_a_server_error_is_found(tmp_path: Path) -> None:
    async with site(tmp_path, usage=Broken(), web=UNLIMITED) as served:
        only = ("--include-path", "/v1/usage", "--phases", "fuzzing")
        status, said = await fuzz(served.port, tmp_path, *only, known={}, examples=1)
    assert status == 1
    assert "500" in said
