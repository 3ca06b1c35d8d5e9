"""/v4/listen and /v4/web/listen: who is there, what do they ask for, then the session takes over.

A connection is always accepted first, so that a refusal can be read by the client: an `error` event, then a
close frame with code and reason. `serve_listen` is all of this for a socket that came in whichever way.
"""

from collections.abc import Awaitable, Callable
from typing import NamedTuple, cast
from urllib.parse import parse_qsl

import trio
from quart import Blueprint, websocket
from structlog.contextvars import bound_contextvars

from engine.listen.ports import ClientGone, ClientSocket
from engine.log import get_logger
from engine.web.auth import Authenticator, bearer
from engine.web.ports import Services
from engine.web.socket import ListenWebsocket
from engine.wire import AuthResponse, CloseCode, Refusal, encode, parse_parameters
from engine.wire.client_messages import AuthMessage, decode_client

__all__ = ["LISTEN_PATHS", "Visit", "listen", "serve_listen"]

log = get_logger(__name__)

QUERY_FIELDS = 100
Query = list[tuple[str, str]]
Identify = Callable[[ClientSocket, str | None], Awaitable[str]]

DEVICE_PATH = "/v4/listen"
BROWSER_PATH = "/v4/web/listen"
LISTEN_PATHS = (DEVICE_PATH, BROWSER_PATH)


class Visit(NamedTuple):
    """What a client's handshake said. `query`: what follows the question mark."""

    path: str
    query: bytes
    authorization: str | None
    peer: str | None


def listen(services: Services, authenticator: Authenticator) -> Blueprint:
    """The two socket routes."""
    routes = Blueprint("listen", __name__)

    async def serve() -> None:
        current = cast(ListenWebsocket, websocket)  # a proxy of it
        await current.accept()
        authorization = current.headers.get("Authorization")
        visit = Visit(current.path, current.query_string, authorization, current.remote_addr)
        await serve_listen(services, authenticator, current.client, visit)

    for path in LISTEN_PATHS:
        routes.add_websocket(path, path, serve)
    return routes


async def serve_listen(
    services: Services, authenticator: Authenticator, client: ClientSocket, visit: Visit
) -> None:
    """One accepted socket, until it is closed."""

    async def identify(client: ClientSocket, uid: str | None) -> str:
        if visit.path == BROWSER_PATH:
            return await _identify_browser(services, authenticator, client, uid)
        return await authenticator.identify(bearer(visit.authorization), uid)

    services.metrics.connected()
    with bound_contextvars(peer=visit.peer):
        try:
            await _session(services, client, visit.query, identify)
        except Refusal as refusal:
            services.metrics.rejected(_metric_reason(refusal))
            log.info("listen.refused", code=refusal.code, parameter=refusal.parameter, value=refusal.value)
            await _refuse(client, refusal)
        except ClientGone as gone:
            log.debug("listen.gone", code=gone.code)
        except Exception:
            services.metrics.session_failed()
            log.exception("listen.failed")
            await client.close(CloseCode.INTERNAL_ERROR, "internal error")
        finally:
            # Nothing is sent where the socket is closed already; left are sessions that were cancelled.
            with trio.move_on_after(services.config.session.close_timeout, shield=True):
                await client.close(CloseCode.GOING_AWAY, "the server is shutting down")


async def _session(services: Services, client: ClientSocket, query_string: bytes, identify: Identify) -> None:
    query = _parse_query(query_string)
    named = next((value for name, value in query if name == "uid"), None)
    uid = await identify(client, named)
    parameters = parse_parameters(query)
    if not services.readiness.models_ok:
        retry = services.config.limits.retry_after
        message = f"the server is starting: try again in {retry:g} s"
        raise Refusal(CloseCode.TRY_AGAIN_LATER, "starting", message=message, retry_after=retry)
    await services.sessions.serve(client, parameters, uid)


def _parse_query(query_string: bytes) -> Query:
    try:
        return parse_qsl(query_string.decode("latin-1"), keep_blank_values=True, max_num_fields=QUERY_FIELDS)
    except ValueError:
        accepted = f"at most {QUERY_FIELDS} parameters"
        raise Refusal(CloseCode.POLICY_VIOLATION, "query", "too many parameters", accepted) from None


async def _refuse(client: ClientSocket, refusal: Refusal) -> None:
    try:
        await client.send(encode(refusal.event()))
    except ClientGone:
        return
    await client.close(refusal.code, refusal.reason)


def _metric_reason(refusal: Refusal) -> str | None:
    if refusal.code == CloseCode.TOKEN_EXPIRED:
        return "auth_expired"
    return {"authorization": "auth", "auth": "auth_timeout"}.get(refusal.parameter or "", refusal.parameter)


async def _identify_browser(
    services: Services, authenticator: Authenticator, client: ClientSocket, uid: str | None
) -> str:
    """A browser cannot set headers: its first message carries the token."""
    with trio.move_on_after(services.config.session.web_auth_timeout) as limit:
        first = await client.receive()
    if limit.cancelled_caught:
        seconds = f"within {services.config.session.web_auth_timeout:g} s"
        accepted = f'{{"type":"auth","token":"…"}} {seconds}'
        raise Refusal(CloseCode.POLICY_VIOLATION, "auth", None, accepted, message="Auth timeout")
    message = decode_client(first) if isinstance(first, str) else None
    try:
        if not isinstance(message, AuthMessage):
            raise Refusal(
                CloseCode.POLICY_VIOLATION,
                "authorization",
                None,
                'a first message {"type":"auth","token":"…"}',
                message="Invalid token",
            )
        user = await authenticator.identify(message.token or None, uid)
    except Refusal:
        await client.send(encode(AuthResponse(success=False)))
        raise
    await client.send(encode(AuthResponse(success=True)))
    return user
