"""The routes that the README names are those that the OpenAPI document has."""

import re
from collections.abc import Iterator
from difflib import unified_diff
from pathlib import Path
from typing import Any

from tests.web.serving import site

README = (Path(__file__).parents[2] / "README.md").read_text()
METHODS = ("get", "post", "put", "patch", "delete")
BUILT, UNBUILT = "| route | what it does |\n|---|---|\n", "| route | why it is not there |\n|---|---|\n"


def table(head: str) -> list[str]:
    """The rows of the README's table with this head."""
    assert head in README, f"README has no table that begins with {head!r}"
    rows = README.partition(head)[2].partition("\n\n")[0]
    return rows.splitlines()


def expected(document: dict[str, Any]) -> Iterator[str]:
    """A row for each path: its methods, and what they do in the document's words."""
    for path, operations in document["paths"].items():
        here = [method for method in METHODS if method in operations]
        summaries = dict.fromkeys(operations[method]["summary"] for method in here)
        yield f"| {' '.join(method.upper() for method in here)} `{path}` | {'; '.join(summaries)} |"


async def test_the_readme_has_every_route_and_no_other(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        document = (await served.get("/openapi.json")).json()
    rows = list(expected(document))
    assert list(unified_diff(table(BUILT), rows, "README.md", "what is there", n=0, lineterm="")) == []


async def test_what_is_said_not_to_be_built_is_not_and_has_a_reason(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        document = (await served.get("/openapi.json")).json()
        operations = {(method.upper(), path) for path, here in document["paths"].items() for method in here}
        rows = [re.fullmatch(r"\| ([A-Z ]+) `(/\S+)` \| (.+) \|", row) for row in table(UNBUILT)]
        assert rows
        for row in rows:
            assert row is not None
            for method in row[1].split():
                assert (method, row[2]) not in operations, row[0]
                path = re.sub(r"\{\w+\}", "x", row[2])
                assert (await served.request(method, path)).status_code in (404, 405), row[0]
