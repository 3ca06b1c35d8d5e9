"""Requests are believed that the Standard Webhooks library has signed, and no others."""

import base64
from datetime import UTC, datetime

import pytest
from standardwebhooks.webhooks import Webhook

from engine._config_receiver import read_secrets
from engine.webhooks.receiver.signatures import is_signed

KEY = b"0123456789abcdefghijklmn"
SECRET = "whsec_" + base64.b64encode(KEY).decode()
NOW = 1_700_000_000
BODY = b'{"a": 1}'


def headers(body: bytes = BODY, at: int = NOW, secret: str = SECRET, id: str = "msg_1") -> dict[str, str]:
    signature = Webhook(secret).sign(id, datetime.fromtimestamp(at, UTC), body.decode())
    return {"webhook-id": id, "webhook-timestamp": str(at), "webhook-signature": signature}


def test_what_is_signed_with_one_of_the_keys_is_believed() -> None:
    assert is_signed(headers(), BODY, [KEY], NOW, 300)
    assert is_signed(headers(), BODY, [b"another key of somebody", KEY], NOW, 300)
    several = headers() | {"webhook-signature": "v1,xxxx v1a,yyyy " + headers()["webhook-signature"]}
    assert is_signed(several, BODY, [KEY], NOW, 300)


@pytest.mark.parametrize(
    "changed",
    [
        {"webhook-id": "msg_2"},
        {"webhook-id": ""},
        {"webhook-timestamp": str(NOW + 1)},
        {"webhook-timestamp": "soon"},
        {"webhook-timestamp": "1" * 40},
        {"webhook-timestamp": "-1"},
        {"webhook-signature": ""},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "v1,\xff"},
    ],
)
def test_what_was_changed_is_not(changed: dict[str, str]) -> None:
    assert not is_signed(headers() | changed, BODY, [KEY], NOW, 300)


def test_another_body_another_key_and_another_time_are_not() -> None:
    assert not is_signed(headers(), b'{"a": 2}', [KEY], NOW, 300)
    assert not is_signed(headers(), BODY, [], NOW, 300)
    assert not is_signed(headers(), BODY, [b"another key of somebody"], NOW, 300)
    assert not is_signed(headers(at=NOW - 301), BODY, [KEY], NOW, 300)
    assert not is_signed(headers(at=NOW + 301), BODY, [KEY], NOW, 300)
    assert is_signed(headers(at=NOW - 299), BODY, [KEY], NOW, 300)


def test_secrets_are_for_the_users_that_are_named() -> None:
    other = "whsec_" + base64.b64encode(b"x" * 20).decode()
    found = read_secrets([f"ann:{SECRET}", f"ann:{other}", f"a:b:{other}"])
    assert found == {"ann": [KEY, b"x" * 20], "a:b": [b"x" * 20]}


@pytest.mark.parametrize(
    "entry", [SECRET, f":{SECRET}", "ann:whsec_", "ann:whsec_AAAA", "ann:whsec_!!!!", "ann:x"]
)
def test_what_is_no_secret_of_a_user_is_refused_without_being_repeated(entry: str) -> None:
    with pytest.raises(ValueError, match="entry 2 is no UID:whsec_") as caught:
        read_secrets([f"ann:{SECRET}", entry])
    assert entry not in str(caught.value)
