"""schemathesis in full over the OpenAPI document, on both databases.

SCHEMATHESIS_EXAMPLES makes it shorter, for a look whether it works.
"""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.web.filling import identifiers
from tests.web.fuzzing import FAREWELL, fuzz
from tests.web.serving import site
from tests.web.test_schemathesis import UID, UNLIMITED, fill_store

pytestmark = pytest.mark.campaign

EXAMPLES = int(os.environ.get("SCHEMATHESIS_EXAMPLES", "100"))


@pytest.mark.parametrize("phases", ["examples,coverage", "fuzzing", "stateful"])
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
async def test_every_answer_is_one_that_the_document_tells_of(
    tmp_path: Path,
    database: str,
    phases: str,
    request: pytest.FixtureRequest,
    record_property: Callable[[str, object], None],
) -> None:
    record_property("examples of each operation in each phase", EXAMPLES)
    url = ""
    if database == "postgresql":
        emptied: Callable[[], str] = request.getfixturevalue("emptied_postgres")
        url = emptied()
    filled = partial(fill_store, tmp_path, url)
    known = {name: [id] for name, id in identifiers(UID).items()}
    async with site(tmp_path, filled=filled, database_url=url, web=UNLIMITED) as served:
        key = await served.store.apps.create_key(known["app_id"][0], UID)
        parts = [
            (f"dev:{UID}", "--exclude-path", FAREWELL),
            (key, "--include-path-regex", "^/v2/integrations/"),
        ]
        if phases != "stateful":  # in which one path by itself leads nowhere, and that is counted as a fault
            parts.append((f"dev:{UID}", "--include-path", FAREWELL))
        faults = []
        for token, *chosen in parts:
            options = ("--phases", phases, *chosen)
            status, said = await fuzz(
                served.port, tmp_path, *options, known=known, examples=EXAMPLES, token=token
            )
            if status:
                faults.append(said)
        assert not faults, "\n".join(faults)
