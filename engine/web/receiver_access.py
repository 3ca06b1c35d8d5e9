"""Who may post to the receiving side, and for which user.

In development mode `uid` names the user, as everywhere. Else one of these says who posts:

- a key of the user's, as a bearer token or as `key` in the query: one without scopes, or with `audio:write`;
- `receiver.app_key` in the same places, for any `uid`: for the webhook URL of an app, which all its users share;
- a signature of Standard Webhooks, by a secret that `receiver.secrets` has for that `uid`.

None of them but a user's own key reads anything.
"""

import hmac
from collections.abc import Awaitable, Callable

from quart import Request

from engine._config_receiver import Receiver as Settings
from engine._config_receiver import read_secrets
from engine.moments import SECOND
from engine.web.auth import UID_CHARACTERS, Authenticator, bearer
from engine.web.errors import ApiError
from engine.webhooks.receiver.signatures import is_signed

__all__ = ["SCOPE", "posting"]

SCOPE = "audio:write"
"""Of keys that may post and do nothing else."""


def posting(
    authenticator: Authenticator, settings: Settings, now: Callable[[], int]
) -> Callable[[Request], Awaitable[str]]:
    """How requests that post name their user. Raises `ApiError` 401 or 403; `now` in µs since the epoch."""
    secrets = read_secrets(settings.secrets)

    async def identify(request: Request) -> str:
        key = bearer(request.headers.get("Authorization")) or request.args.get("key")
        uid = request.args.get("uid")
        if authenticator.development:
            return await authenticator.identify_request(request)
        if settings.app_key and key and hmac.compare_digest(key.encode(), settings.app_key.encode()):
            return _named(uid)
        if key is not None:
            return await authenticator.identify_scoped(key, uid, SCOPE)
        if "webhook-signature" in request.headers:
            headers = {name.lower(): value for name, value in request.headers.items()}
            seconds = now() / SECOND
            keys = secrets.get(uid or "", ())
            body = await request.get_data()
            assert isinstance(body, bytes)
            if is_signed(headers, body, keys, seconds, settings.signature_tolerance):
                return _named(uid)
            raise ApiError(
                401, "the signature is not one of a secret in receiver.secrets for this uid, or is too old"
            )
        raise ApiError(401, "nobody is named: post with ?key=…, Authorization: Bearer … or a signature")

    return identify


def _named(uid: str | None) -> str:
    if not uid or len(uid) > UID_CHARACTERS or not uid.isprintable():
        raise ApiError(
            401, f"uid is missing or not accepted: use up to {UID_CHARACTERS} printable characters"
        )
    return uid
