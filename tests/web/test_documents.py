"""The documents as the server gives them out."""

from html.parser import HTMLParser
from pathlib import Path

from openapi_spec_validator import OpenAPIV31SpecValidator

from engine.config import Web
from engine.web.docs_page import docs_page
from tests.web.serving import site


class Page(HTMLParser):
    """What a browser would find: texts, anchors, links inside the page, and what it would fetch."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text = ""
        self.ids: list[str] = []
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            elif name == "href" and (value or "").startswith("#"):
                self.links.append((value or "")[1:])
            elif name == "src" or (name == "href" and tag == "link"):
                self.fetched.append(value or "")

    def handle_data(self, data: str) -> None:
        self.text += data


async def test_the_documents_need_no_token_and_hold_every_route(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        answer = await served.get("/openapi.json", uid=None)
        assert answer.headers["content-type"] == "application/json"
        document = answer.json()
        OpenAPIV31SpecValidator(document).validate()
        assert {"/v1/usage", "/openapi.json", "/asyncapi.json", "/docs"} <= document["paths"].keys()
        asyncapi = (await served.get("/asyncapi.json", uid=None)).json()
        assert asyncapi["channels"]["listen"]["address"] == "/v4/listen"
        assert (await served.get("/openapi.json", uid=None)).json() == document


async def test_the_page_shows_every_operation_and_fetches_nothing(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        document = (await served.get("/openapi.json")).json()
        answer = await served.get("/docs", uid=None)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    page = Page(answer.text)
    for path, operations in document["paths"].items():
        assert path in page.text
        for operation in operations.values():
            assert operation["operationId"] in page.ids
            assert operation["summary"] in page.text
    assert len(page.ids) == len(set(page.ids))
    assert set(page.links) <= set(page.ids)
    assert page.fetched == []


def test_what_the_document_says_cannot_become_markup() -> None:
    operation = {
        "operationId": "a<b>",
        "summary": "<script>x</script>",
        "tags": ["<i>"],
        "security": [],
        "parameters": [{"name": "<p>", "in": "query", "schema": {"type": "string", "enum": ["<u>"]}}],
        "responses": {"200": {"description": "<s>"}},
    }
    document = {
        "info": {"title": "<t>", "version": "<v>", "description": "<d>"},
        "tags": [{"name": "<i>"}],
        "paths": {"/<x>": {"get": operation}},
        "components": {"schemas": {}, "responses": {}, "securitySchemes": {}},
    }
    html = docs_page(document)
    for tag in ("<b>", "<script>x", "<i>", "<p>&lt;p", "<u>", "<s>", "<t>", "<v>", "<d>", "<x>"):
        assert tag not in html
    assert "&lt;script&gt;x" in html


async def test_a_user_who_asks_too_often_is_told_when_there_is_room(tmp_path: Path) -> None:
    async with site(tmp_path, web=Web(requests_per_minute=2)) as served:
        answers = [await served.get("/v1/usage") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert answers[2].headers["retry-after"] == "30"
        assert answers[2].json().keys() == {"detail"}
        assert (await served.get("/v1/usage", uid="bob")).status_code == 200
