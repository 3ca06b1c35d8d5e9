"""The ASGI application: the listen sockets, REST, probes and metrics."""

from collections.abc import Awaitable, Callable
from typing import Any

import trio
from quart_trio import QuartTrio

from engine.listen.ports import ClientSocket
from engine.web.account import account
from engine.web.api import Api
from engine.web.app_routes import app_routes
from engine.web.auth import Authenticator
from engine.web.blobs import blobs
from engine.web.bodies import request_class
from engine.web.chat import chat
from engine.web.conversation_edits import conversation_edits
from engine.web.conversations import conversations
from engine.web.developer import developer_routes
from engine.web.developer_keys import developer_keys
from engine.web.documents import documents
from engine.web.errors import ApiError, register_errors
from engine.web.health import health
from engine.web.idempotency import Once
from engine.web.integration import integration, integration_v1
from engine.web.listen import Visit, listen, serve_listen
from engine.web.ports import Services
from engine.web.processing import processing
from engine.web.prompting import prompting
from engine.web.rate_limit import RateLimit, limited
from engine.web.received import received
from engine.web.receiver import receiver
from engine.web.record_routes import record_routes
from engine.web.recordings import recordings
from engine.web.routing import LazyRule
from engine.web.search import search
from engine.web.socket import ListenWebsocket, WebSocketConnection
from engine.web.telling import telling
from engine.web.usage import usage
from engine.web.voice import voice
from engine.web.webhooks import webhooks

MINUTE = 60.0

__all__ = ["ListenApp", "apis", "create_app", "listen_service"]


class ListenApp(QuartTrio):
    """Quart-Trio with our WebSocket connection, and a time limit on every request."""

    asgi_websocket_class = WebSocketConnection
    websocket_class = ListenWebsocket
    url_rule_class = LazyRule  # type: ignore[assignment]  # made with what Quart says of a route, not Flask
    request_timeout: float

    async def dispatch_request(self, request_context: Any = None) -> Any:
        """As Quart, but a request that takes too long is answered with 503 and its work cancelled."""
        with trio.move_on_after(self.request_timeout):
            return await super().dispatch_request(request_context)
        raise ApiError(503, f"the request took longer than web.request_timeout ({self.request_timeout:g} s)")


def create_app(services: Services) -> ListenApp:
    """The application over `services`; it starts no tasks of its own."""
    config = services.config
    app = ListenApp("engine.web", static_folder=None)
    app.request_timeout = config.web.request_timeout
    app.config.update(
        MAX_CONTENT_LENGTH=config.web.body_limit,
        BODY_TIMEOUT=config.web.request_timeout,
        RESPONSE_TIMEOUT=config.web.request_timeout,
    )
    register_errors(app)
    authenticator = Authenticator(config.auth, services.tokens)
    app.register_blueprint(health(services.readiness, services.metrics, services.exposition))
    app.register_blueprint(listen(services, authenticator))
    once = Once(services.records.idempotency, config.web.request_timeout)
    groups = apis(services, authenticator)
    app.request_class = request_class(
        {route.path: route.limit for api in groups for route in api.routes if route.limit}
    )
    for api in groups:
        api.once = once
        app.register_blueprint(api.blueprint)
    return app


def apis(services: Services, authenticator: Authenticator) -> list[Api]:
    """All routes of REST that stand in the OpenAPI document. `identify` counts requests against the user's limit."""
    limit = RateLimit(services.config.web.requests_per_minute, MINUTE)
    identify = limited(authenticator.identify_request, limit)
    groups = [
        conversations(services, identify),
        processing(services, identify),
        conversation_edits(services, identify),
        recordings(services, identify),
        search(services, identify),
        prompting(services, identify),
        usage(services.usage, identify),
        *record_routes(services, identify),
    ]
    groups += [developer_keys(services.tokens, identify), *developer_routes(services, authenticator)]
    groups.append(chat(services.chat, services.config.chat.text_limit, identify))
    groups += [account(services.user_data, services.records.users, identify)]
    groups.append(
        voice(
            services.chat,
            services.transcriber,
            services.records.users,
            services.config.chat.text_limit,
            identify,
        )
    )
    groups.append(webhooks(services.webhooks, identify))
    groups.append(blobs(services.blob_places, services.blob_links, identify))
    groups.append(telling(services.wholes, services.teller, identify))
    groups += [*app_routes(services, identify), integration(services), integration_v1(services)]
    groups += [*receiver(services, authenticator), received(services.receiver, identify)]
    return [*groups, documents(groups, identify)]


def listen_service(services: Services) -> Callable[[ClientSocket, Visit], Awaitable[None]]:
    """What the listen routes do, for sockets that did not come in through the application."""
    authenticator = Authenticator(services.config.auth, services.tokens)

    async def serve(client: ClientSocket, visit: Visit) -> None:
        await serve_listen(services, authenticator, client, visit)

    return serve
