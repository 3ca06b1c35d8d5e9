"""The application's routes."""

import quart
from quart_trio import QuartTrio

from engine.web.app import ListenApp
from engine.web.routing import LazyRule


def view(part: str) -> str:
    return part


async def test_a_url_that_is_asked_for_by_name_is_what_quart_itself_makes() -> None:
    made = []
    for kind in (QuartTrio, ListenApp):
        app = kind("routes", static_folder=None)
        app.add_url_rule("/v1/things/<part>", endpoint="thing", view_func=view)
        async with app.test_request_context("/"):
            made.append([quart.url_for("thing", part="a b"), quart.url_for("thing", part="x", q="y&z")])
    assert made[0] == made[1] == ["/v1/things/a%20b", "/v1/things/x?q=y%26z"]


def test_nothing_is_compiled_to_make_urls_before_it_is_asked_for() -> None:
    """Werkzeug may rename what `LazyRule` puts off; the application would then start slower, and nothing else tell."""
    app = ListenApp("routes", static_folder=None)
    app.add_url_rule("/v1/things/<part>", endpoint="thing", view_func=view)
    (route,) = app.url_map.iter_rules("thing")
    assert isinstance(route, LazyRule)
    for build in (route._build, route._build_unknown):
        assert build.__func__.__module__ == LazyRule.__module__  # type: ignore[attr-defined]
