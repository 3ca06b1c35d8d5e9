"""Who a token and a uid say is there, in both modes, on sockets and REST."""

from pathlib import Path

import pytest

from engine.store import TokenRow
from engine.web.auth import Authenticator, bearer
from engine.wire import Refusal
from tests.web.serving import site

NOW = 1_000_000


class Keys:
    """Tokens as the store answers for them."""

    async def verify(self, token: str) -> TokenRow | None:
        times: dict[str, dict[str, int]] = {
            "omi_dev_alice": {},
            "omi_dev_later": {"expires_at": NOW + 1},
            "omi_dev_over": {"expires_at": NOW},
            "omi_dev_revoked": {"revoked_at": NOW},
            "omi_dev_scoped": {},
        }
        if token not in times:
            return None
        scopes = ["memories:read"] if token == "omi_dev_scoped" else None
        return TokenRow(id=token, uid="alice", label="", scopes=scopes, created_at=0, **times[token])


@pytest.mark.parametrize(
    ("header", "token"),
    [
        (None, None),
        ("", None),
        ("Bearer", None),
        ("Bearer ", None),
        ("Basic abc", None),
        ("Bearer abc", "abc"),
        ("bearer  abc ", "abc"),
    ],
)
def test_a_bearer_token_is_read_from_the_header(header: str | None, token: str | None) -> None:
    assert bearer(header) == token


@pytest.mark.parametrize("token", ["omi_dev_alice", "omi_dev_later"])
@pytest.mark.parametrize("uid", [None, "", "alice"])
async def test_a_token_names_the_user_and_uid_may_repeat_it(token: str, uid: str | None) -> None:
    assert await Authenticator("token", Keys(), lambda: NOW).identify(token, uid) == "alice"


@pytest.mark.parametrize(
    ("token", "uid", "code", "message"),
    [
        (None, None, 1008, "Authorization header not found"),
        (None, "alice", 1008, "Authorization header not found"),
        ("omi_dev_unknown", None, 1008, "Invalid authorization token"),
        ("dev:alice", None, 1008, "Invalid authorization token"),
        ("omi_dev_revoked", None, 1008, "Invalid authorization token"),
        ("omi_dev_over", None, 4001, "Token refresh required"),
        ("omi_dev_alice", "bob", 1008, "Bad uid"),
        ("omi_dev_scoped", None, 1008, "this key has scopes"),
    ],
)
async def test_with_tokens_everybody_else_is_refused(
    token: str | None, uid: str | None, code: int, message: str
) -> None:
    with pytest.raises(Refusal, match=message) as refused:
        await Authenticator("token", Keys(), lambda: NOW).identify(token, uid)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("token", "uid"),
    [(None, "alice"), ("dev:alice", None), ("dev:alice", "alice"), ("from another issuer", "alice")],
)
async def test_in_development_uid_or_a_dev_token_names_the_user(token: str | None, uid: str | None) -> None:
    assert await Authenticator("dev", Keys(), lambda: NOW).identify(token, uid) == "alice"


@pytest.mark.parametrize(
    ("token", "uid", "message"),
    [
        (None, None, "uid is required"),
        ("from another issuer", None, "uid is required"),
        ("dev:", "", "uid is required"),
        ("dev:alice", "bob", "Bad uid"),
        (None, "x" * 129, "128 printable characters"),
        ("dev:a\nb", None, "128 printable characters"),
    ],
)
async def test_in_development_a_missing_or_doubtful_uid_is_refused(
    token: str | None, uid: str | None, message: str
) -> None:
    with pytest.raises(Refusal, match=message) as refused:
        await Authenticator("dev", Keys(), lambda: NOW).identify(token, uid)
    assert refused.value.code == 1008
    assert refused.value.parameter == "uid"


async def test_rest_takes_a_token_and_answers_401_without_one(tmp_path: Path) -> None:
    async with site(tmp_path, auth="token") as served:
        key = await served.store.tokens.create("alice")
        over = await served.store.tokens.create("alice", expires_at=1)
        good = await served.client.get("/v1/usage", headers={"Authorization": f"Bearer {key}"})
        assert good.status_code == 200
        for headers, params, detail in [
            ({}, {}, "Authorization header not found"),
            ({}, {"uid": "alice"}, "Authorization header not found"),
            ({"Authorization": "Bearer wrong"}, {}, "Invalid authorization token"),
            ({"Authorization": f"Bearer {over}"}, {}, "Token refresh required"),
            ({"Authorization": f"Bearer {key}"}, {"uid": "bob"}, "Bad uid"),
        ]:
            answer = await served.client.get("/v1/usage", headers=headers, params=params)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
            assert detail in answer.json()["detail"]


ROUTES = [
    ("GET", "/v1/conversations"),
    ("GET", "/v1/conversations/count"),
    ("POST", "/v1/conversations"),
    ("GET", "/v1/conversations/c1"),
    ("DELETE", "/v1/conversations/c1"),
    ("GET", "/v1/usage"),
]


async def test_every_route_about_a_user_asks_who_is_there(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        for method, path in ROUTES:
            answer = await served.request(method, path, uid=None)
            assert answer.status_code == 401, path
            assert answer.json() == {"detail": "uid is required: add ?uid=…"}
