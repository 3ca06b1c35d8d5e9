"""schemathesis in full over the OpenAPI document, on both databases."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.web.filling import identifiers
from tests.web.fuzzing import fuzz
from tests.web.serving import site
from tests.web.test_schemathesis import UID, UNLIMITED, fill_store

pytestmark = pytest.mark.campaign

EXAMPLES = 100
PHASES = "examples,coverage,fuzzing,stateful"


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
@pytest.mark.parametrize("seed", [1])
async def test_every_answer_is_one_that_the_document_tells_of(
    tmp_path: Path, database: str, seed: int, request: pytest.FixtureRequest
) -> None:
    url = ""
    if database == "postgresql":
        emptied: Callable[[], str] = request.getfixturevalue("emptied_postgres")
        url = emptied()
    filled = partial(fill_store, tmp_path, url)
    known = {name: [id] for name, id in identifiers(UID).items()}
    async with site(tmp_path, filled=filled, database_url=url, web=UNLIMITED) as served:
        status, said = await fuzz(
            served.port, tmp_path, "--phases", PHASES, known=known, examples=EXAMPLES, seed=seed
        )
    assert status == 0, said
