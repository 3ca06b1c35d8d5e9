"""Signatures, checked by the library of those who defined them."""

import base64
import time

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from engine.webhooks.signing import new_secret, signed_headers

BODY = '{"segments":[{"text":"Größe"}]}'.encode()


def now() -> int:
    return int(time.time())


def test_the_reference_library_accepts_what_is_signed_and_nothing_that_was_changed() -> None:
    secret = new_secret()
    headers = signed_headers("msg_1", BODY, [secret], now())
    assert Webhook(secret).verify(BODY, headers) == {"segments": [{"text": "Größe"}]}
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(BODY.replace(b"G", b"g"), headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(BODY, headers | {"webhook-id": "msg_2"})
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(BODY, headers)


def test_while_secrets_overlap_either_verifies() -> None:
    old, new = new_secret(), new_secret()
    headers = signed_headers("msg_1", BODY, [new, old], now())
    for secret in (old, new):
        Webhook(secret).verify(BODY, headers)


def test_the_specifications_own_example_comes_out() -> None:
    """standard-webhooks/spec/standard-webhooks.md: the vector of its reference libraries."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    body = b'{"test": 2432232314}'
    headers = signed_headers("msg_p5jXN8AQM9LWM0D4loKWxJek", body, [secret], 1614265330)
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_secret_has_as_many_bytes_as_the_hash_and_octets_can_be_signed() -> None:
    secret = new_secret()
    assert len(base64.b64decode(secret.removeprefix("whsec_"))) == 32
    assert signed_headers("m", b"\xff\x00", [secret], 1)["webhook-signature"].startswith("v1,")
    assert "webhook-signature" not in signed_headers("m", b"", [], 1)
